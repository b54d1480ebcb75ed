"""Classes and functions of custom code that imported models name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from kerasdl.recipe import python_file

#: Classes and functions of the user's `--custom` file, by registered name, as this process knows them.
_own: dict[str, Any] = {}


def own_objects(folder: Path | None = None) -> dict[str, Any]:
    """Return the classes and functions of custom code that models here may name.

    Args:
        folder: a run, whose copy of the code is read if it is trusted. Defaults to None.

    Raises:
        UsageError: when the code is not trusted.
    """
    file = None if folder is None else folder / "recipe.py"
    if file is not None and file.is_file():
        remember(python_file.objects_in(python_file.load_received(file)))
    return dict(_own)


def remember(objects: Mapping[str, Any]) -> None:
    """Let models name the classes and functions of custom code."""
    _own.update({keras.saving.get_registered_name(found): found for found in objects.values()})
