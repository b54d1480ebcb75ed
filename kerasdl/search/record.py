"""The record of a search, read from its files alone: for the table, the page and `tune show`."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from kerasdl.errors import UsageError
from kerasdl.files import parsing
from kerasdl.recipe import Recipe
from kerasdl.report import cell, charts, curves
from kerasdl.report.blocks import Chart, Column, Table, Text
from kerasdl.report.metrics import words
from kerasdl.search.folder import Document, read_document
from kerasdl.search.objectives import Constraint, Objective, is_dominated, parse_constraint, parse_objective
from kerasdl.search.space import Parameter, from_keras_tuner
from kerasdl.search.trials import files

#: How the message of a trial begins that was stopped early.
PRUNED = "pruned: "


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial.

    Attributes:
        number: number of the trial; 0 has the recipe's own values.
        status: "completed", "pruned" (stopped early; its metrics are those until then), "failed" or
            "running" (also when the search was interrupted).
        values: active hyperparameters by name.
        figures: metrics of the network that its run kept, objectives included; empty while it runs.
        history: (epoch, first objective) after each epoch.
        reason: why it failed or was pruned.
        seconds: duration without interruptions; None while it runs.
        run: folder of its run; None before it has one.
        feasible: whether it satisfies every constraint.
    """

    number: int
    status: Literal["completed", "pruned", "failed", "running"]
    values: dict[str, Any]
    figures: dict[str, float] = dataclasses.field(default_factory=dict)
    history: tuple[tuple[int, float], ...] = ()
    reason: str = ""
    seconds: float | None = None
    run: Path | None = None
    feasible: bool = True

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.values.items())
        return f"<trial {self.number}, {self.status}: {shown}>"


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class SearchRecord:
    """One search: `searches/<space>/<n>/`.

    Attributes:
        path: folder of the search.
        name: name of the recipe.
        tuner: "bayesian", "random", "grid", "hyperband" or "keras-bayesian".
        method: description of the tuner, acquisition included.
        objectives: objectives; the first one ranks the trials and is that of `history`.
        constraints: limits on metrics.
        space: hyperparameters; parents come before those that depend on them.
        trials: trials in the order of their numbers.
        pipeline: argument of `kerasdl train`: the name of a pipeline, or the user's file.
        max_trials: number of trials; None where the tuner decides (hyperband).
        command: command that started the search.
        finished: whether no trial is left to run.
    """

    path: Path
    name: str
    tuner: str
    method: str
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    space: tuple[Parameter, ...] = ()
    trials: tuple[TrialRecord, ...] = ()
    pipeline: str = ""
    max_trials: int | None = None
    command: str = ""
    finished: bool = False

    def ranked(self) -> list[TrialRecord]:
        """Return the feasible trials, completed or pruned, best first by the first objective."""
        first = self.objectives[0]
        scored = [
            trial
            for trial in self.trials
            if trial.status in ("completed", "pruned") and trial.feasible and first.name in trial.figures
        ]
        return sorted(scored, key=lambda trial: (first.sign * trial.figures[first.name], trial.number))

    def best(self) -> TrialRecord | None:
        """Return the best trial by the first objective; None while there is none."""
        return next((trial for trial in self.ranked() if trial.status == "completed"), None)

    def recipe(self, trial: int | None = None) -> Recipe:
        """Return the recipe of a trial, to train it.

        Args:
            trial: number of the trial. Defaults to the best one.

        Raises:
            UsageError: when there is no such trial.
        """
        from kerasdl.search.keras_tuner.tuner import recipe_of_trial

        best = self.best()
        if trial is None and best is None:
            raise UsageError(f"{self.path} has no best trial: none was completed within its limits.")
        return recipe_of_trial(self.path, best.number if trial is None else trial)

    def sentence(self) -> str:
        """Say in a line where the search lies, how many trials it has, and which is best."""
        best, aim = self.best(), self.objectives[0].name
        told = "" if best is None else f"; best: trial {best.number}, {aim} {best.figures[aim]:.4g}"
        return f"{self.path}: {len(self.trials)} trial{'' if len(self.trials) == 1 else 's'}{told}"

    def __repr__(self) -> str:
        return f"<SearchRecord {self.sentence()}>"

    def _repr_html_(self) -> str:
        aims = [aim.name for aim in self.objectives]
        names = list(dict.fromkeys(name for trial in self.ranked() for name in trial.values))
        columns = [Column("trial", "d"), Column("status"), *(Column(words(aim), ".4g") for aim in aims)]
        columns += [Column(name, ".4g") for name in names] + [Column("seconds", ".1f")]
        rows = [
            [
                trial.number, trial.status, *(trial.figures.get(aim) for aim in aims),
                *(trial.values.get(name) for name in names), trial.seconds,
            ]
            for trial in self.ranked()
        ]  # fmt: skip
        left_out = len(self.trials) - len(rows)
        said = [Text(f"{left_out} further trials failed, run, or miss a limit.")] * bool(left_out)
        return cell.render(self.sentence(), [*self._curve(), Table("Best first", columns, rows), *said])

    def _curve(self) -> list[Chart]:
        """Return the chart of the first objective by trial, with the best so far; none of a single trial."""
        aim = self.objectives[0]
        known = sorted(self.ranked(), key=lambda trial: trial.number)
        if len(known) < 2:
            return []
        best = self.best_so_far()
        series = {
            "trial": {trial.number: trial.figures[aim.name] for trial in known},
            "best so far": {trial.number: best[trial.number] for trial in known},
        }
        return [
            curves.lines(charts.capital(words(aim.name)), series, y_title=words(aim.name), x_title="trial")
        ]

    def best_so_far(self) -> dict[int, float | None]:
        """Return for each trial the best objective so far, of completed trials within the constraints."""
        objective, best, found = self.objectives[0], None, {}
        for trial in self.trials:
            value = trial.figures.get(objective.name)
            counts = value is not None and trial.status == "completed" and trial.feasible
            if counts and (best is None or objective.better(value, best)):
                best = value
            found[trial.number] = best
        return found

    def pareto_front(self) -> list[TrialRecord]:
        """Return the completed, feasible trials that no other one beats in every objective, best first."""
        names = [objective.name for objective in self.objectives]
        trials = [
            trial
            for trial in self.ranked()
            if trial.status == "completed" and all(name in trial.figures for name in names)
        ]
        rows = [[o.sign * trial.figures[o.name] for o in self.objectives] for trial in trials]
        return [trial for trial, row in zip(trials, rows, strict=True) if not is_dominated(row, rows)]


def read(path: str | Path) -> SearchRecord:
    """Read the folder of a search.

    Raises:
        UsageError: when it is not a search folder; searches inside it are named.
        RunFailedError: when a file of it is damaged.
    """
    path = Path(path)
    document = read_document(path, Document)
    if not document:
        inside = sorted(
            str(file.parent) for depth in ("*", "*/*") for file in path.glob(f"{depth}/search.json")
        )
        named = f" Give one of {', '.join(inside[-8:])}." if inside else " Give one like searches/lenet5/1."
        raise UsageError(f"{path} is not a search folder.{named}")
    states = files.read_states(path)
    objectives = tuple(map(parse_objective, document["objectives"]))
    constraints = tuple(map(parse_constraint, document["constraints"]))
    with parsing(path, files.REPAIR):
        trials = [
            _trial(path, document["name"], state, objectives[0], constraints) for state in states.values()
        ]
    with parsing(path / "oracle.json", files.REPAIR):
        space = from_keras_tuner(files.read_oracle(path).get("hyperparameters", {}).get("space", ()))
    return SearchRecord(
        path=path,
        name=document["name"],
        tuner=document["tuner"],
        method=document["method"],
        objectives=objectives,
        constraints=constraints,
        space=space,
        trials=tuple(sorted(trials, key=lambda trial: trial.number)),
        pipeline=document["pipeline"],
        max_trials=document["max_trials"],
        command=document["command"],
        finished=document.get("finished", False),
    )


def _trial(
    path: Path, name: str, state: Mapping[str, Any], first: Objective, constraints: tuple[Constraint, ...]
) -> TrialRecord:
    message = state.get("message") or ""
    status = {"COMPLETED": "completed", "FAILED": "failed"}.get(state["status"], "running")
    if status == "completed" and message.startswith(PRUNED):
        status = "pruned"
    observed = {
        figure: {
            part["step"]: sum(part["value"]) / len(part["value"])
            for part in metric["observations"]
            if part["value"]
        }
        for figure, metric in state["metrics"]["metrics"].items()
    }
    figures = {} if status == "running" else _at(observed, state.get("best_step"))
    values = state["hyperparameters"]["values"]
    return TrialRecord(
        number=int(state["trial_id"]),
        status=status,
        values={key: value for key, value in values.items() if not key.startswith("tuner/")},
        figures=figures,
        history=tuple(sorted(observed.get(first.name, {}).items())),
        reason=message if status in ("failed", "pruned") else "",
        seconds=figures.get("trial_seconds"),
        run=newest_run(path / f"trial_{state['trial_id']}" / name),
        feasible=status != "completed" or all(constraint.holds(figures) for constraint in constraints),
    )


def _at(observed: Mapping[str, Mapping[int, float]], step: int | None) -> dict[str, float]:
    return {
        name: values[step] for name, values in observed.items() if math.isfinite(values.get(step, math.nan))
    }


def newest_run(folder: Path) -> Path | None:
    """Return the newest run of a trial; None where it has none."""
    numbers = [int(path.name) for path in folder.glob("[0-9]*") if path.name.isdecimal()]
    return folder / str(max(numbers)) if numbers else None
