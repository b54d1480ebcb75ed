"""Keras Tuner's tuner over recipes: it discovers the space and owns the folder of the search."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine import base_tuner

from kerasdl.errors import UsageError
from kerasdl.files import parsing, replacing
from kerasdl.recipe import Recipe, catalog, python_file, replace
from kerasdl.recipe.document import from_file
from kerasdl.search.folder import hash_code
from kerasdl.search.keras_tuner.private import tuner_file
from kerasdl.search.trials import files

#: A search space: takes Keras Tuner's hyperparameters and a recipe, returns the recipe with their values.
SpaceFunction = Callable[[keras_tuner.HyperParameters, Recipe], Recipe]


class RecipeTuner(base_tuner.BaseTuner):
    """Opens a search, or continues the one in its folder.

    Its folder is a project of Keras Tuner: `keras_tuner.RandomSearch(..., directory="searches/lenet5",
    project_name="1")` opens it too.

    Args:
        oracle: instance of one of `oracles.ORACLES`.
        space: search space of the recipe.
        recipe: recipe whose values are the defaults.
        folder: folder of the search.

    Raises:
        UsageError: when the space cannot be drawn from.
    """

    def __init__(self, oracle: keras_tuner.Oracle, space: SpaceFunction, recipe: Recipe, folder: Path):
        self.space = space
        self.recipe = recipe
        files.read_states(folder)  # raises where one is damaged
        if (folder / "oracle.json").is_file() and not (folder / "tuner0.json").is_file():
            _write_tuner_file(folder / "tuner0.json")  # else Keras Tuner would start anew
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(oracle, self.build, str(folder.parent), folder.name)
        if not (folder / "oracle.json").is_file():
            self.save()
        if not oracle.get_space().space:
            raise UsageError("The space draws nothing. Use hp.Float, hp.Int, hp.Choice or hp.Boolean in it.")

    def build(self, hp: keras_tuner.HyperParameters) -> Recipe:
        """Return the recipe of some hyperparameters."""
        return recipe_of(self.space, self.recipe, hp)

    def reload(self):
        """Read the state of the search."""
        self.oracle.reload()

    def save(self):
        """Write the state of the search."""
        self.oracle.save()
        _write_tuner_file(tuner_file(self))

    def run_trial(self, trial: Any, *arguments: Any, **options: Any):
        """Not used: trials run in processes of their own (`kerasdl.search.trials.workers`)."""
        raise NotImplementedError("Use kerasdl.tune or kerasdl.search.trials.workers.")


def recipe_of(space: SpaceFunction, recipe: Recipe, hp: keras_tuner.HyperParameters) -> Recipe:
    """Return the recipe that a space makes of hyperparameters; Hyperband's decide the epochs.

    Raises:
        UsageError: when the space fails, does not return a recipe, or its values contradict each other.
    """
    try:
        found = space(hp, recipe)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"The search space failed: {type(error).__name__}: {error}") from error
    if not isinstance(found, Recipe):
        raise UsageError(f"space(hp, recipe) has to return a recipe, not {type(found).__name__}.")
    epochs = hp.values.get("tuner/epochs")
    if epochs is None:
        return found
    return replace(found, epochs=epochs, warmup_epochs=found.warmup_epochs * epochs / found.epochs)


def recipe_of_trial(path: Path, number: int) -> Recipe:
    """Return the recipe of a trial, from the files of its search alone.

    Raises:
        UsageError: when there is no such trial, or the space of the search is not trusted.
    """
    states = {int(key): state for key, state in files.read_states(path).items()}
    if number not in states:
        raise UsageError(
            f"{path} has no trial {number}; it has {', '.join(map(str, sorted(states))) or 'none'}."
        )
    with parsing(files.trial_file(path, str(number)), files.REPAIR):
        hp = keras_tuner.HyperParameters.from_config(states[number]["hyperparameters"])
    recipe = from_file(path / "recipe.json")
    return recipe_of(_space_of(path / "space.py", recipe.name), recipe, hp)


def _space_of(copy: Path, name: str) -> SpaceFunction:
    """Return the space of a search: the shipped one where the copy is no other, else the copy, if trusted."""
    shipped = catalog.names("tuning").get(name)
    if shipped is not None and copy.is_file() and hash_code(shipped) == hash_code(copy):
        return catalog.space_in(shipped)
    return catalog.space_in(copy, python_file.load_received)


def _write_tuner_file(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("{}")
