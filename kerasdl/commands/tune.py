"""`kerasdl tune`: search the hyperparameters of a pipeline, or show a search."""

from pathlib import Path

from kerasdl import catalog
from kerasdl.arguments import Parser
from kerasdl.commands import recipe_arguments
from kerasdl.errors import UsageError, did_you_mean

_TUNERS = ("bayesian", "random", "grid", "hyperband", "keras-bayesian")
_DEFAULT_TRIALS = 20


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    if arguments[:1] == ["show"]:
        return _show(parser, arguments[1:])
    _add_options(parser)
    found = {}

    def load(name: str):
        recipe, source, found["space"] = catalog.load_space(name)
        return recipe, source

    recipe, source, values = recipe_arguments.parse(parser, arguments, load)
    from kerasdl.search import session

    search = session.Search(
        recipe=recipe,
        space=catalog.space_in(found["space"]),
        space_file=found["space"],
        recipe_source=source,
        tuner=values["tuner"],
        max_trials=_max_trials(values),
        objectives=tuple(values["objective"] or ("val_accuracy",)),
        constraints=tuple(values["subject_to"]),
        pruner=values["pruner"],
        retries=values["retries"],
        root=values["searches_dir"],
        new=values["new"],
    )
    slots = session.make_slots(values["workers"], values["gpus"] or ())
    return _finish(session.tune(search, slots))


def _add_options(parser: Parser) -> None:
    parser.add_argument(
        "--tuner", default="bayesian", type=_tuner, metavar="|".join(_TUNERS),
        help="how values are chosen (default: bayesian)",
    )  # fmt: skip
    parser.add_argument(
        "--max-trials", type=int, metavar="INT",
        help=f"trials of the search, also of one that goes on (default: {_DEFAULT_TRIALS}; hyperband: its own)",
    )  # fmt: skip
    parser.add_argument(
        "--objective", action="append", metavar="NAME",
        help="val_accuracy, val_loss, int8_accuracy, tflite_kb, latency_ms, ..., or max:NAME, min:NAME; several "
        "times for a Pareto front (default: val_accuracy)",
    )  # fmt: skip
    parser.add_argument(
        "--subject-to", action="append", default=[], metavar="LIMIT",
        help="a limit on a figure, as in 'tflite_kb<=100'; several times for several",
    )  # fmt: skip
    parser.add_argument(
        "--pruner", choices=("median", "halving", "none"),
        help="stop trials early that do worse than others did (default: median; none with hyperband)",
    )  # fmt: skip
    parser.add_argument(
        "--retries",
        type=int,
        default=1,
        metavar="INT",
        help="how often a trial that crashed begins again (default: 1)",
    )
    parser.add_argument("--workers", type=int, metavar="INT", help="trials at the same time (default: 1)")
    parser.add_words("--gpus", "GPUs to use, one trial on each: 0,1,2,3")
    parser.add_argument("--new", action="store_true", help="begin a new search, also where one could go on")
    parser.add_folders("searches")


def _tuner(word: str) -> str:
    if word not in _TUNERS:
        raise UsageError(f"--tuner is {word!r}; it takes {', '.join(_TUNERS)}." + did_you_mean(word, _TUNERS))
    return word


def _max_trials(values) -> int | None:
    if values["max_trials"] is None and values["tuner"] != "hyperband":
        return _DEFAULT_TRIALS
    return values["max_trials"]


def _finish(found) -> int:
    """Print what a search has found, and what to type next."""
    from rich.console import Console

    from kerasdl import tables
    from kerasdl.search import summary

    console = Console()
    console.print(summary.trials(found))
    console.print(
        f"Search  {found.path}\nReport  {found.path / 'report.html'}", highlight=False, soft_wrap=True
    )
    commands = [["tensorboard", "--logdir", str(found.path)]]
    if found.best() is not None:
        commands.insert(0, ["kerasdl", "train", found.pipeline, "--from-trial", f"{found.path}:best"])
    tables.print_next(console, commands)
    return 0


def _show(parser: Parser, arguments: list[str]) -> int:
    parser.prog += " show"
    parser.description = "Show what a search has found so far, and write its page again."
    parser.add_argument("search", type=Path, metavar="SEARCH", help="folder such as searches/lenet5/1")
    values = parser.parse(arguments)
    from kerasdl.report import search as page
    from kerasdl.search import record

    found = record.read(values.search)
    page.write(found)
    return _finish(found)
