"""The objective against each hyperparameter, one small chart each."""

import itertools
import statistics
from collections.abc import Sequence
from typing import Any

from kerasdl.report import charts
from kerasdl.report.blocks import Block, Chart, Column, Table, Text, label
from kerasdl.report.charts import capital
from kerasdl.report.metrics import words
from kerasdl.search import dimensions
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.show.marks import INFEASIBLE, MARKS, hover, kind, value_axis
from kerasdl.search.space import Parameter

_BINS = 5
_LEGEND = (
    "Filled circles completed, triangles were pruned, open squares are infeasible: they break a constraint. "
    "The star is the best. The chart of a hyperparameter has the trials in which it is active."
)
_SHOWN = ("completed", "pruned", INFEASIBLE)


def slices(record: SearchRecord) -> list[Block]:
    """Return a chart for each hyperparameter that can take more than one value."""
    name = record.objectives[0].name
    scored = [trial for trial in record.trials if name in trial.figures and kind(trial) in _SHOWN]
    drawn = [
        _slice(record, parameter, trials)
        for parameter in dimensions.by_name(record.space)
        if len(parameter.choices) != 1 and (trials := [t for t in scored if parameter.name in t.values])
    ]
    return [Text(_LEGEND), *drawn] if drawn else [Text("No trial has a figure of the objective yet.")]


def _slice(record: SearchRecord, parameter: Parameter, trials: Sequence[TrialRecord]) -> Chart:
    name, best = record.objectives[0].name, record.best()
    known = dimensions.categories(parameter, [trial.values[parameter.name] for trial in trials])
    traces = []
    for shown in (*_SHOWN, "best"):
        part = [t for t in trials if (t is best if shown == "best" else t is not best and kind(t) == shown)]
        x, y = [_place(parameter, known, trial) for trial in part], [trial.figures[name] for trial in part]
        text = [hover(trial, name, values=[parameter.name]) for trial in part]
        opacity = 1 if shown == "best" else 0.8
        traces.append(charts.points(shown, x, y, MARKS[shown], text=text, opacity=opacity))
    values = value_axis([trial.figures[name] for trial in trials], words(name))
    figure = charts.figure(traces, charts.layout(280, _axis(parameter, known, trials), values, legend=False))
    title = f"{capital(words(name))} against {words(parameter.name)}"
    table, groups = _table(parameter, known, trials, record)
    absent = sum(name in trial.figures for trial in record.trials) - len(trials)
    summary = _summary(record, parameter, groups, absent)
    return Chart(title, figure, summary, table, half=True)


def _place(parameter: Parameter, known: Sequence[Any], trial: TrialRecord) -> float:
    """Return a trial's place; those of one choice stand beside each other, always at the same places."""
    value = trial.values[parameter.name]
    if parameter.kind != "choice":
        return value
    return known.index(value) + 0.5 * ((trial.number * 0.618034) % 1 - 0.5)


def _axis(parameter: Parameter, known: Sequence[Any], trials: Sequence[TrialRecord]) -> dict[str, Any]:
    title = words(parameter.name)
    if parameter.kind == "choice":
        ticks = {"tickvals": list(range(len(known))), "ticktext": [label(str(v), 14) for v in known]}
        shown = {"range": [-0.5, len(known) - 0.5], "zeroline": False, "showgrid": False}
        return {"title": {"text": label(title)}} | ticks | shown
    tried = (trial.values[parameter.name] for trial in trials)  # the recipe's own may lie outside
    places = [dimensions.number(parameter, value) for value in (parameter.low, parameter.high, *tried)]
    low, high = min(places), max(places)
    margin = 0.05 * ((high - low) or 1)
    shown = {"limit": 28, "zeroline": False, "range": [low - margin, high + margin]}
    if dimensions.is_log(parameter):  # 1, 2 and 5 of each of two decades, or there might be one tick
        return charts.axis(title, log=True, **shown | ({"dtick": "D2"} if high - low < 2 else {}))
    whole = parameter.kind == "int" and high - low <= 10
    return charts.axis(title, **shown | ({"dtick": 1, "tickformat": "d"} if whole else {}))


def _table(
    parameter: Parameter, known: Sequence[Any], trials: Sequence[TrialRecord], record: SearchRecord
) -> tuple[Table, list[list[Any]]]:
    """Return a row for each choice, or for each part of the range: trials, best, median."""
    objective = record.objectives[0]
    groups: dict[str, list[float]] = {text: [] for text in _titles(parameter, known)}
    titles = list(groups)
    for trial in trials:
        value = trial.values[parameter.name]
        index = known.index(value) if parameter.kind == "choice" else _bin(parameter, value)
        groups[titles[index]].append(trial.figures[objective.name])
    best = min if objective.direction == "min" else max
    rows = [
        [text, len(values), best(values), statistics.median(values)]
        for text, values in groups.items()
        if values
    ]
    columns = [Column(words(parameter.name)), Column("trials", "d")]
    columns += [Column(f"{part} {words(objective.name)}", ".4g") for part in ("best", "median")]
    return Table(f"{words(objective.name)} by {words(parameter.name)}", columns, rows), rows


def _bin(parameter: Parameter, value: float) -> int:
    low, high = (dimensions.number(parameter, end) for end in (parameter.low, parameter.high))
    part = (dimensions.number(parameter, value) - low) / ((high - low) or 1.0)
    return min(max(int(part * _BINS), 0), _BINS - 1)


def _titles(parameter: Parameter, known: Sequence[Any]) -> list[str]:
    if parameter.kind == "choice":
        return [str(value) for value in known]
    low, high = (dimensions.number(parameter, end) for end in (parameter.low, parameter.high))
    ends = [low + (high - low) * index / _BINS for index in range(_BINS + 1)]
    if dimensions.is_log(parameter):
        ends = [10**end for end in ends]
    return [f"{a:.3g} to {b:.3g}" for a, b in itertools.pairwise(ends)]


def _summary(record: SearchRecord, parameter: Parameter, groups: list[list[Any]], absent: int) -> str:
    sign = record.objectives[0].sign
    top = min(groups, key=lambda row: sign * row[3])
    trials = "1 trial" if top[1] == 1 else f"{top[1]} trials"
    said = f"The best median, {top[3]:.4g}, is that of {top[0]} ({trials})"
    return said + (f"; inactive in {absent} trials." if absent else ".")
