"""Loads recipes from Python: names, paths or recipes, with fields as keywords."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl import environment
from kerasdl.errors import UsageError
from kerasdl.recipe import Recipe, catalog, keywords, sketch
from kerasdl.recipe import trust as trusting

if TYPE_CHECKING:
    from kerasdl.data.source import Source


def load_recipe(
    pipeline: str | os.PathLike[str],
    *,
    data: "str | os.PathLike[str] | Source | None" = None,
    trust: bool = False,
    **fields: Any,
) -> Recipe:
    """Load the recipe of a pipeline, with changes.

    Args:
        pipeline: name in `kerasdl list`, or path of a .py file, a recipe.json or a run.
        data: source, or text that `--data` takes ("digits", a folder, an .npz file, the name of a set).
            Defaults to the recipe's own.
        trust: run the Python code beside a recipe.json although somebody else made it, and remember that.
        **fields: fields of the recipe to replace, and arguments of its network, preprocessing, augmentation,
            data and task, as flags have them: epochs=5, batch_size=64, dropout=0.2, ...

    Returns:
        The recipe, a frozen value; `kerasdl.replace` changes it further.

    Raises:
        UsageError: for an unknown pipeline, data set, field or value.

    Example:
        >>> recipe = kerasdl.load_recipe("lenet5", data="digits", epochs=5, dropout=0.2)
    """
    return loaded(pipeline, data, trust, fields, ("data", "trust"))[0]


def loaded(
    recipe: str | os.PathLike[str] | Recipe,
    data: "str | os.PathLike[str] | Source | None",
    trust: bool,
    fields: Mapping[str, Any],
    options: tuple[str, ...],
    load: Callable[[str], tuple[Recipe, Path | None]] = catalog.load,
    find: Callable[[str], Path] = catalog.find,
) -> tuple[Recipe, Path | None]:
    """Return a recipe with changes, and the file that it came from; mistakes show before TensorFlow does.

    Args:
        recipe: a name, a path or a recipe.
        data: as `load_recipe` takes it.
        trust: as `load_recipe` takes it.
        fields: changes by name.
        options: other keywords of the function that was called, to propose for a mistyped one.
        load: function from the name to the recipe and the file that it came from.
        find: function from the name to that file.

    Raises:
        UsageError: for what cannot be used.
    """
    if isinstance(recipe, Recipe):
        return _changed(recipe, data, fields, options), None
    if not isinstance(recipe, (str, os.PathLike)):
        raise UsageError(
            f"The recipe is {recipe!r}, but it has to be the name of a pipeline, a path, or a Recipe."
        )
    name = os.fspath(recipe)

    def read() -> tuple[Recipe, Path | None]:
        with trusting.accepting(trust):
            found, source = load(name)
        return _changed(found, data, fields, options), source

    with environment.quiet_logger("kerasdl"):
        sketch.without_keras(find(name), read)
    environment.import_tensorflow()
    return read()


def _changed(
    recipe: Recipe,
    data: "str | os.PathLike[str] | Source | None",
    fields: Mapping[str, Any],
    options: tuple[str, ...],
) -> Recipe:
    if data is not None:
        from kerasdl.data import from_text

        is_text = isinstance(data, (str, os.PathLike))
        fields = {**fields, "data": from_text(os.fspath(data), recipe.data) if is_text else data}
    return keywords.apply(recipe, fields, options) if fields else recipe
