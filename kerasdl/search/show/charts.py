"""Charts of a search over its trials: history and learning curves."""

from collections.abc import Sequence
from typing import Any

from kerasdl.report.blocks import Block, Chart, Column, Table, Text
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.show.marks import (
    INFEASIBLE,
    MARKS,
    capital,
    counted,
    hover,
    kind,
    points,
    value_axis,
    words,
)

_MOST_POINTS = 30_000  # of all learning curves together


def history(record: SearchRecord) -> Block:
    """Return the objective of each trial by number, with the best so far."""
    name = record.objectives[0].name
    scored = [trial for trial in record.trials if name in trial.figures]
    if not scored:
        return Text("No trial has a figure of the objective yet.")
    axis = value_axis([trial.figures[name] for trial in scored], words(name))
    layout = {
        "height": 400,
        "hovermode": "closest",
        "showlegend": True,
        "xaxis": {"title": {"text": "trial"}, **_numbers_axis(record)},
        "yaxis": axis,
    }
    traces = [
        *_best_line(record),
        *_marked(record, _floor([trial.figures[name] for trial in scored], axis)),
    ]
    return Chart(
        f"{capital(words(name))} of each trial",
        {"data": traces, "layout": layout},
        _history_summary(record, scored),
        _history_table(record),
    )


def _numbers_axis(record: SearchRecord) -> dict[str, Any]:
    last = max(trial.number for trial in record.trials)
    room = max(0.5, 0.02 * last)  # on both sides, for the marks
    return {"range": [-room, last + room], "tickformat": "d", "zeroline": False} | (
        {"dtick": 1} if last <= 10 else {}
    )


def _best_line(record: SearchRecord) -> list[dict[str, Any]]:
    known = [(number, value) for number, value in best_so_far(record).items() if value is not None]
    if not known:
        return []
    return [{
        "type": "scatter", "mode": "lines", "name": "best so far",
        "x": [number for number, _ in known], "y": [value for _, value in known],
        "line": {"color": "--chart-2", "width": 2, "shape": "hv"},
        "hovertemplate": "best so far %{y:.4g}<extra></extra>",
    }]  # fmt: skip


def _marked(record: SearchRecord, floor: float) -> list[dict[str, Any]]:
    """Return a trace for each kind of trial, the best one last."""
    name, best = record.objectives[0].name, record.best()
    traces = []
    for shown in MARKS:
        trials = [best] if shown == "best" and best else [t for t in record.trials if kind(t) == shown]
        places = [(trial, _value(trial, name, floor)) for trial in trials]
        places = [(trial, value) for trial, value in places if value is not None]
        if places:
            text = [hover(trial, name, values=list(trial.values)) for trial, _ in places]
            x, y = [trial.number for trial, _ in places], [value for _, value in places]
            traces.append(points(shown, x, y, text))
    return traces


def _value(trial: TrialRecord, name: str, floor: float) -> float | None:
    """Return where a trial is drawn: at its figure, at that of its last epoch while it runs, or below all."""
    if name not in trial.figures and trial.status == "running" and trial.history:
        return trial.history[-1][1]
    return trial.figures.get(name, floor if trial.status == "failed" else None)


def best_so_far(record: SearchRecord) -> dict[int, float | None]:
    """Return for each trial the best of those up to it that completed and keep to the constraints."""
    objective, best, found = record.objectives[0], None, {}
    for trial in record.trials:
        value = trial.figures.get(objective.name)
        counts = value is not None and trial.status == "completed" and trial.feasible
        if counts and (best is None or objective.better(value, best)):
            best = value
        found[trial.number] = best
    return found


def _floor(values: Sequence[float], axis: dict[str, Any]) -> float:
    """Return where the failed are drawn: below all that has a value."""
    low, high = min(values), max(values)
    if axis.get("type") == "log":
        return low * (low / high) ** 0.08
    return low - 0.08 * ((high - low) or abs(high) or 1.0)


def _history_summary(record: SearchRecord, scored: Sequence[TrialRecord]) -> str:
    objective, best = record.objectives[0], record.best()
    name = words(objective.name)
    said = f"{capital(name)} of {counted(scored)}"
    values = [trial.figures[objective.name] for trial in scored]
    said += f", {min(values):.4g} to {max(values):.4g}"
    if best is not None:
        said += f"; the best that counts is {best.figures[objective.name]:.4g}, trial {best.number}"
    own = next((trial for trial in scored if trial.number == 0), None)
    if own is not None and own is not best:
        said += f"; the recipe's own values (trial 0) give {own.figures[objective.name]:.4g}"
    failed = sum(trial.status == "failed" for trial in record.trials)
    return f"{said}." + (f" Crosses at the lower edge: {failed} failed." if failed else "")


def _history_table(record: SearchRecord) -> Table:
    name = record.objectives[0].name
    columns = [
        Column("trial", "d"),
        Column("status"),
        Column(words(name), ".4g"),
        Column("best so far", ".4g"),
    ]
    steps = best_so_far(record)
    rows = [[t.number, kind(t), t.figures.get(name), steps[t.number]] for t in record.trials]
    return Table(f"{words(name)} by trial", columns, rows)


def learning_curves(record: SearchRecord) -> Block:
    """Return the objective over epochs, of all trials in one chart."""
    name, best = record.objectives[0].name, record.best()
    curves = [trial for trial in record.trials if trial.history]
    if not curves:
        return Text("No trial has ended an epoch yet, so there are no curves.")
    most = max(20, _MOST_POINTS // len(curves))
    traces = []
    for status, style in _CURVES.items():
        shown = [
            t for t in curves if (t is best if status == "best" else t is not best and kind(t) == status)
        ]
        if shown:
            traces.append(_gapped(status, shown, most, style))
    values = [value for trial in curves for _, value in trial.history]
    epochs = max(epoch for trial in curves for epoch, _ in trial.history)
    layout = {
        "height": 400,
        "hovermode": "closest",
        "showlegend": True,
        "xaxis": {"title": {"text": "epoch"}, "tickformat": "d", "range": [1 - 0.03 * epochs, 1.03 * epochs]}
        | ({"dtick": 1} if epochs <= 10 else {}),
        "yaxis": value_axis(values, words(name)),
    }
    said = f"{capital(words(name))} of {counted(curves)} over up to {epochs} epochs, {min(values):.4g} to "
    said += f"{max(values):.4g}"
    said += f"; the thick line is the best, trial {best.number}." if best in curves else "."
    return Chart(
        f"{capital(words(name))} over epochs", {"data": traces, "layout": layout}, said, _curve_table(curves)
    )


_CURVES = {
    INFEASIBLE: {"color": "--muted", "width": 1, "dash": "dashdot"},
    "failed": {"color": "--error", "width": 1.5, "dash": "dash"},
    "pruned": {"color": "--chart-3", "width": 1, "dash": "dot"},
    "completed": {"color": "--chart-1", "width": 1},
    "running": {"color": "--chart-4", "width": 1.5, "dash": "dash"},
    "best": {"color": "--chart-2", "width": 3.5},
}


def _gapped(name: str, trials: Sequence[TrialRecord], most: int, style: dict[str, Any]) -> dict[str, Any]:
    """Return all lines of one kind as one trace: 500 of their own make a page slow."""
    x, y, text = [], [], []
    for trial in trials:
        step = -(-len(trial.history) // most)
        last = len(trial.history) - 1
        kept = [part for index, part in enumerate(trial.history) if index % step == 0 or index == last]
        x += [epoch for epoch, _ in kept] + [None]
        y += [float(f"{value:.5g}") for _, value in kept] + [None]
        text += [f"trial {trial.number}"] * len(kept) + [""]
    lone = any(len(trial.history) == 1 for trial in trials)  # a line of one point is not seen
    return {
        "type": "scatter", "mode": "lines+markers" if lone else "lines", "name": name, "x": x, "y": y,
        "text": text, "line": style, "marker": {"color": style["color"], "size": 4},
        "opacity": 1 if name in ("best", "running", "failed") else 0.55,
        "hovertemplate": f"%{{text}}, {name}<br>epoch %{{x}}: %{{y:.4g}}<extra></extra>",
    }  # fmt: skip


def _curve_table(trials: Sequence[TrialRecord]) -> Table:
    numbers = [Column(title, ".4g") for title in ("first", "lowest", "highest", "last")]
    rows = []
    for trial in trials:
        values = [value for _, value in trial.history]
        ends = [values[0], min(values), max(values), values[-1]]
        rows.append([trial.number, kind(trial), trial.history[-1][0], *ends])
    return Table("Curves", [Column("trial", "d"), Column("status"), Column("epochs", "d"), *numbers], rows)
