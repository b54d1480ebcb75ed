"""Names, marks and axes of trials on the page of a search."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kerasdl.report import charts
from kerasdl.report.blocks import label
from kerasdl.report.metrics import words
from kerasdl.search.dimensions import spelled
from kerasdl.search.record import SearchRecord, TrialRecord

INFEASIBLE = "infeasible"
#: Mark of each kind of trial, told apart by symbol as well as by colour.
MARKS = {
    "completed": {"symbol": "circle", "color": "--chart-1", "size": 8},
    "pruned": {"symbol": "triangle-down-open", "color": "--chart-3", "size": 9},
    INFEASIBLE: {"symbol": "square-open", "color": "--muted", "size": 8},
    "running": {"symbol": "diamond-open", "color": "--chart-4", "size": 9},
    "failed": {"symbol": "x", "color": "--error", "size": 8},
    "best": {"symbol": "star", "color": "--chart-2", "size": 15, "line": {"color": "--surface", "width": 1}},
    "dominated": {"symbol": "circle", "color": "--muted", "size": 7, "opacity": 0.6},
    "front": {"symbol": "circle", "color": "--chart-2", "size": 10},
}


def kind(trial: TrialRecord) -> str:
    """Return the kind of trial that decides its mark."""
    return trial.status if trial.feasible or trial.status in ("failed", "running") else INFEASIBLE


def by_kind(
    record: SearchRecord, trials: Sequence[TrialRecord], kinds: Sequence[str]
) -> Iterator[tuple[str, list[TrialRecord]]]:
    """Yield the trials of each kind; the best one is a kind of its own."""
    best = record.best()
    for shown in kinds:
        yield shown, [t for t in trials if ("best" if t is best else kind(t)) == shown]


def nudged(trial: TrialRecord, place: float, width: float) -> float:
    """Return a place for a trial beside others of the same value, always the same one."""
    return place + width * ((trial.number * 0.618034) % 1 - 0.5)


def counted(trials: Sequence[TrialRecord]) -> str:
    """Return the number of trials in words."""
    return "1 trial" if len(trials) == 1 else f"{len(trials)} trials"


def marked(
    name: str, trials: Sequence[TrialRecord], place: Callable[[TrialRecord], tuple[float, float]],
    figures: Sequence[str], values: Sequence[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the trace of the trials of one kind.

    Args:
        name: the kind.
        trials: trials of this kind.
        place: place of a trial.
        figures: metrics that the hover text has.
        values: hyperparameters that it has. Defaults to all.
    """
    x, y = zip(*map(place, trials), strict=True) if trials else ((), ())
    text = [_hover(trial, figures, list(trial.values) if values is None else values) for trial in trials]
    return charts.points(name, x, y, MARKS[name], text=text)


def _hover(trial: TrialRecord, figures: Sequence[str], values: Sequence[str]) -> str:
    shown = {name: f"{trial.figures[name]:.4g}" for name in figures if name in trial.figures}
    shown |= {name: label(spelled(trial.values[name])) for name in values if name in trial.values}
    lines = (f"{label(words(name))} {text}" for name, text in shown.items())
    return "<br>".join([f"trial {trial.number}, {kind(trial)}", *lines])


def value_axis(values: Sequence[float], title: str) -> dict[str, Any]:
    """Return an axis, logarithmic where positive values span two decades."""
    log = charts.spans_decades(values)
    return charts.axis(title, log=log, **({} if log else {"zeroline": False}))
