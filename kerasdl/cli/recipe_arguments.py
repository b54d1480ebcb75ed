"""The pipeline and the flags of its recipe, with which every command that trains begins."""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.errors import UsageError
from kerasdl.recipe import catalog, sketch

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
    find: "Callable[[str], Path]" = catalog.find,
) -> tuple["Recipe", Path | None, dict[str, Any]]:
    """Parse the command's own options and a flag for each field of the recipe.

    Args:
        parser: parser with the command's own options; the others are added here.
        arguments: all that follows the command's name.
        first: result of `ahead`. Defaults to calling it.
        load: function from `first` to the recipe and the file that it came from.
        find: function from the name of a pipeline to the file of its recipe.

    Returns:
        The recipe with the flags applied, the file that it came from, and the command's own options by name.

    Raises:
        UsageError: when the pipeline is missing or not first, or an argument is not understood.
    """
    first = first or ahead(parser, arguments)
    if first.resume is None:
        _expect_pipeline(parser, arguments, first)
    file, values = _file_of(first, find), None
    if file is not None:  # mistakes and --help end here, in a fraction of the time of TensorFlow's import
        values = sketch.without_keras(file, lambda: _checked(parser, arguments, first, load))
    environment.import_tensorflow()
    from kerasdl.cli import flags

    recipe, source = _loaded(first, load)
    values = _parsed(parser, arguments, recipe) if values is None else values
    own = {name: value for name, value in values.items() if "." not in name and name not in vars(first)}
    return flags.apply(recipe, values), source, own


def _file_of(first: argparse.Namespace, find: "Callable[[str], Path]") -> Path | None:
    """Return the file of the recipe; None where it has to be looked for in a search."""
    if first.resume is not None:
        from kerasdl.runs.folder import open_run

        return open_run(first.resume).recipe_file
    file = find(first.pipeline)
    if trial := getattr(first, "from_trial", None):
        search = trial.rpartition(":")[0]
        if search and not Path(search).exists():
            raise UsageError(f"There is no {search}. `kerasdl tune` makes such a folder, and says its name.")
        return None
    return file


def _checked(parser: Parser, arguments: list[str], first: argparse.Namespace, load: "Load") -> dict[str, Any]:
    """Return the values of all flags; refuse what the recipe does not take, and data that is not there."""
    from kerasdl.cli import flags

    with environment.quiet_logger("kerasdl"):
        recipe, _ = _loaded(first, load)
        values = _parsed(parser, arguments, recipe)
        recipe = flags.apply(recipe, values)
    place = recipe.data.place
    if place and ("/" in place or "." in place) and not Path(place).expanduser().exists():
        recipe.data.load()  # says what there should be
    return values


def _loaded(first: argparse.Namespace, load: "Load") -> tuple["Recipe", Path | None]:
    """Load the recipe, with the data of --data, and return it with its file."""
    recipe, source = load(first)
    if first.data is not None:
        from kerasdl.data import from_text

        given = from_text(first.data, recipe.data)
        data = given if first.resume is None else recipe.data.moved_to(given)
        recipe = dataclasses.replace(recipe, data=data)
    return recipe, source


def _parsed(parser: Parser, arguments: list[str], recipe: "Recipe") -> dict[str, Any]:
    """Parse the command's own options and the recipe's flags; return the values that were given."""
    from kerasdl.cli import flags

    flags.add_to(parser, recipe, show_all="--help-all" in arguments)
    try:
        return vars(parser.parse(arguments))
    except UsageError:
        from kerasdl.jobs import misfit

        misfit.check(recipe.data, recipe.task, None)  # then a flag that is not there is no mistake
        raise


def _expect_pipeline(parser: Parser, arguments: list[str], first: argparse.Namespace) -> None:
    """Add PIPELINE and --data; without a pipeline print the help that there is, or raise a UsageError."""
    parser.usage = f"{parser.prog} PIPELINE [--data DATA] [flags]"
    parser.add_argument("pipeline", metavar="PIPELINE", help="a name of `kerasdl list`, a .py file or a run")
    parser.add_argument("--help-all", action="help", help="show every flag of the recipe")
    parser.add_data(
        "digits, phrases, requests, shakespeare, demand, a tensorflow-datasets name, a folder, or a .npz, "
        ".csv, .tsv, .jsonl, .parquet, .conll or .txt file"
    )
    if first.pipeline is None:
        parser.epilog = f"{parser.prog} PIPELINE --help shows the flags of that pipeline's recipe too."
        if not {"-h", "--help", "--help-all"} & set(arguments):
            raise UsageError(f"The pipeline comes first, as in {parser.prog} lenet5 --data digits.")
        parser.parse(arguments)
    parser.prog = f"{parser.prog} {first.pipeline}"  # whose --help shows its flags
