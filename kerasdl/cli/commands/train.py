"""`kerasdl train`: train a pipeline, evaluate, export and verify it; or resume a run."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from kerasdl.cli import recipe_arguments
from kerasdl.cli.parser import Parser
from kerasdl.errors import UsageError
from kerasdl.recipe import catalog
from kerasdl.report import terminal

if TYPE_CHECKING:
    from kerasdl.recipe import Recipe


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.argument_default = argparse.SUPPRESS  # what is not given stays as `train` or the run has it
    parser.add_argument(
        "--no-export",
        dest="export",
        action="store_false",
        help="stop after the evaluation, without an export",
    )
    parser.add_no_samples()
    parser.add_new_signature()
    parser.add_argument(
        "--profile", action="store_true", help="profile some steps: a breakdown of their time, and a trace"
    )
    parser.add_argument(
        "--resume", metavar="RUN", help="resume this interrupted run; it stands in the pipeline's place"
    )
    parser.add_argument(
        "--force", action="store_true", help="with --resume: resume although something differs"
    )
    first = recipe_arguments.ahead(parser, arguments, "--resume", "--from-trial")
    resumes = first.resume is not None
    _add_resuming(parser, first) if resumes else _add_training(parser)
    load = _load_run if resumes else _load_pipeline
    recipe, source, options = recipe_arguments.parse(parser, arguments, first, load)
    if options.pop("print_recipe", False):
        from kerasdl.recipe.document import to_json

        terminal.say(to_json(recipe), end="")
        return 0
    from kerasdl.cli import artefacts, printing
    from kerasdl.jobs import resume, train

    settled = {"--batch-size", "--learning-rate", "--min-steps-per-epoch"}
    given = {argument.partition("=")[0] for argument in arguments}
    if not resumes and recipe.min_steps_per_epoch == 0 and not settled & given:
        # Fewer examples than a batch are no mistake of who did not say how large that is.
        recipe = dataclasses.replace(recipe, min_steps_per_epoch=1)
    if resumes:
        result = resume.resume(first.resume, recipe=recipe, **options)
    else:
        options.pop("force", None)
        result = train.train(recipe, recipe_source=source, **options)
    artefacts.print_result(printing.open_console(soft_wrap=True), result, options.get("dry_run", False))
    return 1 if result.bundle is not None and result.bundle.failures else 0


def _add_training(parser: Parser) -> None:
    parser.add_argument(
        "--print-recipe", action="store_true",
        help="print the recipe as JSON and stop; the epochs that --min-steps may add are not in it yet",
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true", help="run two batches through all stages and keep nothing"
    )
    parser.add_argument(
        "--from-trial", metavar="SEARCH:TRIAL",
        help="use the recipe of a trial, by number or best: searches/lenet5/1:best",
    )  # fmt: skip
    parser.add_folders("runs", "exported")


def _add_resuming(parser: Parser, first: argparse.Namespace) -> None:
    if first.pipeline is not None:
        raise UsageError("--resume RUN stands in the pipeline's place: kerasdl train --resume RUN.")
    parser.usage = (
        f"{parser.prog} --resume RUN [--epochs INT] [--max-time TEXT] [--data DATA] [--force] [flags]"
    )
    parser.prog += f" --resume {first.resume}"  # whose --help shows the flags of that run's recipe
    parser.add_data("where the data is now, if it has moved")
    parser.add_folders("exported")


def _load_run(first: argparse.Namespace) -> tuple["Recipe", None]:
    """Load the recipe of a run."""
    from kerasdl.runs.folder import open_run

    return open_run(first.resume).recipe(), None


def _load_pipeline(first: argparse.Namespace) -> tuple["Recipe", Path]:
    """Load the recipe of a pipeline, or of a trial of its search, and return it with its file."""
    if first.from_trial is None:
        return catalog.load(first.pipeline)
    from kerasdl.search import record
    from kerasdl.search.keras_tuner.tuner import recipe_of_trial

    text, _, which = first.from_trial.rpartition(":")
    path = Path(text)
    if not text or not (which == "best" or which.isdecimal()):
        raise UsageError(
            f"--from-trial is {first.from_trial!r}; give SEARCH:TRIAL, as in searches/lenet5/1:best or :7."
        )
    found = record.read(path)
    name = catalog.load(first.pipeline)[0].name
    if name != found.name:
        raise UsageError(f"{path} is a search of {found.name}, not of {name}.")
    if which == "best":
        best = found.best()
        if best is None:
            raise UsageError(f"{path} has no best trial: none was completed within its limits.")
        which = best.number
    return recipe_of_trial(path, int(which)), path / "recipe.py"
