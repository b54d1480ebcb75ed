"""Command-line flags of a recipe: one for each field of it, its network, data and task that text can set.

The help of a flag is the comment above the field, or the line of the argument under `Args:` in the class
docstring. So a new field or a new network has its flags without a line of code.
"""

import argparse
import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from docstring_parser import google

from kerasdl.cli.parser import Parser
from kerasdl.data.source import Source
from kerasdl.errors import UsageError, did_you_mean
from kerasdl.recipe import Config, Recipe, replace, type_of, values
from kerasdl.recipe.config import parameters

_PARTS = ("model", "preprocessing", "augmentation", "data", "task")
#: What the short help of a command shows: all of the network, and of the recipe what is changed most.
_MAIN = (
    "epochs", "batch_size", "learning_rate", "optimizer", "weights", "freeze", "early_stopping", "max_time",
    "seed",
)  # fmt: skip
_SET_BY_DATA = ("name", "path")  # `--data` and the recipe's file give these


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag.

    Attributes:
        part: the part of the recipe that it belongs to, "" for the recipe itself.
        name: the field that it sets.
        annotation: the type of the field.
        default: the value of the field in the recipe.
        help: the help text.
    """

    part: str
    name: str
    annotation: Any
    default: Any
    help: str

    @property
    def option(self) -> str:
        """The flag as it is typed."""
        return "--" + self.name.replace("_", "-")

    @property
    def long_option(self) -> str:
        """The flag with its part, for commands that have an option of its name: `--model-objective`."""
        return f"--{self.part}{self.option[1:]}" if self.part else self.option

    @property
    def key(self) -> str:
        """The name of its value among those of the command line."""
        return f"{self.part}.{self.name}"


def of_recipe(recipe: Recipe) -> list[Flag]:
    """Return every flag of a recipe.

    Raises:
        UsageError: when two parts have a field of the same name.
    """
    flags = list(_of_dataclass("", recipe))
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
                f"Two parts of the recipe have a field for the flag {flag.option}: {other.part or 'recipe'} "
                f"and {flag.part}. Rename one of the fields."
            )
    return flags


def add_to(parser: Parser, recipe: Recipe, *, show_all: bool = True) -> None:
    """Add every flag of a recipe to a parser, one group for each part.

    Args:
        parser: the parser.
        recipe: the recipe.
        show_all: show the help of all; else of those that are used most.
    """
    for flag in of_recipe(recipe):
        option = flag.option if flag.option not in parser.flags else flag.long_option
        if option in parser.flags:
            raise UsageError(f"{option} is an option of the command itself: rename the field {flag.name}.")
        title = f"{flag.part} ({type_of(getattr(recipe, flag.part)).__name__})" if flag.part else "recipe"
        kind = {"action": argparse.BooleanOptionalAction} if flag.annotation is bool else {
            "type": _reader(flag), "metavar": values.describe(flag.annotation)
        }  # fmt: skip
        shows = show_all or flag.part == "model" or (not flag.part and flag.name in _MAIN)
        has_default = flag.default is not inspect.Parameter.empty
        shown = f" (default: {values.written(flag.default)})" if has_default else ""
        parser.add_to_group(
            title, option, dest=flag.key, default=argparse.SUPPRESS,
            help=f"{flag.help}{shown}".replace("%", "%%") if shows else argparse.SUPPRESS, **kind,
        )  # fmt: skip
    if not show_all:
        parser.epilog = "--help-all shows every flag, those of the data, optimizer and task too."


def add_sources(parser: Parser, sources: Sequence[Source]) -> None:
    """Add the flags of several kinds of data to a parser, each flag once.

    Args:
        parser: the parser.
        sources: what data may be read as.
    """
    for source in sources:
        for flag in _of_dataclass("data", source):
            if flag.option in parser.flags:
                continue
            kind = {"action": argparse.BooleanOptionalAction} if flag.annotation is bool else {
                "type": _reader(flag), "metavar": values.describe(flag.annotation)
            }  # fmt: skip
            text = f"{flag.help} (default: {values.written(flag.default)})".replace("%", "%%")
            title = f"data ({type(source).__name__})"
            parser.add_to_group(
                title, flag.option, dest=flag.key, default=argparse.SUPPRESS, help=text, **kind
            )


def apply(recipe: Recipe, given: dict[str, Any]) -> Recipe:
    """Return the recipe with the values that the flags of `add_to` were given.

    Args:
        recipe: the recipe whose flags were parsed.
        given: values by `Flag.key`; other keys are passed over.
    """
    changes: dict[str, dict[str, Any]] = {}
    for key, value in given.items():
        part, dot, name = key.rpartition(".")
        if dot:
            changes.setdefault(part, {})[name] = value
    own = changes.pop("", {})
    for part, fields in changes.items():
        value = getattr(recipe, part)
        is_config = isinstance(value, Config)
        own[part] = value.replace(**fields) if is_config else dataclasses.replace(value, **fields)
    return replace(recipe, **own)


def _of_dataclass(part: str, value: Any) -> Iterator[Flag]:
    comments = field_comments(type(value))
    for field in dataclasses.fields(value):
        hidden = field.name in _SET_BY_DATA or not field.metadata.get("flag", True)
        if values.is_typed(field.type) and not hidden:
            yield Flag(part, field.name, field.type, getattr(value, field.name), comments.get(field.name, ""))


def _of_config(part: str, value: Config, hidden: tuple[str, ...]) -> Iterator[Flag]:
    lines = argument_help(value.target)
    for name, parameter in parameters(value.target).items():
        if name not in hidden and values.is_typed(parameter.annotation):
            default = value.values.get(name, parameter.empty)
            yield Flag(part, name, parameter.annotation, default, lines.get(name, ""))


def field_comments(kind: type) -> dict[str, str]:
    """Return the comment right above each field of a dataclass and of those it inherits from, by field."""
    found: dict[str, str] = {}
    for base in reversed([base for base in kind.__mro__ if dataclasses.is_dataclass(base)]):
        source = textwrap.dedent(inspect.getsource(base))
        lines = [line.strip() for line in source.splitlines()]
        for node in ast.parse(source).body[0].body:
            if isinstance(node, ast.AnnAssign):
                first = node.lineno - 1
                while lines[first - 1].startswith("#"):
                    first -= 1
                comment = " ".join(line.lstrip("#: ") for line in lines[first : node.lineno - 1])
                found[node.target.id] = comment.rstrip(".")
    return found


def argument_help(kind: type) -> dict[str, str]:
    """Return the text of each argument under `Args:` of a class docstring, without "Defaults to ..."."""
    found = google.parse(inspect.getdoc(kind) or "").params
    texts = {one.arg_name: " ".join((one.description or "").split()) for one in found}
    return {name: text.partition(" Defaults to ")[0].rstrip(".") for name, text in texts.items()}


def _reader(flag: Flag):
    def read(text: str) -> Any:
        try:
            return values.parse(flag.annotation, text)
        except ValueError:
            hint = did_you_mean(text, map(str, values.choices(flag.annotation)))
            raise argparse.ArgumentTypeError(
                f"got {text!r}, but it takes {values.describe(flag.annotation)}.{hint}"
            ) from None

    return read
