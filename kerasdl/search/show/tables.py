"""Tables of trials."""

from collections.abc import Sequence
from typing import Any

from kerasdl.report.blocks import Column, Table, turned
from kerasdl.report.metrics import words
from kerasdl.search import dimensions
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.show.marks import counted, kind
from kerasdl.search.space import Parameter

_MOST_BEST = 10
_HIDDEN = ("trial_seconds", "progress", "learning_rate")  # ends of names of metrics that are not shown


def best_table(record: SearchRecord) -> Table:
    """Return the best trials, or the Pareto front where there are several objectives."""
    if len(record.objectives) > 1:
        front = record.pareto_front()
        return trial_table(f"Pareto front: {counted(front)} that no other one beats", record, front)
    ranked = [trial for trial in record.ranked() if trial.status == "completed"][:_MOST_BEST]
    return turned(trial_table("Best completed trials", record, ranked), "trial {}")


def failed_table(record: SearchRecord, trials: Sequence[TrialRecord]) -> Table:
    """Return the trials that failed, and why."""
    parameters = _columns(record, trials)
    rows = [[t.number, t.reason or "not said", *_values(parameters, t)] for t in trials]
    columns = [Column("trial", "d"), Column("reason"), *map(_column, parameters)]
    return Table("Failed trials", columns, rows)


def all_table(record: SearchRecord) -> Table:
    """Return every trial with all its values."""
    table = trial_table("All trials", record, record.trials)
    number, *columns = table.columns
    rows = [
        [row[0], kind(trial), *row[1:], trial.reason]
        for row, trial in zip(table.rows, record.trials, strict=True)
    ]
    return Table(table.caption, [number, Column("status"), *columns, Column("reason")], rows, sortable=True)


def trial_table(caption: str, record: SearchRecord, trials: Sequence[TrialRecord]) -> Table:
    """Return trials with metrics, hyperparameters and time; objectives and constrained metrics first."""
    found = dict.fromkeys(n for trial in trials for n in trial.figures if not n.endswith(_HIDDEN))
    first = [part.name for part in (*record.objectives, *record.constraints)]
    figures = list(dict.fromkeys((*(name for name in first if name in found), *found)))
    parameters = _columns(record, trials)
    columns = [*(Column(words(name), ".4g") for name in figures), *map(_column, parameters)]
    rows = [
        [trial.number, *map(trial.figures.get, figures), *_values(parameters, trial), trial.seconds]
        for trial in trials
    ]
    return Table(caption, [Column("trial", "d"), *columns, Column("time (s)", ",.1f")], rows)


def _columns(record: SearchRecord, trials: Sequence[TrialRecord]) -> list[Parameter]:
    """Return the hyperparameters that trials have: those of the space first."""
    found = dict.fromkeys(name for trial in trials for name in trial.values)
    known = [parameter for parameter in dimensions.by_name(record.space) if parameter.name in found]
    names = {parameter.name for parameter in known}
    return [*known, *(Parameter(name=name, kind="choice") for name in found if name not in names)]


def _column(parameter: Parameter) -> Column:
    return Column(words(parameter.name), {"float": ".4g", "int": "d"}.get(parameter.kind))


def _values(parameters: Sequence[Parameter], trial: TrialRecord) -> list[Any]:
    return [
        dimensions.spelled(value) if parameter.kind == "choice" and value is not None else value
        for parameter in parameters
        for value in [trial.values.get(parameter.name)]
    ]
