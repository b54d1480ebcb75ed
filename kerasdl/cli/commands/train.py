"""`kerasdl train`: train a pipeline, evaluate, export and verify it; or go on with a run."""

import argparse
import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from kerasdl import environment
from kerasdl.cli import recipe_arguments
from kerasdl.cli.parser import Parser, value_of
from kerasdl.errors import UsageError
from kerasdl.recipe import catalog

if TYPE_CHECKING:
    from kerasdl.recipe import Recipe


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_argument("--no-export", dest="export", action="store_false", help="stop after the evaluation")
    parser.add_no_samples()
    parser.add_argument(
        "--profile", action="store_true", help="record some steps: where their time goes, and a trace"
    )
    parser.add_argument(
        "--resume", metavar="RUN", help="instead of a pipeline: go on with this run where it was interrupted"
    )
    parser.add_argument(
        "--force", action="store_true", help="with --resume: go on although something differs"
    )
    if not any(argument.partition("=")[0] == "--resume" for argument in arguments):
        return _train(parser, arguments)
    path = value_of("--resume", arguments)
    if path is None or not arguments[0].startswith("-"):
        raise UsageError(
            "--resume names a run and stands in the pipeline's place: kerasdl train --resume RUN."
        )
    return _resume(parser, arguments, path)


def _train(parser: Parser, arguments: list[str]) -> int:
    parser.add_argument(
        "--print-recipe", action="store_true",
        help="show the recipe and stop; --min-steps may still add epochs, which a run's recipe.json tells",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="two batches through all stages; keep nothing")
    parser.add_argument(
        "--from-trial", metavar="SEARCH:TRIAL",
        help="take the recipe of a trial, by number or best: searches/lenet5/1:best",
    )  # fmt: skip
    parser.add_folders("runs", "exported")
    trial = value_of("--from-trial", arguments)
    load = catalog.load if trial is None else functools.partial(_load_trial, trial)
    recipe, source, values = recipe_arguments.parse(parser, arguments, load)
    if values["print_recipe"]:
        from kerasdl.recipe.document import to_json

        print(to_json(recipe), end="")
        return 0
    from kerasdl.jobs import train

    result = train.train(
        recipe,
        runs_dir=values["runs_dir"],
        exported_dir=values["exported_dir"],
        export=values["export"],
        dry_run=values["dry_run"],
        embed_samples=values["samples"],
        profile=values["profile"],
        recipe_source=source,
    )
    return _finish(result, dry_run=values["dry_run"])


def _load_trial(trial: str, pipeline: str) -> tuple["Recipe", Path]:
    """Return the recipe of a trial of a search, and the file it came from."""
    from kerasdl.search import record
    from kerasdl.search.keras_tuner.tuner import recipe_of_trial

    text, _, which = trial.rpartition(":")
    path = Path(text)
    if not text or not (which == "best" or which.isdecimal()):
        raise UsageError(f"--from-trial is {trial!r}; give SEARCH:TRIAL, as in searches/lenet5/1:best or :7.")
    found = record.read(path)
    name = catalog.load(pipeline)[0].name
    if name != found.name:
        raise UsageError(f"{path} is a search of {found.name}, not of {name}.")
    if which == "best":
        best = found.best()
        if best is None:
            raise UsageError(f"{path} has no best trial: none was completed within its limits.")
        which = best.number
    return recipe_of_trial(path, int(which)), path / "recipe.py"


def _resume(parser: Parser, arguments: list[str], path: str) -> int:
    parser.usage = (
        f"{parser.prog} --resume RUN [--epochs INT] [--max-time TEXT] [--data DATA] [--force] [flags]"
    )
    parser.prog += f" --resume {path}"  # whose --help shows the flags of that run's recipe
    parser.add_data("where the data is now, if it has moved")
    parser.add_folders("exported")
    environment.import_tensorflow()
    from kerasdl.cli import flags
    from kerasdl.jobs import train
    from kerasdl.runs.folder import open_run

    recipe = open_run(path).recipe()
    if (text := value_of("--data", arguments)) is not None:
        from kerasdl.data import from_text

        recipe = dataclasses.replace(recipe, data=recipe.data.moved_to(from_text(text)))
    flags.add_to(parser, recipe)
    for action in parser._actions:  # what is not given stays as it was when the run began
        if action.dest in ("export", "samples", "exported_dir"):
            action.default = argparse.SUPPRESS
    values = vars(parser.parse(arguments))
    names = {"export": "export", "samples": "embed_samples", "exported_dir": "exported_dir"}
    options = {name: values[key] for key, name in names.items() if key in values}
    options |= {"force": values["force"], "profile": values["profile"]}
    result = train.resume(path, recipe=flags.apply(recipe, values), **options)
    return _finish(result)


def _finish(result, dry_run: bool = False) -> int:
    from rich.console import Console

    from kerasdl.cli import printing

    printing.print_result(Console(soft_wrap=True), result, dry_run=dry_run)
    return 1 if result.bundle is not None and result.bundle.failures else 0
