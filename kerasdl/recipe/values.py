"""Checks that values are of the types that fields declare."""

import types
from typing import Any, Literal, Union, get_args, get_origin

from kerasdl.errors import UsageError, did_you_mean


def check_value(name: str, value: Any, annotation: Any) -> None:
    """Raise a UsageError unless a value is of the type its field says; near choices are offered."""
    if is_instance(value, annotation):
        return
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    wanted = f"one of {', '.join(map(str, choices))}" if choices else str(annotation).removeprefix("typing.")
    if isinstance(annotation, type):
        wanted = annotation.__name__
    raise UsageError(
        f"{name} is {value!r}, but it has to be {wanted}." + did_you_mean(str(value), map(str, choices))
    )


def is_instance(value: Any, annotation: Any) -> bool:
    """Say whether a value is of an annotated type; whole numbers are floats, truth values no numbers."""
    if annotation is Any:
        return True
    if get_origin(annotation) in (Union, types.UnionType):
        return any(is_instance(value, part) for part in get_args(annotation))
    if get_origin(annotation) is Literal:
        return value in get_args(annotation)
    if get_origin(annotation) is tuple:
        return isinstance(value, tuple)
    if annotation in (int, float):
        return isinstance(value, (int, annotation)) and not isinstance(value, bool)
    return isinstance(value, annotation)
