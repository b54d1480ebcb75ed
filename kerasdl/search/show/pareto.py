"""Several objectives against each other, with the trials that no other one beats."""

import itertools
from collections.abc import Sequence

from kerasdl.report import charts as drawing
from kerasdl.report.blocks import Block, Chart, Text
from kerasdl.report.charts import capital
from kerasdl.report.metrics import words
from kerasdl.search.objectives import Objective, is_dominated
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.show.marks import INFEASIBLE, kind, marked, value_axis
from kerasdl.search.show.tables import trial_table

Pair = tuple[Objective, Objective]


def charts(record: SearchRecord) -> list[Block]:
    """Return a chart of two objectives, or one for each pair of more."""
    front = record.pareto_front()
    if not front:
        return [Text("No completed trial keeps to the constraints and has all figures yet.")]
    pairs = list(itertools.combinations(record.objectives, 2))
    drawn: list[Block] = [_chart(record, front, pair, half=len(pairs) > 1) for pair in pairs]
    if len(pairs) > 1:
        said = (
            "A trial of the front need not look good in each pair: no other one beats it in all objectives."
        )
        drawn.append(Text(f"{said} Lines join those that no other beats in the two of the chart."))
    return drawn


def _chart(record: SearchRecord, front: Sequence[TrialRecord], pair: Pair, half: bool) -> Chart:
    x, y = pair
    trials = [
        trial
        for trial in record.trials
        if kind(trial) in ("completed", INFEASIBLE) and {x.name, y.name} <= set(trial.figures)
    ]
    groups = {
        INFEASIBLE: [trial for trial in trials if not trial.feasible],
        "dominated": [trial for trial in trials if trial.feasible and trial not in front],
        "front": front,
    }
    names = [objective.name for objective in record.objectives]
    drawn = [
        marked(name, part, lambda trial: (trial.figures[x.name], trial.figures[y.name]), names)
        for name, part in groups.items()
    ]
    axes = [value_axis([trial.figures[o.name] for trial in trials], _title(o)) for o in pair]
    ends = [min(front, key=lambda t, o=o: o.sign * t.figures[o.name]) for o in pair]
    said = f"{len(front)} of {len(trials)} completed trials are on the front: "
    said += " to ".join(dict.fromkeys(_spelled(trial, pair) for trial in ends))
    return drawing.chart(
        f"{capital(words(y.name))} against {words(x.name)}", [*drawn[:2], _joined(front, pair), drawn[2]],
        axes, f"{said}.", height=340 if half else 440, half=half,
        table=trial_table("Pareto front", record, front),
    )  # fmt: skip


def _spelled(trial: TrialRecord, pair: Pair) -> str:
    figures = " with ".join(f"{words(part.name)} {trial.figures[part.name]:.4g}" for part in pair)
    return f"{figures} (trial {trial.number})"


def _title(objective: Objective) -> str:
    return f"{words(objective.name)} ({'less' if objective.direction == 'min' else 'more'} is better)"


def _joined(front: Sequence[TrialRecord], pair: Pair) -> dict:
    """Return the line along the front: a staircase, since nothing is known between two points."""
    rows = [[objective.sign * trial.figures[objective.name] for objective in pair] for trial in front]
    best = {tuple(row) for row in rows if not is_dominated(row, rows)}
    ordered = sorted((pair[0].sign * x, pair[1].sign * y) for x, y in best)
    style = {"color": "--chart-2", "width": 1.5, "shape": "hv" if pair[0].direction == "min" else "vh"}
    return drawing.line("edge", *zip(*ordered, strict=True), style, hover=None, showlegend=False)
