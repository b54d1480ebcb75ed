"""Refuses data of another kind than something was trained on."""

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from kerasdl.data.dataset import DataSpec, Tree
from kerasdl.errors import UsageError


def check(path: Path, wanted: DataSpec, given: DataSpec) -> None:
    """Raise a UsageError unless data has the examples and the classes that something was trained on.

    Args:
        path: what was trained.
        wanted: specification of the data it was trained on.
        given: specification of the data.
    """
    if given.inputs != wanted.inputs:
        raise UsageError(
            f"{path} takes examples of shape {shapes(wanted.inputs)}, but this data has "
            f"{shapes(given.inputs)}. Give data like that it was trained on."
        )
    if list(map(_normal, given.class_names)) != list(map(_normal, wanted.class_names)):
        raise UsageError(
            f"{path} knows the classes {_few(wanted.class_names)}, but this data has "
            f"{_few(given.class_names)}. Give data with the same classes."
        )


def shapes(specs: Tree) -> str:
    """Return the shapes of an example in words."""
    if isinstance(specs, Mapping):
        return ", ".join(f"{name} {spec.shape}" for name, spec in specs.items())
    return str(specs.shape)


def _normal(name: str) -> str:
    """Return a name in one of its Unicode forms."""
    return unicodedata.normalize("NFC", name)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f", ... ({len(names)})" if len(names) > 5 else "") or "none"
