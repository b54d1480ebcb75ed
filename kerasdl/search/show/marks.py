"""How trials are named and marked on the page of a search."""

from collections.abc import Sequence
from typing import Any

from kerasdl.report.blocks import label
from kerasdl.search.dimensions import spelled
from kerasdl.search.record import TrialRecord

INFEASIBLE = "infeasible"
#: How a trial is marked, by symbol as well as by colour.
MARKS = {
    "completed": {"symbol": "circle", "color": "--chart-1", "size": 8},
    "pruned": {"symbol": "triangle-down-open", "color": "--chart-3", "size": 9},
    INFEASIBLE: {"symbol": "square-open", "color": "--muted", "size": 8},
    "running": {"symbol": "diamond-open", "color": "--chart-4", "size": 9},
    "failed": {"symbol": "x", "color": "--error", "size": 8},
    "best": {"symbol": "star", "color": "--chart-2", "size": 15, "line": {"color": "--surface", "width": 1}},
}


def kind(trial: TrialRecord) -> str:
    """Return what a trial is marked as."""
    return trial.status if trial.feasible or trial.status in ("failed", "running") else INFEASIBLE


def words(name: str) -> str:
    """Return a name of a figure or hyperparameter as it is read."""
    return ("validation " + name[4:] if name.startswith("val_") else name).replace("_", " ")


def capital(text: str) -> str:
    """Return a title: its first letter is a capital."""
    return text[:1].upper() + text[1:]


def counted(trials: Sequence[TrialRecord]) -> str:
    """Return how many trials these are."""
    return "1 trial" if len(trials) == 1 else f"{len(trials)} trials"


def points(name: str, x: Sequence[Any], y: Sequence[Any], text: Sequence[str], **more: Any) -> dict[str, Any]:
    """Return a trace of trials of one kind; `text` is what each says when it is hovered."""
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": list(x), "y": list(y),
        "marker": MARKS[name], "text": list(text), "hovertemplate": "%{text}<extra></extra>", **more,
    }  # fmt: skip


def hover(trial: TrialRecord, *figures: str, values: Sequence[str] = ()) -> str:
    """Return what a trial says: number, kind, some figures, some hyperparameters."""
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
    shown = {"title": {"text": label(title, 60)}}
    if values and min(values) > 0 and max(values) > 100 * min(values):
        return shown | {"type": "log", "dtick": 1, "tickformat": "~g"}
    return shown | {"exponentformat": "power", "zeroline": False}
