"""Parallel coordinates: each trial a line through its objectives and hyperparameters.

The axes lie below each other, the objectives first, so that they fit a phone however many there are. Drawn as
lines and not as plotly's `parcoords`: that compiles code, which the page's security policy forbids.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from kerasdl.report import charts
from kerasdl.report.blocks import Block, Text, label
from kerasdl.report.metrics import words
from kerasdl.search import dimensions
from kerasdl.search.objectives import Objective
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.show.marks import counted, nudged
from kerasdl.search.show.tables import trial_table
from kerasdl.search.space import Parameter

_ABSENT = 1.14  # place of a missing value, behind the axis, which goes from 0 to 1
_ROOM = 58  # pixels between two axes
_MANY = 100  # number of trials above which lines are thin and pale
_SPREAD = 0.05  # spread of the lines through one choice
_LETTERS = 60  # of all choices on an axis, so that a phone shows them
#: Lines are told apart by how the trial ranks: name, part of the trials, line, opacity; drawn in this order.
_GROUPS = (
    ("worse half", 1.0, {"color": "--muted", "width": 1, "dash": "dot"}, 0.45),
    ("second quarter", 0.5, {"color": "--chart-1", "width": 1}, 0.45),
    ("best quarter", 0.25, {"color": "--chart-1", "width": 2}, 0.9),
    ("best", 0.0, {"color": "--chart-2", "width": 3.5}, 1.0),
)


@dataclasses.dataclass(frozen=True)
class _Axis:
    """An axis: place (None: missing) and text of each trial, and its ticks."""

    title: str
    places: Sequence[float | None]
    texts: Sequence[str]
    ticks: Sequence[tuple[float, str]]
    absent: str
    note: str = ""


def parallel_coordinates(record: SearchRecord) -> Block:
    """Return the chart; groups of lines are switched on and off in the legend."""
    name = record.objectives[0].name
    trials = [t for t in record.trials if name in t.figures and t.status in ("completed", "pruned")]
    if not trials:
        return Text("No trial has a figure of the objective yet.")
    axes = [_objective_axis(objective, trials) for objective in record.objectives]
    axes += [
        _axis(parameter, trials)
        for parameter in dimensions.by_name(record.space)
        if len(parameter.choices) != 1 and any(parameter.name in trial.values for trial in trials)
    ]
    groups = _grouped(record, trials)
    hidden = {"visible": False, "fixedrange": True}
    end = _ABSENT + 0.1 if any(None in axis.places for axis in axes) else 1.03
    best = record.best()
    said = f"A line for each of {counted(trials)}, by how it ranks in {words(name)}"
    said += f"; the thick one is the best, trial {best.number}." if best in trials else "."
    said += " Names in the legend switch groups of lines off and on."
    return charts.chart(
        "Hyperparameters and objectives",
        [_lines(group, trials, axes, groups[group[0]]) for group in _GROUPS],
        (hidden | {"range": [-0.03, end]}, hidden | {"range": [len(axes) - 0.6, -0.5]}), said,
        height=60 + _ROOM * len(axes), table=trial_table("Trials of the chart", record, trials),
        showlegend=True, margin={"l": 4, "r": 4, "t": 40, "b": 4},
        shapes=[
            {"type": "line", "x0": 0, "x1": 1, "y0": row, "y1": row, "layer": "below",
             "line": {"color": "--muted", "width": 1}}
            for row in range(len(axes))
        ],
        annotations=[text for row, axis in enumerate(axes) for text in _texts(row, axis)],
    )  # fmt: skip


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
        absent = nudged(trials[index], _ABSENT, _SPREAD)
        places = [axis.places[index] for axis in axes]
        x += [*(round(absent if place is None else place, 4) for place in places), None]
        y += [*range(len(axes)), None]
        said = (f"{label(axis.title)} {axis.texts[index]}" for axis in axes)
        text += [*(f"trial {trials[index].number}<br>{part}" for part in said), ""]
    if name != "best" and len(trials) > _MANY:
        line, opacity = line | {"width": 1}, opacity / 2
    rank = len(_GROUPS) - _GROUPS.index(group)
    return charts.line(name, x, y, line, text=text, opacity=opacity, legendrank=rank)


def _texts(row: int, axis: _Axis) -> list[dict[str, Any]]:
    """Return the title of an axis, above it, and its ticks, below it."""
    ticks = [*axis.ticks, (_ABSENT, axis.absent)] if None in axis.places else axis.ticks
    shared = {"y": row, "showarrow": False, "bgcolor": "--surface", "opacity": 0.85, "borderpad": 1}
    title = f"<b>{label(axis.title, 40)}</b> {axis.note}".strip()
    small = shared | {"font": {"size": 11, "color": "--text"}, "yshift": -10}
    sides = {0.0: "left", 1.0: "right"}
    return [shared | {"x": 0, "text": title, "xanchor": "left", "yshift": 12}] + [
        small | {"x": place, "text": text, "xanchor": sides.get(place, "center")} for place, text in ticks
    ]


def _axis(parameter: Parameter, trials: Sequence[TrialRecord]) -> _Axis:
    found = [trial.values.get(parameter.name) for trial in trials]
    active = [trial.values[parameter.name] for trial in trials if parameter.name in trial.values]
    if parameter.kind != "choice":
        placed = [dimensions.positive(parameter, value) for value in active]
        ends = min(parameter.low, *placed), max(parameter.high, *placed)
        return _scaled(parameter.name, found, ends, dimensions.is_log(parameter), "inactive")
    known = dimensions.categories(parameter, active)
    gap = 1 / max(len(known) - 1, 1)
    letters = max(_LETTERS // len(known), 5)
    ticks = [(index * gap, label(str(value), letters)) for index, value in enumerate(known)]
    places, texts = [], []
    for trial in trials:
        has = parameter.name in trial.values
        value = trial.values.get(parameter.name)
        places.append(nudged(trial, known.index(value) * gap, min(_SPREAD, gap / 2)) if has else None)
        texts.append(label(dimensions.spelled(value)) if has else "inactive")
    return _Axis(words(parameter.name), places, texts, ticks, "inactive")


def _objective_axis(objective: Objective, trials: Sequence[TrialRecord]) -> _Axis:
    found = [trial.figures.get(objective.name) for trial in trials]
    known = [value for value in found if value is not None] or [0.0, 1.0]
    better = "lower is better" if objective.direction == "min" else "higher is better"
    return _scaled(objective.name, found, (min(known), max(known)), False, "none", better)


def _scaled(
    name: str,
    found: Sequence[float | None],
    ends: tuple[float, float],
    log: bool,
    absent: str,
    note: str = "",
) -> _Axis:
    """Return an axis of numbers."""
    places = [None if value is None else _part(value, *ends, log) for value in found]
    texts = [absent if value is None else label(dimensions.spelled(value)) for value in found]
    return _Axis(words(name), places, texts, _ticks(*ends, log), absent, note)


def _part(value: float, low: float, high: float, log: bool) -> float:
    if low == high:
        return 0.5
    if log:
        return math.log(max(value, low) / low) / math.log(high / low)
    return (value - low) / (high - low)


def _ticks(low: float, high: float, log: bool) -> list[tuple[float, str]]:
    """Return both ends and decades or quarters between them; those too near an end are left out."""
    if low == high:
        return [(0.5, f"{low:.4g}")]
    decades = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1) if log else ()
    inner = [10.0**power for power in decades] or [low + (high - low) * part for part in (0.25, 0.5, 0.75)]
    placed = [(_part(value, low, high, log), f"{value:.3g}") for value in inner]
    ends = [(0.0, f"{low:.4g}"), (1.0, f"{high:.4g}")]
    return [ends[0], *(tick for tick in placed if 0.07 < tick[0] < 0.93), ends[1]]
