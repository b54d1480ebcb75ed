"""The pipeline and the flags of its recipe: what every command that trains begins with."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl import environment
from kerasdl.cli.parser import Parser, value_of
from kerasdl.errors import UsageError
from kerasdl.recipe import catalog

if TYPE_CHECKING:
    from kerasdl.recipe import Recipe


def parse(
    parser: Parser, arguments: list[str], load: Callable[[str], tuple["Recipe", Path]] = catalog.load
) -> tuple["Recipe", Path, dict[str, Any]]:
    """Parse PIPELINE, --data and a flag for each scalar of the recipe, beside the command's own options.

    Args:
        parser: holds the command's own options; the others are added here.
        arguments: what follows the command's name; the pipeline comes first, since it decides the flags.
        load: returns the recipe of PIPELINE and the file it came from.

    Returns:
        The recipe with the flags applied, the file it came from, and the command's own options by name.

    Raises:
        UsageError: when the pipeline is not there or not first, or an argument is not understood.
    """
    parser.usage = f"{parser.prog} PIPELINE [--data DATA] [flags]"
    parser.add_argument("pipeline", metavar="PIPELINE", help="a name of `kerasdl list`, a .py file or a run")
    parser.add_data("digits, a tensorflow-datasets name, a folder, an .npz file")
    if not arguments or arguments[0].startswith("-"):
        parser.epilog = f"{parser.prog} PIPELINE --help shows the flags of that pipeline's recipe too."
        if "--help" not in arguments and "-h" not in arguments:
            raise UsageError(f"The pipeline comes first, as in {parser.prog} lenet5 --data digits.")
        parser.parse(arguments)
    environment.import_tensorflow()  # only now: --help alone answers without it
    from kerasdl.cli import flags

    parser.prog = f"{parser.prog} {arguments[0]}"  # whose --help shows these flags
    recipe, source = load(arguments[0])
    if (text := value_of("--data", arguments)) is not None:
        from kerasdl.data import from_text

        recipe = dataclasses.replace(recipe, data=from_text(text))
    flags.add_to(parser, recipe)
    values = vars(parser.parse(arguments))
    return flags.apply(recipe, values), source, values
