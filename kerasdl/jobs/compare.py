"""Runs side by side: what differs in what they were, in what they reached, and whether beyond chance."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.errors import UsageError
from kerasdl.runs import record
from kerasdl.runs.record import Record, flat

_SIGNIFICANT = 0.05


@dataclasses.dataclass(frozen=True)
class Difference:
    """Whether a run differs from the first on the same test examples.

    Attributes:
        run: name of the run.
        first_only: examples that only the first run has right.
        second_only: examples that only this run has right.
        examples: all of them.
        p_value: of McNemar's exact test, 0..1; None where the runs cannot be compared.
        p_adjusted: the same after Holm's correction for the number of comparisons.
        reason: why they cannot be compared.
    """

    run: str
    first_only: int = 0
    second_only: int = 0
    examples: int = 0
    p_value: float | None = None
    p_adjusted: float | None = None
    reason: str = ""

    @property
    def is_beyond_chance(self) -> bool | None:
        """Whether so large a difference would be rare if both were equally good; None if not compared."""
        return None if self.p_adjusted is None else self.p_adjusted < _SIGNIFICANT

    @property
    def points(self) -> float | None:
        """By how many percentage points more are right than in the first run."""
        return None if self.p_value is None else 100 * (self.second_only - self.first_only) / self.examples

    def sentence(self) -> str:
        """Say it."""
        if self.p_adjusted is None:
            return f"Not compared: {self.reason}."
        more, fewer = sorted((self.first_only, self.second_only), reverse=True)
        verdict = "is beyond chance" if self.is_beyond_chance else "is within chance"
        p = "p < 0.0001" if self.p_adjusted < 1e-4 else f"p = {self.p_adjusted:.2g}"
        return (
            f"The difference of {abs(self.points):.2f} points ({more:,} against {fewer:,} test examples) "
            f"{verdict} ({p})."
        )


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
            "differences": [
                {**dataclasses.asdict(difference), "points": difference.points,
                 "beyond_chance": difference.is_beyond_chance, "sentence": difference.sentence()}
                for difference in self.differences
            ],
        }  # fmt: skip


def compare(paths: Sequence[str | Path]) -> Comparison:
    """Read runs and put them side by side.

    Args:
        paths: two or more run folders; each later one is compared with the first.

    Raises:
        UsageError: for fewer than two runs, the same one twice, or a path that is no run.
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


def mcnemar(first_only: int, second_only: int) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    Were both classifiers equally good, each example that only one of them has right would be the one's or the
    other's with the same probability: their numbers would be binomial with one half.

    Reference: Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12, 1947; its use for two classifiers: T. G. Dietterich, "Approximate
    statistical tests for comparing supervised classification learning algorithms", 1998.

    Args:
        first_only: examples that only the first has right.
        second_only: examples that only the second has right.
    """
    if first_only + second_only == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(first_only, first_only + second_only, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number: that one of them is small by chance is likelier than each.

    Reference: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * np.asarray(p_values, float)[order]))
    return adjusted.tolist()


def _difference(first: Record, first_name: str, second: Record, second_name: str) -> Difference:
    reason = ""
    if first.fingerprint is None or first.fingerprint != second.fingerprint:
        reason = f"{second_name} was trained on other data than {first_name}"
    answers = [read.arrays("predictions.npz") for read in (first, second)]
    for name, found in zip((first_name, second_name), answers, strict=True):
        if found is None or not {"labels", "class_ids"} <= found.keys():
            reason = reason or f"{name} has kept no answers to the test examples (predictions.npz)"
    if not reason and not np.array_equal(answers[0]["labels"], answers[1]["labels"]):
        reason = f"{second_name} was tested on other examples than {first_name}"
    if reason:
        return Difference(second_name, reason=reason)
    right = [found["class_ids"] == found["labels"] for found in answers]
    only = [int(np.count_nonzero(a & ~b)) for a, b in (right, right[::-1])]
    return Difference(second_name, *only, examples=len(right[0]), p_value=mcnemar(*only))


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
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield title, value


def _intervals(read: Record) -> dict[str, tuple[float, float]]:
    suffix = "_interval"
    return {
        name.removesuffix(suffix).replace("_", " "): tuple(value)
        for name, value in read.test.items()
        if name.endswith(suffix) and value and None not in value
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
