"""kerasdl: train subclassed Keras 3 models and ship them, verified, to servers and phones.

>>> recipe = kerasdl.load_recipe("lenet5", data="digits", epochs=5)
>>> result = kerasdl.train(recipe)
>>> kerasdl.load(result.bundle.path).predict(images)["class_ids"]
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl import environment

if TYPE_CHECKING:
    from kerasdl.loading import Target
    from kerasdl.recipe import Recipe
    from kerasdl.trainer import Result

__version__ = "0.1.0"

environment.set_defaults()


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
    from kerasdl import catalog
    from kerasdl.recipe import replace

    loaded, _ = catalog.load(pipeline)
    if isinstance(data, str):
        from kerasdl.data import from_text

        data = from_text(data)
    return replace(loaded, **fields, **({} if data is None else {"data": data}))


def train(recipe: "Recipe", **options: Any) -> "Result":
    """Train, evaluate, export and verify a recipe; see `kerasdl.trainer.train` for the options."""
    environment.import_tensorflow()
    from kerasdl.trainer import train

    return train(recipe, **options)


def resume(path: str | Path, **options: Any) -> "Result":
    """Go on with a run that was interrupted; see `kerasdl.trainer.resume` for the options."""
    environment.import_tensorflow()
    from kerasdl.trainer import resume

    return resume(path, **options)


def load(path: str | Path) -> "Target":
    """Open a run, a bundle or one exported file; see `kerasdl.loading.load`."""
    environment.import_tensorflow()
    from kerasdl.loading import load

    return load(path)
