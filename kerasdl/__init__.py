"""kerasdl: train subclassed Keras 3 models and ship them, verified, to servers and phones.

>>> recipe = kerasdl.load_recipe("lenet5", data="digits", epochs=5)
>>> result = kerasdl.train(recipe)
>>> kerasdl.load(result.bundle.path).predict(images)["class_ids"]
"""

import multiprocessing
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl import environment, public
from kerasdl.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from kerasdl.jobs.open import Target
    from kerasdl.jobs.train import Result
    from kerasdl.recipe import Recipe
    from kerasdl.search.record import SearchRecord

__version__ = "0.1.0"

environment.set_defaults()

__all__ = [*public.PLACES, "load", "load_recipe", "resume", "train", "tune"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used; most need TensorFlow, which takes seconds."""
    if name not in public.PLACES:
        raise AttributeError(f"module 'kerasdl' has no attribute {name!r}." + did_you_mean(name, __all__))
    globals()[name] = found = public.find(name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_recipe(pipeline: str, *, data: Any = None, **fields: Any) -> "Recipe":
    """Load a pipeline's recipe, with changes.

    Args:
        pipeline: a name of `kerasdl list`, the path of a .py file or of a recipe.json.
        data: what `--data` takes ("digits", a folder, an .npz file, a set's name) or a source object.
            Defaults to the recipe's own.
        **fields: fields of the recipe to replace: epochs=5, batch_size=64, ...

    Raises:
        UsageError: for an unknown pipeline, data set, field or value.
    """
    environment.import_tensorflow()
    from kerasdl.recipe import catalog, replace

    loaded, _ = catalog.load(pipeline)
    if isinstance(data, str):
        from kerasdl.data import from_text

        data = from_text(data)
    return replace(loaded, **fields, **({} if data is None else {"data": data}))


def train(recipe: "Recipe", **options: Any) -> "Result":
    """Train, evaluate, export and verify a recipe; see `kerasdl.jobs.train.train` for the options."""
    environment.import_tensorflow()
    from kerasdl.jobs.train import train

    return train(recipe, **options)


def resume(path: str | Path, **options: Any) -> "Result":
    """Go on with a run that was interrupted; see `kerasdl.jobs.train.resume` for the options."""
    environment.import_tensorflow()
    from kerasdl.jobs.train import resume

    return resume(path, **options)


def tune(
    space: str,
    *,
    recipe: "Recipe | None" = None,
    workers: int | None = None,
    gpus: Sequence[str] = (),
    **options: Any,
) -> "SearchRecord":
    """Search hyperparameters, or go on with the newest unfinished search of the same settings.

    Trials run in processes of their own: call it below `if __name__ == "__main__":` in a script.

    Args:
        space: a shipped space ("lenet5"), or a .py file with a function `space(hp, recipe)` and a RECIPE.
        recipe: whose values are the defaults. Defaults to the one that the space is about.
        workers: trials at the same time. Defaults to one, or one for each of `gpus`.
        gpus: GPUs to use, one trial on each.
        **options: fields of `kerasdl.search.definition.Search`: max_trials=50, objectives=("val_loss",), ...

    Returns:
        The trials; `best()` is the best one, `ranked()` all that count.

    Raises:
        UsageError: for a space, recipe or option that does not work.
        RunFailedError: when no trial completed, or none keeps to the constraints.
    """
    if multiprocessing.parent_process() is not None:
        raise UsageError(
            "kerasdl.tune was reached in the process of a trial. In a script, call it below\n"
            '    if __name__ == "__main__":'
        )
    environment.import_tensorflow()
    from kerasdl.recipe import catalog
    from kerasdl.search import session
    from kerasdl.search.definition import Search

    own, source, space_file = catalog.load_space(space)
    search = Search(
        recipe=own if recipe is None else recipe,
        space=catalog.space_in(space_file),
        space_file=space_file,
        recipe_source=source,
        **options,
    )
    return session.tune(search, session.make_slots(workers, gpus))


def load(path: str | Path) -> "Target":
    """Open a run, a bundle or one exported file; see `kerasdl.jobs.open.load`."""
    environment.import_tensorflow()
    from kerasdl.jobs.open import load

    return load(path)
