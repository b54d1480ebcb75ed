"""Tells layers which kind of file their graph is traced for, where a runtime needs other operators."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Literal

Kind = Literal["saved_model", "tflite", "onnx"]

_kind: contextvars.ContextVar[Kind | None] = contextvars.ContextVar("kind", default=None)
_unrolls: contextvars.ContextVar[bool] = contextvars.ContextVar("unrolls", default=False)


@contextlib.contextmanager
def exporting(kind: Kind, unroll: bool = False) -> Iterator[None]:
    """Trace what is called in here for one kind of file.

    Args:
        kind: "saved_model" (any device), "tflite" (builtin operators alone) or "onnx".
        unroll: write every step of a loop out, where the number of steps is known. Defaults to False.
    """
    tokens = _kind.set(kind), _unrolls.set(unroll)
    try:
        yield
    finally:
        _kind.reset(tokens[0])
        _unrolls.reset(tokens[1])


def kind() -> Kind | None:
    """Return the kind of file that is traced; None outside of an export."""
    return _kind.get()


def unrolls() -> bool:
    """Tell whether every step of a loop is written out."""
    return _unrolls.get()
