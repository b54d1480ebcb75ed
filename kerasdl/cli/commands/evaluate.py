"""`kerasdl evaluate`: compute the metrics of a run, a bundle or an exported file on a split."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.runs import places

if TYPE_CHECKING:
    from kerasdl.tasks.task import Task

_SPLITS = ("train", "validation", "test")


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_target("a run, a bundle, or one exported file")
    parser.add_argument(
        "--split", choices=_SPLITS, default="test", help="examples to evaluate on (default: test)"
    )
    parser.add_data("where the data is now, or other data with the same classes")
    parser.add_argument(
        "--judge",
        metavar="RUN",
        help="classifier run that tells how real generated images look (default: as trained)",
    )
    parser.add_json()
    values = parser.parse(arguments)
    if values.data is None:
        places.check_data_is_known(Path(values.target))
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.data import passes
    from kerasdl.jobs import endpoints
    from kerasdl.jobs import open as loading
    from kerasdl.jobs.evaluate import evaluate

    target = given = loading.load(values.target)
    if found := endpoints.find(target, *target.task.figures_of):
        target, _ = found
    if values.judge is not None:
        target.task = target.task.judged_by(values.judge)
    splits = target.load_data(values.data)
    split = getattr(splits, values.split)
    batches = passes.split_batches(split)
    figures = evaluate(target.predictor, target.task, target.spec, target.fitted, batches).figures
    # Figures are in the units of the training (standard deviations, ids): so are those beside them.
    splits = dataclasses.replace(splits, spec=target.spec)
    figures = target.task.beside_baselines(figures, splits, split)
    figures |= target.task.against_data(target.predictor, splits, split)[0]
    about = {
        "target": values.target if target is given else str(target.path),
        "kind": target.kind,
        "split": values.split,
        "data_fingerprint": splits.fingerprint,
        "same_data_as_training": splits.fingerprint == target.fingerprint,
    }
    if values.json:
        printing.print_document({**about, **figures}, as_json=True)
    else:
        _print(about, target.task, figures)
    return 0


def _print(about: dict[str, Any], task: "Task", figures: dict[str, Any]) -> None:
    from kerasdl.cli import printing

    printing.print_document(about)
    tables = task.tables(figures)
    if not tables:
        printing.print_document(figures)
        return
    console = printing.open_console()
    for part in tables:
        console.print()
        console.print(part)
