"""Charts of a search over its trials: history and learning curves."""

from collections.abc import Sequence
from typing import Any

from kerasdl.report import charts
from kerasdl.report.blocks import Block, Chart, Column, Table, Text
from kerasdl.report.charts import capital
from kerasdl.report.metrics import words
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.show.marks import INFEASIBLE, MARKS, counted, hover, kind, value_axis

_MOST_POINTS = 30_000  # of all learning curves together


def history(record: SearchRecord) -> Block:
    """Return the objective of each trial by number, with the best so far."""
    name = record.objectives[0].name
    scored = [trial for trial in record.trials if name in trial.figures]
    if not scored:
        return Text("No trial has a figure of the objective yet.")
    values = [trial.figures[name] for trial in scored]
    last = max(trial.number for trial in record.trials)
    numbers = charts.counting_axis("trial", 0, last, max(0.5, 0.02 * last)) | {"zeroline": False}
    traces = [_best_line(record), *_marked(record, _floor(values))]
    return Chart(
        f"{capital(words(name))} of each trial",
        charts.figure(traces, charts.layout(400, numbers, value_axis(values, words(name)))),
        _history_summary(record, scored),
        _history_table(record),
    )


def _best_line(record: SearchRecord) -> dict[str, Any]:
    known = {number: value for number, value in best_so_far(record).items() if value is not None}
    style = {"color": "--chart-2", "width": 2, "shape": "hv"}
    hovered = "best so far %{y:.4g}<extra></extra>"
    return charts.line("best so far", known.keys(), known.values(), style, hovered)


def _marked(record: SearchRecord, floor: float) -> list[dict[str, Any]]:
    """Return a trace for each kind of trial, the best one last."""
    name, best = record.objectives[0].name, record.best()
    traces = []
    for shown in MARKS:
        trials = [best] if shown == "best" and best else [t for t in record.trials if kind(t) == shown]
        places = [(trial, _value(trial, name, floor)) for trial in trials]
        places = [(trial, value) for trial, value in places if value is not None]
        text = [hover(trial, name, values=list(trial.values)) for trial, _ in places]
        x, y = [trial.number for trial, _ in places], [value for _, value in places]
        traces.append(charts.points(shown, x, y, MARKS[shown], text=text))
    return traces


def _value(trial: TrialRecord, name: str, floor: float) -> float | None:
    """Return the height of a trial: its objective, that of its last epoch while it runs, or the floor."""
    if name not in trial.figures and trial.status == "running" and trial.history:
        return trial.history[-1][1]
    return trial.figures.get(name, floor if trial.status == "failed" else None)


def best_so_far(record: SearchRecord) -> dict[int, float | None]:
    """Return for each trial the best objective so far of completed trials that satisfy the constraints."""
    objective, best, found = record.objectives[0], None, {}
    for trial in record.trials:
        value = trial.figures.get(objective.name)
        counts = value is not None and trial.status == "completed" and trial.feasible
        if counts and (best is None or objective.better(value, best)):
            best = value
        found[trial.number] = best
    return found


def _floor(values: Sequence[float]) -> float:
    """Return the height at which failed trials are drawn: below all values."""
    low, high = min(values), max(values)
    if charts.spans_decades(values):
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
        traces.append(_gapped(status, shown, most, style))
    values = [value for trial in curves for _, value in trial.history]
    epochs = max(epoch for trial in curves for epoch, _ in trial.history)
    numbers = charts.counting_axis("epoch", 1, epochs, 0.03 * epochs)
    drawn = charts.figure(traces, charts.layout(400, numbers, value_axis(values, words(name))))
    said = f"{capital(words(name))} of {counted(curves)} over up to {epochs} epochs, {min(values):.4g} to "
    said += f"{max(values):.4g}"
    said += f"; the thick line is the best, trial {best.number}." if best in curves else "."
    return Chart(f"{capital(words(name))} over epochs", drawn, said, _curve_table(curves))


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
    return charts.line(
        name, x, y, style, f"%{{text}}, {name}<br>epoch %{{x}}: %{{y:.4g}}<extra></extra>",
        mode="lines+markers" if lone else "lines", text=text, marker={"color": style["color"], "size": 4},
        opacity=1 if name in ("best", "running", "failed") else 0.55,
    )  # fmt: skip


def _curve_table(trials: Sequence[TrialRecord]) -> Table:
    numbers = [Column(title, ".4g") for title in ("first", "lowest", "highest", "last")]
    rows = []
    for trial in trials:
        values = [value for _, value in trial.history]
        ends = [values[0], min(values), max(values), values[-1]]
        rows.append([trial.number, kind(trial), trial.history[-1][0], *ends])
    return Table("Curves", [Column("trial", "d"), Column("status"), Column("epochs", "d"), *numbers], rows)
