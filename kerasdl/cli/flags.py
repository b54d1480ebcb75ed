"""Command-line flags out of a recipe: one for each scalar field of it, its network, data and task.

A field's comment, or a constructor argument's line under `Args:`, is the flag's help. So a new field or a
new network has its flags without a line of code.
"""

import argparse
import dataclasses
import inspect
import re
import types
from typing import Any, Literal, Union, get_args, get_origin

from kerasdl.errors import UsageError, did_you_mean
from kerasdl.recipe import Config, Recipe, replace, type_of

_PARTS = ("model", "preprocessing", "augmentation", "data", "task")
_SCALARS = (bool, int, float, str)
_SET_BY_DATA = ("name", "path")  # `--data` and the recipe's file give these


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag: the part of the recipe it belongs to ("" for the recipe itself) and the field it sets."""

    part: str
    name: str
    annotation: Any
    default: Any
    help: str

    @property
    def option(self) -> str:
        """The flag as it is typed."""
        return "--" + self.name.replace("_", "-")


def of_recipe(recipe: Recipe) -> list[Flag]:
    """Return every flag of a recipe.

    Raises:
        UsageError: when two parts have a field of the same name.
    """
    flags = _of_dataclass("", recipe)
    for part in _PARTS:
        value = getattr(recipe, part)
        if isinstance(value, Config):
            flags += _of_config(part, value, hidden=recipe.task.from_data)
        elif value is not None:
            flags += _of_dataclass(part, value)
    seen: dict[str, Flag] = {}
    for flag in flags:
        if (other := seen.setdefault(flag.name, flag)) is not flag:
            raise UsageError(
                f"The flag {flag.option} is asked for by two parts of the recipe: {other.part or 'recipe'} "
                f"and {flag.part}. Rename one of the fields."
            )
    return flags


def add_to(parser: argparse.ArgumentParser, recipe: Recipe) -> None:
    """Add every flag of a recipe to a parser, a group for each part."""
    groups: dict[str, Any] = {}
    for flag in of_recipe(recipe):
        if flag.option in parser._option_string_actions:
            raise UsageError(
                f"{flag.option} is an option of the command itself: rename the field {flag.name}."
            )
        if flag.part not in groups:
            title = f"{flag.part} ({type_of(getattr(recipe, flag.part)).__name__})" if flag.part else "recipe"
            groups[flag.part] = parser.add_argument_group(title)
        kind = {"action": argparse.BooleanOptionalAction} if flag.annotation is bool else {
            "type": _parser_of(flag), "metavar": _metavar(flag.annotation)
        }  # fmt: skip
        shown = "none" if flag.default is None else _written(flag.default)
        groups[flag.part].add_argument(
            flag.option, dest=f"{flag.part}.{flag.name}", default=argparse.SUPPRESS,
            help=f"{flag.help} (default: {shown})".replace("%", "%%"), **kind,
        )  # fmt: skip


def apply(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """Return the recipe with the values that `add_to`'s flags were given.

    Args:
        recipe: the recipe whose flags were parsed.
        values: "part.field" -> value; other keys are passed over.
    """
    changes: dict[str, Any] = {}
    for part in _PARTS:
        fields = {key.partition(".")[2]: value for key, value in values.items() if key.startswith(f"{part}.")}
        if fields:
            value = getattr(recipe, part)
            is_config = isinstance(value, Config)
            changes[part] = value.replace(**fields) if is_config else dataclasses.replace(value, **fields)
    changes |= {key[1:]: value for key, value in values.items() if key.startswith(".")}
    return replace(recipe, **changes)


def _of_dataclass(part: str, value: Any) -> list[Flag]:
    comments = field_comments(type(value))
    return [
        Flag(part, field.name, field.type, getattr(value, field.name), comments.get(field.name, ""))
        for field in dataclasses.fields(value)
        if _is_scalar(field.type) and field.name not in _SET_BY_DATA
    ]


def _of_config(part: str, value: Config, hidden: tuple[str, ...]) -> list[Flag]:
    lines = argument_help(value.target)
    return [
        Flag(part, name, parameter.annotation, getattr(value, name), lines.get(name, ""))
        for name, parameter in inspect.signature(value.target).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        and name not in hidden
        and _is_scalar(parameter.annotation)
    ]


def field_comments(kind: type) -> dict[str, str]:
    """Return field -> the comment lines right above it, of a dataclass and those it inherits from."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        comment: list[str] = []
        for line in inspect.getsource(base).splitlines():
            if match := re.match(r"\s*#\s?(.*)", line):
                comment.append(match[1].strip())
            elif match := re.match(r"    (\w+)\s*:", line):
                found[match[1]] = " ".join(comment).rstrip(".")
                comment = []
            else:
                comment = []
    return found


def argument_help(kind: type) -> dict[str, str]:
    """Return argument -> its text under `Args:` of a class docstring, without "Defaults to ..."."""
    docstring = inspect.getdoc(kind) or ""
    section = re.search(r"^Args:\n((?:    .*\n?|\n)*)", docstring, re.MULTILINE)
    entries = re.findall(
        r"^    (\w+): ((?:.*\n?)(?:        .*\n?)*)", section[1] if section else "", re.MULTILINE
    )
    return {
        name: re.sub(r"\s*Defaults to .*", "", " ".join(text.split())).rstrip(".") for name, text in entries
    }


def _is_scalar(annotation: Any) -> bool:
    """Say whether a value of this type can be written in one argument."""
    if get_origin(annotation) in (Union, types.UnionType):
        return all(_is_scalar(part) for part in get_args(annotation))
    if get_origin(annotation) is tuple:
        return all(part is Ellipsis or part in _SCALARS for part in get_args(annotation))
    return get_origin(annotation) is Literal or annotation in (*_SCALARS, type(None))


def _parser_of(flag: Flag):
    def parse(text: str) -> Any:
        try:
            return parse_value(flag.annotation, text)
        except ValueError:
            hint = did_you_mean(text, map(str, _choices(flag.annotation)))
            raise argparse.ArgumentTypeError(
                f"got {text!r}, but it takes {_metavar(flag.annotation)}.{hint}"
            ) from None

    return parse


def parse_value(annotation: Any, text: str) -> Any:
    """Turn an argument's text into a value of a field's type.

    Raises:
        ValueError: when the text is no such value.
    """
    if get_origin(annotation) in (Union, types.UnionType):
        # None first: "none" is a tuple of one word too.
        for part in sorted(get_args(annotation), key=lambda part: part is not type(None)):
            try:
                return parse_value(part, text)
            except ValueError:
                continue
        raise ValueError(text)
    if get_origin(annotation) is Literal:
        for choice in get_args(annotation):
            if text == str(choice):
                return choice
        raise ValueError(text)
    if get_origin(annotation) is tuple:
        kinds, words = get_args(annotation), [word for word in text.split(",") if word]
        if kinds[-1] is Ellipsis:
            kinds = kinds[:1] * len(words)
        return tuple(parse_value(kind, word) for kind, word in zip(kinds, words, strict=True))
    if annotation is type(None):
        if text.lower() != "none":
            raise ValueError(text)
        return None
    return annotation(text)


def _choices(annotation: Any) -> tuple:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in _choices(part))


def _metavar(annotation: Any) -> str:
    """Say in words which values a field takes."""
    if get_origin(annotation) in (Union, types.UnionType):
        return "|".join(_metavar(part) for part in get_args(annotation))
    if get_origin(annotation) is Literal:
        return "|".join(str(choice) for choice in get_args(annotation))
    if get_origin(annotation) is tuple:
        kinds = get_args(annotation)
        names = [_metavar(kind) for kind in (kinds[:1] * 2 if kinds[-1] is Ellipsis else kinds)]
        return ",".join(names) + (",..." if kinds[-1] is Ellipsis else "")
    return {int: "INT", float: "NUMBER", str: "TEXT", type(None): "none"}[annotation]


def _written(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
