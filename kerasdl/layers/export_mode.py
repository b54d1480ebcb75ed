"""Tells layers which kind of file their graph is traced for, where a runtime needs other operators."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Literal

Kind = Literal["saved_model", "tflite", "onnx"]

_kind: contextvars.ContextVar[Kind | None] = contextvars.ContextVar("kind", default=None)


@contextlib.contextmanager
def exporting(kind: Kind) -> Iterator[None]:
    """Trace what is called in here for one kind of file.

    Args:
        kind: "saved_model" (any device), "tflite" (builtin operators alone) or "onnx".
    """
    token = _kind.set(kind)
    try:
        yield
    finally:
        _kind.reset(token)


def kind() -> Kind | None:
    """Return the kind of file that is traced; None outside of an export."""
    return _kind.get()
