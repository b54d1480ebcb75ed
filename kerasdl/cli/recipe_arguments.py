"""The pipeline and the flags of its recipe, with which every command that trains begins."""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.errors import UsageError
from kerasdl.recipe import catalog

if TYPE_CHECKING:
    from kerasdl.recipe import Recipe

    Load = Callable[[argparse.Namespace], tuple["Recipe", Path | None]]


def ahead(parser: Parser, arguments: list[str], *options: str) -> argparse.Namespace:
    """Parse what decides which flags there are: the pipeline, --data, and some options of the command.

    Args:
        parser: parser of the command, which messages name.
        arguments: all that follows the command's name; a pipeline comes first.
        options: further options to read ahead: "--resume", "--from-trial".
    """
    first = Parser(prog=parser.prog, add_help=False)
    for option in ("--data", *options):
        first.add_argument(option)
    named = bool(arguments) and not arguments[0].startswith("-")
    known = argparse.Namespace(pipeline=arguments[0] if named else None, resume=None)
    return first.parse_known_args(arguments, known)[0]


def parse(
    parser: Parser,
    arguments: list[str],
    first: argparse.Namespace | None = None,
    load: "Load" = lambda first: catalog.load(first.pipeline),
) -> tuple["Recipe", Path | None, dict[str, Any]]:
    """Parse the command's own options and a flag for each field of the recipe.

    Args:
        parser: parser with the command's own options; the others are added here.
        arguments: all that follows the command's name.
        first: result of `ahead`. Defaults to calling it.
        load: function from `first` to the recipe and the file that it came from.

    Returns:
        The recipe with the flags applied, the file that it came from, and the command's own options by name.

    Raises:
        UsageError: when the pipeline is missing or not first, or an argument is not understood.
    """
    first = first or ahead(parser, arguments)
    if first.resume is None:
        _expect_pipeline(parser, arguments, first)
    environment.import_tensorflow()  # only now: --help alone answers without it
    from kerasdl.cli import flags

    recipe, source = load(first)
    if first.data is not None:
        from kerasdl.data import from_text

        given = from_text(first.data, recipe.data)
        data = given if first.resume is None else recipe.data.moved_to(given)
        recipe = dataclasses.replace(recipe, data=data)
    flags.add_to(parser, recipe)
    values = vars(parser.parse(arguments))
    own = {name: value for name, value in values.items() if "." not in name and name not in vars(first)}
    return flags.apply(recipe, values), source, own


def _expect_pipeline(parser: Parser, arguments: list[str], first: argparse.Namespace) -> None:
    """Add PIPELINE and --data; without a pipeline print the help that there is, or raise a UsageError."""
    parser.usage = f"{parser.prog} PIPELINE [--data DATA] [flags]"
    parser.add_argument("pipeline", metavar="PIPELINE", help="a name of `kerasdl list`, a .py file or a run")
    parser.add_data(
        "digits, phrases, a tensorflow-datasets name, a folder, or a .npz, .csv, .tsv, .jsonl or .txt file"
    )
    if first.pipeline is None:
        parser.epilog = f"{parser.prog} PIPELINE --help shows the flags of that pipeline's recipe too."
        if "--help" not in arguments and "-h" not in arguments:
            raise UsageError(f"The pipeline comes first, as in {parser.prog} lenet5 --data digits.")
        parser.parse(arguments)
    parser.prog = f"{parser.prog} {first.pipeline}"  # whose --help shows its flags
