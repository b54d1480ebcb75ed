"""Compares runs: settings, metrics, and whether differences are beyond chance."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.errors import UsageError
from kerasdl.recipe.document import decode
from kerasdl.report.provenance import is_number
from kerasdl.runs import record
from kerasdl.runs.record import Record, flat
from kerasdl.tasks.task import RunDifference, Task

_SIGNIFICANT = 0.05


@dataclasses.dataclass(frozen=True)
class Difference:
    """Whether a run differs from the first on the same test examples.

    Attributes:
        run: name of the run.
        tested: what the task's test found; None where the runs cannot be compared.
        p_adjusted: its p-value after Holm's correction for the number of comparisons.
        reason: why they cannot be compared.
    """

    run: str
    tested: RunDifference | None = None
    p_adjusted: float | None = None
    reason: str = ""

    @property
    def p_value(self) -> float | None:
        """p-value of the task's test, 0 to 1; None where the runs cannot be compared."""
        return None if self.tested is None else self.tested.p_value

    @property
    def gain(self) -> float | None:
        """How much better than the first it is; below 0 where it is worse, None where nobody knows."""
        return None if self.tested is None else self.tested.gain

    @property
    def is_beyond_chance(self) -> bool | None:
        """Whether so large a difference would be rare if both were equally good; None if not compared."""
        return None if self.p_adjusted is None else self.p_adjusted < _SIGNIFICANT

    def sentence(self) -> str:
        """Return the verdict as a sentence."""
        if self.tested is None:
            return f"Not compared: {self.reason}."
        verdict = "is beyond chance" if self.is_beyond_chance else "is within chance"
        p = "p < 0.0001" if self.p_adjusted < 1e-4 else f"p = {self.p_adjusted:.2g}"
        return f"The difference of {self.tested.amount} {verdict} ({p})."

    def document(self) -> dict[str, Any]:
        """Return all of it as plain values, for JSON."""
        return {
            "run": self.run,
            **({} if self.tested is None else self.tested.figures),
            "gain": self.gain,
            "p_value": self.p_value,
            "p_adjusted": self.p_adjusted,
            "reason": self.reason,
            "beyond_chance": self.is_beyond_chance,
            "sentence": self.sentence(),
        }


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Several runs side by side.

    Attributes:
        runs: what was read, in the order they were given.
        names: a name for each, all different.
        recipes: settings that differ: name -> a text for each run, None where it has none.
        surroundings: versions, hardware and data that differ, likewise.
        figures: name -> a number for each run, None where it has none.
        intervals: name of a figure -> (low, high) for each run, None where it has none.
        differences: of each later run from the first.
    """

    runs: list[Record]
    names: list[str]
    recipes: dict[str, list[str | None]]
    surroundings: dict[str, list[str | None]]
    figures: dict[str, list[float | None]]
    intervals: dict[str, list[tuple[float, float] | None]]
    differences: list[Difference]

    def document(self) -> dict[str, Any]:
        """Return all of it as plain values, for JSON."""
        return {
            "runs": [str(read.run.path) for read in self.runs],
            "recipes": self.recipes,
            "surroundings": self.surroundings,
            "figures": self.figures,
            "intervals": self.intervals,
            "differences": [difference.document() for difference in self.differences],
        }


def compare(paths: Sequence[str | Path]) -> Comparison:
    """Read runs and put them side by side.

    Args:
        paths: two or more run folders; each later one is compared with the first.

    Raises:
        UsageError: for fewer than two runs, the same one twice, or a path that is not a run folder.
        RunFailedError: when a file of one is damaged.
    """
    if len(paths) < 2:
        raise UsageError("Give two runs or more, as in kerasdl compare runs/lenet5/1 runs/lenet5/2.")
    runs = [record.read(path) for path in paths]
    places = [read.run.path.resolve() for read in runs]
    if twice := next((path for path in places if places.count(path) > 1), None):
        raise UsageError(f"{twice} is given twice. Give different runs.")
    figures = [_figures(read) for read in runs]
    intervals = [_intervals(read) for read in runs]
    names = [read.name for read in runs]
    names = names if len(set(names)) == len(names) else [str(read.run.path) for read in runs]
    return Comparison(
        runs=runs,
        names=names,
        recipes=_different([dict(flat(read.recipe)) for read in runs]),
        surroundings=_different([dict(flat(_surroundings(read))) for read in runs]),
        figures=_beside(figures),
        intervals=_beside(intervals),
        differences=_corrected(
            [
                _difference(runs[0], names[0], read, name)
                for read, name in zip(runs[1:], names[1:], strict=True)
            ]
        ),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple comparisons by Holm's method.

    Reference: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * np.asarray(p_values, float)[order]))
    return adjusted.tolist()


def _difference(first: Record, first_name: str, second: Record, second_name: str) -> Difference:
    if first.fingerprint is None or first.fingerprint != second.fingerprint:
        return Difference(second_name, reason=f"{second_name} was trained on other data than {first_name}")
    answers = [read.arrays("predictions.npz") for read in (first, second)]
    for name, found in zip((first_name, second_name), answers, strict=True):
        if found is None:
            reason = f"{name} has kept no answers to the test examples (predictions.npz)"
            return Difference(second_name, reason=reason)
    try:
        task = decode(first.recipe.get("task"), first.run.path)
        if not isinstance(task, Task):
            raise UsageError(f"the task of {first_name} is not a task")
        tested = task.compare_runs(*answers)
    except KeyError as error:
        reason = f"predictions.npz of {first_name} or {second_name} lacks {error}"
        return Difference(second_name, reason=reason)
    except UsageError as error:
        return Difference(second_name, reason=str(error).rstrip("."))
    except ValueError as error:
        return Difference(second_name, reason=f"{second_name} was {error} than {first_name}")
    except (TypeError, IndexError, ArithmeticError) as error:
        reason = f"predictions.npz of {first_name} or {second_name} is damaged ({error})"
        return Difference(second_name, reason=reason)
    if tested is None:
        return Difference(second_name, reason=f"{type(task).__name__} has no test for two runs")
    return Difference(second_name, tested)


def _corrected(differences: list[Difference]) -> list[Difference]:
    known = [difference.p_value for difference in differences if difference.p_value is not None]
    adjusted = iter(holm(known))
    return [
        difference
        if difference.p_value is None
        else dataclasses.replace(difference, p_adjusted=next(adjusted))
        for difference in differences
    ]


def _figures(read: Record) -> dict[str, float]:
    """Return every number of the test figures, then those of the training."""
    found = dict(_numbers(read.test))
    for name, value in (
        ("best epoch", read.metrics.get("best_epoch")),
        ("epochs", read.num_epochs or None),
        ("training seconds", read.seconds),
        ("parameters", read.receipt.get("parameters")),
    ):
        if value is not None:
            found[name] = value
    return found


def _numbers(figures: Mapping[str, Any], prefix: str = ""):
    for name, value in figures.items():
        title = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{title} ")
        elif is_number(value):
            yield title, value


def _intervals(read: Record) -> dict[str, tuple[float, float]]:
    suffix = "_interval"
    return {
        name.removesuffix(suffix).replace("_", " "): tuple(value)
        for name, value in read.test.items()
        if name.endswith(suffix)
        and isinstance(value, list)
        and len(value) == 2
        and all(map(is_number, value))
    }


def _surroundings(read: Record) -> dict[str, Any]:
    names = ("versions", "git_revision", "hardware", "devices", "settings", "deterministic")
    found = {name: read.receipt[name] for name in names if name in read.receipt}
    data = read.receipt.get("data", {})
    return {**found, "data": {name: data[name] for name in ("fingerprint", "examples") if name in data}}


def _beside(parts: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: [part.get(name) for part in parts] for name in names}


def _different(parts: Sequence[Mapping[str, str]]) -> dict[str, list[str | None]]:
    return {name: values for name, values in _beside(parts).items() if len(set(values)) > 1}
