"""Names and marks of trials on the page of a search."""

from collections.abc import Sequence
from typing import Any

from kerasdl.report import charts
from kerasdl.report.blocks import label
from kerasdl.report.metrics import words
from kerasdl.search.dimensions import spelled
from kerasdl.search.record import TrialRecord

INFEASIBLE = "infeasible"
#: Mark of each kind of trial, told apart by symbol as well as by colour.
MARKS = {
    "completed": {"symbol": "circle", "color": "--chart-1", "size": 8},
    "pruned": {"symbol": "triangle-down-open", "color": "--chart-3", "size": 9},
    INFEASIBLE: {"symbol": "square-open", "color": "--muted", "size": 8},
    "running": {"symbol": "diamond-open", "color": "--chart-4", "size": 9},
    "failed": {"symbol": "x", "color": "--error", "size": 8},
    "best": {"symbol": "star", "color": "--chart-2", "size": 15, "line": {"color": "--surface", "width": 1}},
}


def kind(trial: TrialRecord) -> str:
    """Return the kind of trial that decides its mark."""
    return trial.status if trial.feasible or trial.status in ("failed", "running") else INFEASIBLE


def counted(trials: Sequence[TrialRecord]) -> str:
    """Return the number of trials in words."""
    return "1 trial" if len(trials) == 1 else f"{len(trials)} trials"


def hover(trial: TrialRecord, *figures: str, values: Sequence[str] = ()) -> str:
    """Return the hover text of a trial: number, kind, some metrics, some hyperparameters."""
    lines = [f"trial {trial.number}, {kind(trial)}"]
    lines += [f"{label(words(name))} {trial.figures[name]:.4g}" for name in figures if name in trial.figures]
    lines += [
        f"{label(words(name))} {label(spelled(trial.values[name]))}"
        for name in values
        if name in trial.values
    ]
    return "<br>".join(lines)


def value_axis(values: Sequence[float], title: str) -> dict[str, Any]:
    """Return an axis, logarithmic where positive values span two decades."""
    log = charts.spans_decades(values)
    return charts.axis(title, log=log, **({} if log else {"zeroline": False}))
