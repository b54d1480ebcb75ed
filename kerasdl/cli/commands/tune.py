"""`kerasdl tune`: search the hyperparameters of a pipeline, or show a search."""

import argparse
import sys
from pathlib import Path

from kerasdl.cli import recipe_arguments
from kerasdl.cli.parser import Parser
from kerasdl.errors import UsageError, did_you_mean
from kerasdl.recipe import catalog
from kerasdl.report import terminal

_TUNERS = ("bayesian", "random", "grid", "hyperband", "keras-bayesian")
_DEFAULT_TRIALS = 20
#: Options that --chief excludes, options that --worker excludes.
_OF_WORKERS = ("workers", "gpus", "retries")
_OF_THE_CHIEF = ("max_trials", "new")


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    if arguments[:1] == ["show"]:
        return _show(parser, arguments[1:])
    _add_options(parser)
    found = {}

    def load(first):
        recipe, source, found["space"] = catalog.load_space(first.pipeline)
        return recipe, source

    recipe, source, values = recipe_arguments.parse(parser, arguments, load=load, find=catalog.find_space)
    _check_sides(values)
    from kerasdl.jobs import judge
    from kerasdl.search import session
    from kerasdl.search.definition import Search

    search = Search(
        recipe=judge.judged(recipe),
        space=catalog.space_in(found["space"]),
        space_file=found["space"],
        recipe_source=source,
        tuner=values["tuner"],
        max_trials=_max_trials(values),
        objectives=tuple(values["objective"] or ()),
        constraints=tuple(values["subject_to"]),
        pruner=values["pruner"],
        retries=1 if values["retries"] is None else values["retries"],
        searches_dir=values["searches_dir"],
        new=values["new"],
    )
    if values["chief"] is not None:
        return _lead(search, values["chief"])
    slots = session.make_slots(values["workers"], values["gpus"] or ())
    if values["worker"] is not None:
        return _work(search, values["worker"], slots)
    return _finish(session.tune(search, slots))


def _check_sides(values) -> None:
    """Raise a UsageError for options of a chief that are given to a worker, and the reverse."""
    if values["chief"] is not None and values["worker"] is not None:
        raise UsageError(
            "--chief and --worker exclude each other. Give one; a chief and a worker may share a machine."
        )
    for side, others in (("chief", _OF_WORKERS), ("worker", _OF_THE_CHIEF)):
        given = [f"--{name.replace('_', '-')}" for name in others if values[name]]
        if values[side] is not None and given:
            reason = "The chief runs no trials" if side == "chief" else "The chief decides that"
            where = "a worker" if side == "chief" else "the chief"
            raise UsageError(f"{reason}: give {' and '.join(given)} to {where}.")


def _lead(search, address: str) -> int:
    from kerasdl.search import session
    from kerasdl.search.remote import chief

    with chief.Door(chief.parse_address("--chief", address)) as door:
        return _finish(session.tune(search, slots=(), crew=door.crew))


def _work(search, address: str, slots) -> int:
    from kerasdl.search.remote import chief, worker

    worker.work(search, chief.parse_address("--worker", address), slots)
    return 0


def _add_options(parser: Parser) -> None:
    parser.add_argument(
        "--tuner", default="bayesian", type=_tuner, metavar="|".join(_TUNERS),
        help="search algorithm (default: bayesian)",
    )  # fmt: skip
    parser.add_argument(
        "--max-trials", type=int, metavar="INT",
        help=f"trials in total, earlier ones included (default: {_DEFAULT_TRIALS}; hyperband: its own)",
    )  # fmt: skip
    parser.add_argument(
        "--objective", action="append", metavar="NAME",
        help="val_accuracy, val_loss, int8_accuracy, tflite_kb, latency_ms, ..., or max:NAME, min:NAME; "
        "several times for a Pareto front (default: the task's own)",
    )  # fmt: skip
    parser.add_argument(
        "--subject-to", action="append", default=[], metavar="LIMIT",
        help="constraint on a metric, as in 'tflite_kb<=100'; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--pruner", choices=("median", "halving", "none"),
        help="stop trials early that do worse than earlier ones (default: median; none with hyperband)",
    )  # fmt: skip
    parser.add_argument(
        "--retries",
        type=int,
        metavar="INT",
        help="how often a crashed trial is started again (default: 1)",
    )
    parser.add_argument("--workers", type=int, metavar="INT", help="trials at the same time (default: 1)")
    parser.add_words("--gpus", "GPUs to use, one trial on each: 0,1,2,3")
    parser.add_argument(
        "--chief", metavar="[HOST:]PORT",
        help="hand out trials to workers and run none here; without HOST only to workers on this machine",
    )  # fmt: skip
    parser.add_argument(
        "--worker", metavar="HOST:PORT",
        help="run trials of this chief; give the same pipeline and flags; --workers and --gpus work too",
    )  # fmt: skip
    parser.add_argument(
        "--new", action="store_true", help="begin a new search, even if an unfinished one could be resumed"
    )
    parser.add_folders("searches")


def _tuner(text: str) -> str:
    if text not in _TUNERS:
        raise argparse.ArgumentTypeError(
            f"there is no tuner {text!r}; there are {', '.join(_TUNERS)}.{did_you_mean(text, _TUNERS)}"
        )
    return text


def _max_trials(values) -> int | None:
    if values["max_trials"] is None and values["tuner"] != "hyperband":
        return _DEFAULT_TRIALS
    return values["max_trials"]


def _finish(found) -> int:
    """Print the trials of a search and the commands to type next."""
    from kerasdl.cli import printing
    from kerasdl.search.show import table

    console = printing.open_console()
    console.print(table.trials(found))
    console.print(f"Search  {found.path}\nReport  {found.path / 'report.html'}", soft_wrap=True)
    commands = [["tensorboard", "--logdir", str(found.path)]]
    if found.best() is not None:
        commands.insert(0, ["kerasdl", "train", found.pipeline, "--from-trial", f"{found.path}:best"])
    printing.print_next(console, commands)
    return 0


def _show(parser: Parser, arguments: list[str]) -> int:
    parser.prog += " show"
    parser.description = "Show the trials of a search so far, and write its report again."
    parser.add_argument("search", type=Path, metavar="SEARCH", help="folder such as searches/lenet5/1")
    parser.add_json()
    values = parser.parse(arguments)
    from kerasdl.cli import printing
    from kerasdl.files import parsing
    from kerasdl.runs.folder import Run
    from kerasdl.search import record
    from kerasdl.search.show import document, page
    from kerasdl.search.trials.files import REPAIR

    found = record.read(values.search)
    with parsing(values.search, REPAIR):
        try:
            page.write(found, live=Run(found.path).is_active())
        except OSError as error:  # the trials can be shown all the same
            terminal.say(f"The report was not written again: {error}", file=sys.stderr)
        if values.json:
            printing.print_document(document.describe(found), as_json=True)
            return 0
        return _finish(found)
