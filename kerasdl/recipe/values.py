"""Typed values of fields: check them, read them from text, and describe which ones a field takes.

A type is a scalar (bool, int, float, str), None, a Literal, a tuple of these, or a union of all these.
"""

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from kerasdl.errors import UsageError, did_you_mean

_NAMES = {bool: "true|false", int: "INT", float: "NUMBER", str: "TEXT", types.NoneType: "none"}
_WORDS = {"true": True, "false": False, "none": None}


def check_value(name: str, value: Any, annotation: Any) -> None:
    """Raise a UsageError unless a value has the type of its field; near choices are offered.

    Args:
        name: name of the field.
        value: the value.
        annotation: type of the field; a string names a class that this layer does not import, and None.
    """
    if isinstance(annotation, str):
        _check_part(name, value, annotation.split(" | "))
    elif not is_instance(value, annotation):
        known = [str(choice) for choice in choices(annotation)]
        wanted = f"one of {', '.join(known)}" if get_origin(annotation) is Literal else _name(annotation)
        raise UsageError(f"{name} is {value!r}, but it has to be {wanted}." + did_you_mean(str(value), known))


def is_instance(value: Any, annotation: Any) -> bool:
    """Return whether a value is of a type; whole numbers are floats, truth values are no numbers."""
    if annotation is Any:
        return True
    if _is_union(annotation):
        return any(is_instance(value, part) for part in get_args(annotation))
    if get_origin(annotation) is Literal:
        return value in get_args(annotation)
    if get_origin(annotation) is tuple:
        return isinstance(value, tuple) and _has_parts(value, get_args(annotation))
    if annotation in (int, float):
        return isinstance(value, (int, annotation)) and not isinstance(value, bool)
    return isinstance(value, annotation)


def _has_parts(value: tuple, kinds: tuple) -> bool:
    if kinds[-1:] == (Ellipsis,):
        kinds = kinds[:1] * len(value)
    return len(kinds) == len(value) and all(map(is_instance, value, kinds))


def is_typed(annotation: Any) -> bool:
    """Return whether values of a type can be written on a command line."""
    if _is_union(annotation):
        return all(is_typed(part) for part in get_args(annotation))
    if get_origin(annotation) is tuple:
        return all(part is Ellipsis or part in _NAMES for part in get_args(annotation))
    return get_origin(annotation) is Literal or annotation in tuple(_NAMES)


def parse(annotation: Any, text: str) -> Any:
    """Read a value of a type from text.

    Raises:
        ValueError: when the text is not such a value.
    """
    if _is_union(annotation):
        # None first: "none" is also a tuple of one word.
        for part in sorted(get_args(annotation), key=lambda part: part is not types.NoneType):
            try:
                return parse(part, text)
            except ValueError:
                continue
        raise ValueError(text)
    if get_origin(annotation) is Literal:
        return _choose(text, {str(choice): choice for choice in get_args(annotation)})
    if get_origin(annotation) is tuple:
        kinds, words = get_args(annotation), [word for word in text.split(",") if word]
        if kinds[-1] is Ellipsis:
            kinds = kinds[:1] * len(words)
        return tuple(parse(kind, word) for kind, word in zip(kinds, words, strict=True))
    if annotation in (bool, types.NoneType):
        known = {word: value for word, value in _WORDS.items() if type(value) is annotation}
        return _choose(text.lower(), known)
    return annotation(text)


def choices(annotation: Any) -> Iterator[Any]:
    """Yield the values of every Literal in a type."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for part in get_args(annotation):
            yield from choices(part)


def describe(annotation: Any) -> str:
    """Return the values that a type takes, as help texts show them: `INT,INT|none`."""
    if _is_union(annotation):
        return "|".join(map(describe, get_args(annotation)))
    if get_origin(annotation) is Literal:
        return "|".join(map(str, get_args(annotation)))
    if get_origin(annotation) is tuple:
        kinds = get_args(annotation)
        if kinds[-1] is Ellipsis:
            kinds = (kinds[0], kinds[0], ...)
        return ",".join("..." if kind is Ellipsis else describe(kind) for kind in kinds)
    return _NAMES[annotation]


def written(value: Any) -> str:
    """Return a value as it is written on a command line."""
    if value is None:
        return "none"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _check_part(name: str, value: Any, wanted: list[str]) -> None:
    """Raise a UsageError unless a part of a recipe inherits one of the public classes named in its type."""
    bases = {kind.__name__ for kind in type(value).__mro__ if kind.__module__.startswith("kerasdl.")}
    if bases.intersection(wanted) or (value is None and "None" in wanted):
        return
    own = value if isinstance(value, type) else type(value)
    advice = f"{own.__name__}(...)" if own is value else f"class {own.__name__}(kerasdl.{wanted[0]})"
    raise UsageError(
        f"{name} is {value!r}, but it has to be an object of a class that inherits kerasdl.{wanted[0]}."
        + ("" if own.__module__ == "builtins" else f" Write: {advice}")
    )


def _choose(text: str, known: dict[str, Any]) -> Any:
    if text not in known:
        raise ValueError(text)
    return known[text]


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).removeprefix("typing.")
