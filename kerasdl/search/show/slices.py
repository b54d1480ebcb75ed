"""The objective against each hyperparameter, one small chart each."""

import bisect
import itertools
import statistics
from collections.abc import Sequence
from typing import Any

from kerasdl.report import charts
from kerasdl.report.blocks import Block, Chart, Table, Text, label
from kerasdl.report.charts import capital
from kerasdl.report.metrics import words
from kerasdl.search import dimensions
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.show.marks import INFEASIBLE, by_kind, counted, kind, marked, nudged, value_axis
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
    objective, title = record.objectives[0], words(parameter.name)
    name, of = objective.name, words(objective.name)
    known = dimensions.categories(parameter, [trial.values[parameter.name] for trial in trials])

    def place(trial: TrialRecord) -> tuple[float, float]:
        value = trial.values[parameter.name]
        if parameter.kind == "choice":
            return nudged(trial, known.index(value), 0.5), trial.figures[name]
        return dimensions.positive(parameter, value), trial.figures[name]

    best = min if objective.direction == "min" else max
    groups = _groups(parameter, known, trials, name)
    rows = [[text, len(found), best(found), statistics.median(found)] for text, found in groups.items()]
    top = min(rows, key=lambda row: objective.sign * row[3])
    said = f"The best median, {top[3]:.4g}, is that of {top[0]} ({counted(groups[top[0]])})"
    absent = sum(name in trial.figures for trial in record.trials) - len(trials)
    forms = {title: None, "trials": "d", f"best {of}": ".4g", f"median {of}": ".4g"}
    return charts.chart(
        f"{capital(of)} against {title}",
        [marked(shown, part, place, [name], [parameter.name])
         for shown, part in by_kind(record, trials, (*_SHOWN, "best"))],
        (_axis(parameter, known, trials), value_axis([trial.figures[name] for trial in trials], of)),
        said + (f"; inactive in {absent} trials." if absent else "."), height=280, half=True,
        showlegend=False, table=Table.of(f"{of} by {title}", forms, rows),
    )  # fmt: skip


def _axis(parameter: Parameter, known: Sequence[Any], trials: Sequence[TrialRecord]) -> dict[str, Any]:
    title = words(parameter.name)
    if parameter.kind == "choice":
        ticks = {"tickvals": list(range(len(known))), "ticktext": [label(str(v), 14) for v in known]}
        shown = {"range": [-0.5, len(known) - 0.5], "zeroline": False, "showgrid": False}
        return charts.axis(title, limit=28, **ticks, **shown)
    tried = (trial.values[parameter.name] for trial in trials)  # the recipe's own may lie outside
    places = [dimensions.number(parameter, value) for value in (parameter.low, parameter.high, *tried)]
    low, high = min(places), max(places)
    margin, more = 0.05 * ((high - low) or 1), {}
    log = dimensions.is_log(parameter)
    if log and high - low < 2:  # 1, 2 and 5 of each of two decades, or there might be one tick
        more = {"dtick": "D2"}
    elif parameter.kind == "int" and high - low <= 10 and not log:
        more = {"dtick": 1}
    return charts.axis(title, log=log, limit=28, zeroline=False, range=[low - margin, high + margin], **more)


def _groups(
    parameter: Parameter, known: Sequence[Any], trials: Sequence[TrialRecord], name: str
) -> dict[str, list[float]]:
    """Return the objective of the trials of each choice, or of each part of the range."""
    if parameter.kind == "choice":
        titles, place = [str(value) for value in known], known.index
    else:
        low, high = (dimensions.number(parameter, end) for end in (parameter.low, parameter.high))
        ends = [low + (high - low) * index / _BINS for index in range(_BINS + 1)]
        shown = [10**end for end in ends] if dimensions.is_log(parameter) else ends
        titles = [f"{a:.3g} to {b:.3g}" for a, b in itertools.pairwise(shown)]

        def place(value: Any) -> int:
            return bisect.bisect(ends[1:-1], dimensions.number(parameter, value))

    found: dict[str, list[float]] = {}
    for trial in sorted(trials, key=lambda trial: place(trial.values[parameter.name])):
        found.setdefault(titles[place(trial.values[parameter.name])], []).append(trial.figures[name])
    return found
