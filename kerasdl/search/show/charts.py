"""Charts of a search over its trials: history and learning curves."""

from collections.abc import Sequence
from typing import Any

from kerasdl.report import charts
from kerasdl.report.blocks import Block, Table, Text
from kerasdl.report.charts import capital
from kerasdl.report.metrics import words
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.show.marks import INFEASIBLE, by_kind, counted, kind, marked, value_axis

_MOST_POINTS = 30_000  # of all learning curves together


def history(record: SearchRecord) -> Block:
    """Return the objective of each trial by number, with the best so far."""
    name = record.objectives[0].name
    scored = [trial for trial in record.trials if name in trial.figures]
    if not scored:
        return Text("No trial has a figure of the objective yet.")
    values = [trial.figures[name] for trial in scored]
    last = max(trial.number for trial in record.trials)
    steps = record.best_so_far()
    known = {number: value for number, value in steps.items() if value is not None}
    style = {"color": "--chart-2", "width": 2, "shape": "hv"}
    hovered = "best so far %{y:.4g}<extra></extra>"
    traces = [charts.line("best so far", known.keys(), known.values(), style, hovered)]
    heights = _heights(record, _floor(values))
    placed = [trial for trial in record.trials if trial.number in heights]
    traces += [
        marked(shown, part, lambda trial: (trial.number, heights[trial.number]), [name])
        for shown, part in by_kind(
            record, placed, ("completed", "pruned", INFEASIBLE, "running", "failed", "best")
        )
    ]
    forms = {"trial": "d", "status": None, words(name): ".4g", "best so far": ".4g"}
    rows = [[t.number, kind(t), t.figures.get(name), steps[t.number]] for t in record.trials]
    numbers = charts.counting_axis("trial", 0, last, max(0.5, 0.02 * last)) | {"zeroline": False}
    return charts.chart(
        f"{capital(words(name))} of each trial", traces, (numbers, value_axis(values, words(name))),
        _history_summary(record, scored), table=Table.of(f"{words(name)} by trial", forms, rows),
    )  # fmt: skip


def _heights(record: SearchRecord, floor: float) -> dict[int, float]:
    """Return the height of each trial: its objective, that of its last epoch while it runs, or the floor."""
    name, found = record.objectives[0].name, {}
    for trial in record.trials:
        if name in trial.figures:
            found[trial.number] = trial.figures[name]
        elif trial.status == "running" and trial.history:
            found[trial.number] = trial.history[-1][1]
        elif trial.status == "failed":
            found[trial.number] = floor
    return found


def _floor(values: Sequence[float]) -> float:
    """Return the height at which failed trials are drawn: below all values."""
    low, high = min(values), max(values)
    if charts.spans_decades(values):
        return low * (low / high) ** 0.08
    return low - 0.08 * ((high - low) or abs(high) or 1.0)


def _history_summary(record: SearchRecord, scored: Sequence[TrialRecord]) -> str:
    objective, best = record.objectives[0], record.best()
    values = {trial.number: trial.figures[objective.name] for trial in scored}
    said = f"{capital(words(objective.name))} of {counted(scored)}, {min(values.values()):.4g} to "
    said += f"{max(values.values()):.4g}"
    if best is not None:
        said += f"; the best that counts is {best.figures[objective.name]:.4g}, trial {best.number}"
    if 0 in values and not (best and best.number == 0):
        said += f"; the recipe's own values (trial 0) give {values[0]:.4g}"
    failed = sum(trial.status == "failed" for trial in record.trials)
    return f"{said}." + (f" Crosses at the lower edge: {failed} failed." if failed else "")


def learning_curves(record: SearchRecord) -> Block:
    """Return the objective over epochs, of all trials in one chart."""
    name, best = words(record.objectives[0].name), record.best()
    curves = [trial for trial in record.trials if trial.history]
    if not curves:
        return Text("No trial has ended an epoch yet, so there are no curves.")
    most = max(20, _MOST_POINTS // len(curves))
    traces = [_gapped(shown, part, most) for shown, part in by_kind(record, curves, tuple(_CURVES))]
    values = [value for trial in curves for _, value in trial.history]
    epochs = max(epoch for trial in curves for epoch, _ in trial.history)
    said = f"{capital(name)} of {counted(curves)} over up to {epochs} epochs, {min(values):.4g} to "
    said += f"{max(values):.4g}"
    said += f"; the thick line is the best, trial {best.number}." if best in curves else "."
    numbers = charts.counting_axis("epoch", 1, epochs, 0.03 * epochs)
    return charts.chart(
        f"{capital(name)} over epochs", traces, (numbers, value_axis(values, name)), said,
        table=_curve_table(curves),
    )  # fmt: skip


_CURVES = {
    INFEASIBLE: {"color": "--muted", "width": 1, "dash": "dashdot"},
    "failed": {"color": "--error", "width": 1.5, "dash": "dash"},
    "pruned": {"color": "--chart-3", "width": 1, "dash": "dot"},
    "completed": {"color": "--chart-1", "width": 1},
    "running": {"color": "--chart-4", "width": 1.5, "dash": "dash"},
    "best": {"color": "--chart-2", "width": 3.5},
}


def _gapped(name: str, trials: Sequence[TrialRecord], most: int) -> dict[str, Any]:
    """Return all lines of one kind as one trace: 500 of their own make a page slow."""
    x, y, text = [], [], []
    for trial in trials:
        step, last = -(-len(trial.history) // most), len(trial.history) - 1
        kept = [part for index, part in enumerate(trial.history) if index % step == 0 or index == last]
        x += [epoch for epoch, _ in kept] + [None]
        y += [float(f"{value:.5g}") for _, value in kept] + [None]
        text += [f"trial {trial.number}"] * len(kept) + [""]
    style = _CURVES[name]
    lone = any(len(trial.history) == 1 for trial in trials)  # a line of one point is not seen
    return charts.line(
        name, x, y, style, f"%{{text}}, {name}<br>epoch %{{x}}: %{{y:.4g}}<extra></extra>",
        mode="lines+markers" if lone else "lines", text=text, marker={"color": style["color"], "size": 4},
        opacity=1 if name in ("best", "running", "failed") else 0.55,
    )  # fmt: skip


def _curve_table(trials: Sequence[TrialRecord]) -> Table:
    forms = {"trial": "d", "status": None, "epochs": "d", "first": ".4g", "lowest": ".4g",
               "highest": ".4g", "last": ".4g"}  # fmt: skip
    rows = []
    for trial in trials:
        values = [value for _, value in trial.history]
        ends = [values[0], min(values), max(values), values[-1]]
        rows.append([trial.number, kind(trial), trial.history[-1][0], *ends])
    return Table.of("Curves", forms, rows)
