"""Which files of networks Keras may read: those of layers alone, and trusted ones with code."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from kerasdl.files import hash_file
from kerasdl.private import keras_config
from kerasdl.recipe import trust

_ENDINGS = (".keras", ".h5", ".hdf5")


def is_model(path: Path) -> bool:
    """Tell whether a path is a model to import: by its name, or as a SavedModel that no bundle holds."""
    return path.suffix.lower() in _ENDINGS or is_saved_model(path)


def is_saved_model(path: Path) -> bool:
    """Tell whether a path is a SavedModel of others: one beside no card."""
    return (path / "saved_model.pb").is_file() and not (path / "card.json").is_file()


def check(file: Path, document: Any, own: Collection[str] = ()) -> bool:
    """Refuse a file of a network with parts that would run code, unless its functions are trusted.

    Args:
        file: a `.keras` or `.h5` file.
        document: the configuration in it.
        own: registered names of classes of trusted code; see `keras_config.check`.

    Returns:
        Whether Keras may read it in safe mode: it holds no functions of its own.

    Raises:
        UsageError: names the part.
    """
    parts = list(keras_config.objects(document))
    held = sorted({str(part["class_name"]) for part in parts} & keras_config.CODE)
    keras_config.check(document, str(file), {*own, *held})
    if held:
        configs = [part.get("config") for part in parts if part["class_name"] == "Lambda"]
        names = [repr(config.get("name")) for config in configs if isinstance(config, dict)]
        what = f"holds a Lambda layer ({', '.join(names)}): Python code, which can do all that you can do."
        trust.check(hash_file(file), file, what)
    return not held
