"""Parallel coordinates: each trial a line through its hyperparameters to its objectives.

Drawn as lines and not as plotly's `parcoords`: that needs WebGL and compiles its shaders with `new Function`,
which the page's Content-Security-Policy forbids, and says nothing of a line when it is hovered.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from kerasdl.report import charts
from kerasdl.report.blocks import Block, Chart, Text, label
from kerasdl.report.charts import words
from kerasdl.search import dimensions
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.show.marks import counted
from kerasdl.search.show.tables import trial_table
from kerasdl.search.space import Parameter

_ABSENT = -0.16  # place of a missing value, below the axis, which goes from 0 to 1
_ROOM = 92  # pixels between two axes
_MANY = 100  # number of trials above which lines are thin and pale
_SPREAD = 0.05  # spread of the lines through one choice
#: Lines are told apart by how the trial ranks: name, part of the trials, line, opacity; drawn in this order.
_GROUPS = (
    ("worse half", 1.0, {"color": "--muted", "width": 1, "dash": "dot"}, 0.45),
    ("second quarter", 0.5, {"color": "--chart-1", "width": 1}, 0.45),
    ("best quarter", 0.25, {"color": "--chart-1", "width": 2}, 0.9),
    ("best", 0.0, {"color": "--chart-2", "width": 3.5}, 1.0),
)


@dataclasses.dataclass(frozen=True)
class _Axis:
    """A vertical axis: place (None: missing) and text of each trial, and the ticks."""

    title: str
    places: Sequence[float | None]
    texts: Sequence[str]
    ticks: Sequence[tuple[float, str]]
    absent: str


def parallel_coordinates(record: SearchRecord) -> Block:
    """Return the chart; groups of lines are switched on and off in the legend."""
    name = record.objectives[0].name
    trials = [t for t in record.trials if name in t.figures and t.status in ("completed", "pruned")]
    if not trials:
        return Text("No trial has a figure of the objective yet.")
    axes = [
        _axis(parameter, trials)
        for parameter in dimensions.by_name(record.space)
        if len(parameter.choices) != 1 and any(parameter.name in trial.values for trial in trials)
    ]
    axes += [_objective_axis(objective.name, trials) for objective in record.objectives]
    groups = _grouped(record, trials)
    layout = charts.layout(
        460,
        _titles(axes),
        {"visible": False, "range": [_ABSENT - 0.06, 1.05], "fixedrange": True},
        margin={"l": 12, "r": 40, "t": 74, "b": 16},
        meta={"least_width": _ROOM * len(axes)},
        shapes=[_drawn_axis(index) for index in range(len(axes))],
        annotations=[tick for index, axis in enumerate(axes) for tick in _drawn_ticks(index, axis)],
    )
    data = [_lines(group, trials, axes, groups[group[0]]) for group in _GROUPS if groups[group[0]]]
    best = record.best()
    said = f"A line for each of {counted(trials)}, by how it ranks in {words(name)}"
    said += f"; the thick one is the best, trial {best.number}." if best in trials else "."
    said += " Names in the legend switch groups of lines off and on."
    table = trial_table("Trials of the chart", record, trials)
    return Chart("Hyperparameters and objectives", {"data": data, "layout": layout}, said, table)


def _grouped(record: SearchRecord, trials: Sequence[TrialRecord]) -> dict[str, list[int]]:
    """Return the indices of the trials of each group."""
    objective, best = record.objectives[0], record.best()
    order = sorted(range(len(trials)), key=lambda i: (objective.sign * trials[i].figures[objective.name], i))
    groups: dict[str, list[int]] = {name: [] for name, *_ in _GROUPS}
    for rank, index in enumerate(order):
        part = (rank + 1) / len(trials)
        within = [name for name, most, *_ in _GROUPS if part <= most]
        groups["best" if trials[index] is best else within[-1]].append(index)
    return groups


def _lines(group: tuple, trials: Sequence[TrialRecord], axes: Sequence[_Axis], shown: Sequence[int]) -> dict:
    name, _, line, opacity = group
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str] = []
    for index in shown:
        nudge = _SPREAD * ((trials[index].number * 0.618034) % 1 - 0.5)
        for position, axis in enumerate(axes):
            place = axis.places[index]
            at = _ABSENT + nudge if place is None else place
            x.append(position)
            y.append(round(at, 4))
            text.append(f"trial {trials[index].number}<br>{label(axis.title)} {axis.texts[index]}")
        x, y, text = [*x, None], [*y, None], [*text, ""]
    if name != "best" and len(trials) > _MANY:
        line, opacity = line | {"width": 1}, opacity / 2
    rank = len(_GROUPS) - _GROUPS.index(group)
    return charts.line(name, x, y, line, text=text, opacity=opacity, legendrank=rank)


def _titles(axes: Sequence[_Axis]) -> dict[str, Any]:
    return {
        "side": "top", "tickvals": list(range(len(axes))), "ticks": "", "tickangle": 0,
        "ticktext": ["<br>".join(label(axis.title, 24).split(" ", 1)) for axis in axes],
        "range": [-0.75, len(axes) - 0.8], "showgrid": False, "zeroline": False, "showline": False,
        "fixedrange": True,
    }  # fmt: skip


def _drawn_axis(index: int) -> dict[str, Any]:
    return {
        "type": "line", "x0": index, "x1": index, "y0": 0, "y1": 1, "layer": "below",
        "line": {"color": "--muted", "width": 1},
    }  # fmt: skip


def _drawn_ticks(index: int, axis: _Axis) -> list[dict[str, Any]]:
    ticks = [(_ABSENT, axis.absent), *axis.ticks] if None in axis.places else axis.ticks
    return [
        {
            "x": index, "y": place, "text": text, "xanchor": "right", "xshift": -3, "showarrow": False,
            "font": {"size": 11, "color": "--text"}, "bgcolor": "--surface", "opacity": 0.85, "borderpad": 1,
        }
        for place, text in ticks
    ]  # fmt: skip


def _axis(parameter: Parameter, trials: Sequence[TrialRecord]) -> _Axis:
    found = [trial.values.get(parameter.name) for trial in trials]
    active = [trial.values[parameter.name] for trial in trials if parameter.name in trial.values]
    texts = [
        label(dimensions.spelled(t.values[parameter.name])) if parameter.name in t.values else "(inactive)"
        for t in trials
    ]
    if parameter.kind == "choice":
        known = dimensions.categories(parameter, active)
        gap = 1 / max(len(known) - 1, 1)
        ticks = [(index * gap, label(str(value), 14)) for index, value in enumerate(known)]
        spread = min(_SPREAD, gap / 2)
        at = [
            known.index(trial.values[parameter.name]) * gap + spread * ((trial.number * 0.618034) % 1 - 0.5)
            if parameter.name in trial.values
            else None
            for trial in trials
        ]
    else:
        low, high = min(parameter.low, *active), max(parameter.high, *active)
        log = dimensions.is_log(parameter)
        ticks = _ticks(low, high, log)
        at = [None if value is None else _part(value, low, high, log) for value in found]
    return _Axis(words(parameter.name), at, texts, ticks, "(inactive)")


def _objective_axis(name: str, trials: Sequence[TrialRecord]) -> _Axis:
    found = [trial.figures.get(name) for trial in trials]
    known = [value for value in found if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    at = [None if value is None else _part(value, low, high, False) for value in found]
    texts = ["(none)" if value is None else f"{value:.4g}" for value in found]
    return _Axis(words(name), at, texts, _ticks(low, high, False), "(none)")


def _part(value: float, low: float, high: float, log: bool) -> float:
    if low == high:
        return 0.5
    if log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _ticks(low: float, high: float, log: bool) -> list[tuple[float, str]]:
    """Return both ends and round numbers between them; those too near an end are left out."""
    if low == high:
        return [(0.5, f"{low:.4g}")]
    if log:
        decades = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
        inner = [10.0**power for power in decades]
    else:
        step = _round_step((high - low) / 4)
        inner = [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
    placed = [(_part(value, low, high, log), f"{value:.4g}") for value in inner]
    ends = [(0.0, f"{low:.4g}"), (1.0, f"{high:.4g}")]
    return [ends[0], *(tick for tick in placed if 0.07 < tick[0] < 0.93), ends[1]]


def _round_step(step: float) -> float:
    decade = 10 ** math.floor(math.log10(step))
    return next(decade * factor for factor in (1, 2, 5, 10) if decade * factor >= step * 0.999)
