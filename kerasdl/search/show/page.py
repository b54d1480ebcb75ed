"""`report.html` of a search: one page, made from its files, that needs nothing else."""

import collections
import dataclasses
import math
import shlex
from pathlib import Path

from kerasdl.files import replacing
from kerasdl.report.blocks import Block, Figure, Figures, Notice, Section, Text
from kerasdl.report.metrics import words
from kerasdl.report.provenance import duration
from kerasdl.report.render import render
from kerasdl.search.importance import importances
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.show import charts, parallel, pareto, slices, tables
from kerasdl.search.show import importance as search_importance

FILE_NAME = "report.html"


def write(record: SearchRecord, *, live: bool = False) -> Path:
    """Write the page into the folder of the search, atomically; return its path.

    Args:
        record: the search.
        live: whether the search goes on, so that the page will be written again and reloads itself.
    """
    path = record.path / FILE_NAME
    text = page(record, live=live)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def page(record: SearchRecord, *, live: bool = False) -> str:
    """Return the page of a search in any state, as one HTML file."""
    record = _finite(record)
    found: list[Section | None] = [Section("Overview", _overview(record))]
    if record.trials:
        found += _sections(record)
    return render(
        title=f"{record.path.parent.name}/{record.path.name}",
        subtitle="Report of a hyperparameter search",
        notices=_notices(record, live),
        sections=[section for section in found if section is not None],
        every=max([10.0, *(trial.seconds or 0.0 for trial in record.trials)]) if live else None,
    )


def _finite(record: SearchRecord) -> SearchRecord:
    """Leave out metrics that are not finite: charts and rankings cannot use them."""
    trials = tuple(
        dataclasses.replace(
            trial,
            figures={name: value for name, value in trial.figures.items() if math.isfinite(value)},
            history=tuple((epoch, value) for epoch, value in trial.history if math.isfinite(value)),
        )
        for trial in record.trials
    )
    return dataclasses.replace(record, trials=trials)


def _sections(record: SearchRecord) -> list[Section | None]:
    several = len(record.objectives) > 1
    failed = [trial for trial in record.trials if trial.status == "failed"]
    best: Block = tables.best_table(record) if record.best() else Text("There is no best trial yet.")
    importance = search_importance.importance(importances(record), record.objectives[0].name)
    return [
        Section("Best", [best]),
        Section("History", [charts.history(record)]),
        Section("Learning curves", [charts.learning_curves(record)]),
        Section("Parallel coordinates", [parallel.parallel_coordinates(record)]),
        Section("Importance", importance),
        Section("Slices", slices.slices(record)),
        Section("Pareto front", pareto.charts(record)) if several else None,
        Section("Failed trials", [tables.failed_table(record, failed)]) if failed else None,
        Section("All trials", [tables.all_table(record)]),
    ]


def _overview(record: SearchRecord) -> list[Block]:
    items = []
    for aim in record.objectives if record.best() is not None else ():
        top = min(_counting(record, aim.name), key=lambda trial, aim=aim: aim.sign * trial.figures[aim.name])
        said = f"trial {top.number}" + (", the recipe's own values" if top.number == 0 else "")
        items.append(Figure(f"Best {words(aim.name)}", f"{top.figures[aim.name]:.4g}", said))
    counts = collections.Counter(trial.status for trial in record.trials)
    of_all = f"of {record.max_trials}" if record.max_trials else ""
    items += [
        Figure(f"{status.capitalize()} trials", str(counts[status]), of_all if status == "completed" else "")
        for status in ("completed", "pruned", "failed", "running")
        if counts[status] or status == "completed"
    ]
    seconds = sum(trial.seconds or 0 for trial in record.trials)
    items.append(Figure("Time of all trials", duration(seconds), "one after the other"))
    goals = (
        f"{'lower' if aim.direction == 'min' else 'higher'} {words(aim.name)}" for aim in record.objectives
    )
    limits = " and ".join(map(str, record.constraints))
    said = f"Searched for {' and '.join(goals)}{', subject to ' if limits else ''}{limits}."
    command = [Text(f"Started with: {record.command}")] if record.command else []
    return [Figures(items), Text(f"{said} Method: {record.method}."), *command]


def _counting(record: SearchRecord, name: str) -> list[TrialRecord]:
    return [trial for trial in record.ranked() if trial.status == "completed" and name in trial.figures]


def _notices(record: SearchRecord, live: bool) -> list[Block]:
    notices, best = [], record.best()
    if not record.finished:
        ended = sum(trial.status != "running" for trial in record.trials)
        of_all = f" of {record.max_trials}" if record.max_trials else ""
        if live:
            said = (
                f"The search goes on: {ended}{of_all} trials have ended. This page is written again while it "
            )
            notices.append(Notice(f"{said}does, and reloads itself."))
        else:
            said = f"The search was interrupted: {ended}{of_all} trials have ended. To continue it:"
            notices.append(Notice(said, "warning", record.command))
    if best is None:
        return [*notices, *_without_best(record)]
    which = f"trial {best.number}"
    if len(record.objectives) > 1:
        which += f", the best by {words(record.objectives[0].name)}"
    what = record.pipeline or record.name
    command = shlex.join(["kerasdl", "train", what, "--from-trial", f"{record.path}:best"])
    said = f"To train with the values of the best trial ({which}; a number in place of best takes another):"
    return [*notices, Notice(said, command=command)]


def _without_best(record: SearchRecord) -> list[Block]:
    if not record.trials:
        return [Notice("No trial has started yet.")]
    if all(trial.status == "failed" for trial in record.trials):
        return [Notice("Every trial failed; see below why.", "error")]
    name = record.objectives[0].name
    broken = [t for t in record.trials if t.status == "completed" and not t.feasible]
    if not broken:
        return [Notice("No trial has completed yet.", "note" if not record.finished else "warning")]
    limits = " and ".join(map(str, record.constraints))
    said = f"No completed trial keeps to {limits}."
    for constraint in record.constraints:
        known = [trial for trial in broken if constraint.name in trial.figures]
        if known:
            near = min(known, key=lambda trial, c=constraint: c.excess(trial.figures[c.name]))
            value = near.figures[constraint.name]
            said += f" Nearest to {constraint}: trial {near.number} with {value:.4g}"
            said += f" ({words(name)} {near.figures[name]:.4g})." if name in near.figures else "."
    return [Notice(said, "warning")]
