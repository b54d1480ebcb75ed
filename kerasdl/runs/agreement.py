"""Compares a run with its repetition: data, weights, history and metrics."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasdl.runs import receipt, record
from kerasdl.runs.folder import Run

_RELATIVE = 0.05  # tolerance of a figure without an interval, such as older runs have


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison: the value in each run, and whether they agree.

    `agrees` is None for values that are shown without deciding.
    """

    what: str
    first: str
    second: str
    agrees: bool | None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The comparison of a run with its repetition.

    Attributes:
        first: folder of the run.
        second: folder of the repetition.
        same_weights: whether the weights agree bit for bit.
        agrees: whether the run was reproduced: the same weights, or, of a run that was not deterministic,
            metrics within their tolerance.
        rows: the single comparisons.
        differs_now: differences between the machines and the programs, in words.
        largest_difference: largest difference between two weights; None where the networks are not alike.
        reasons: known reasons for a difference; empty where none is known.
        verdict: the result in a sentence or two.
    """

    first: str
    second: str
    same_weights: bool
    agrees: bool
    rows: tuple[Row, ...]
    differs_now: tuple[str, ...]
    largest_difference: float | None
    reasons: tuple[str, ...]
    verdict: str


def compare(first: Run, second: Run, differs: list[str]) -> Comparison:
    """Compare two finished runs of one recipe.

    Args:
        first: the run.
        second: the repetition of the run.
        differs: differences between the machines and the programs, in words.
    """
    rows, hashes = [_data_row(first, second)], [_weights_hash(run) for run in (first, second)]
    same_weights = hashes[0] == hashes[1]
    rows.append(Row("weights (SHA-256)", hashes[0][:16], hashes[1][:16], same_weights))
    rows += _history_rows(first, second)
    figures = _figure_rows(first, second)
    rows += figures
    deterministic = bool(first.read_json("receipt.json").get("deterministic"))
    within = all(row.agrees for row in figures if row.agrees is not None)
    agrees = same_weights or (not deterministic and within)
    largest = 0.0 if same_weights else _largest_difference(first, second)
    reasons = () if same_weights else tuple(_reasons(first, second, deterministic, differs))
    verdict = _verdict(same_weights, agrees, largest, reasons)
    return Comparison(
        str(first.path), str(second.path), same_weights, agrees, tuple(rows), tuple(differs), largest,
        reasons, verdict,
    )  # fmt: skip


def _verdict(same_weights: bool, agrees: bool, largest: float | None, reasons: tuple[str, ...]) -> str:
    if same_weights:
        return "Same weights, bit for bit."
    size = "the networks are not alike" if largest is None else f"the largest difference is {largest:.2g}"
    why = f" To be expected: {'; '.join(reasons)}." if reasons else " Nothing is known that would explain it."
    figures = "The figures agree within their tolerance" if agrees else "The run was not reproduced"
    return f"Not the same weights: {size}. {figures}.{why}"


def _reasons(first: Run, second: Run, deterministic: bool, differs: list[str]) -> list[str]:
    """Return why two runs of one recipe may differ."""
    reasons = [] if deterministic else ["the first run was not deterministic (train with --deterministic)"]
    resumed = first.read_json("receipt.json").get("resumed", [])
    if changes := [text for one in resumed for text in one["changes"]]:
        reasons.append(f"the first run was resumed with other settings ({', '.join(changes)})")
    left, right = (run.read_json("status.json") for run in (first, second))
    if (left.get("step"), left.get("stopped")) != (right.get("step"), right.get("stopped")):
        ends = [
            f"{status.get('stopped') or 'its last epoch'} at step {status.get('step')}"
            for status in (left, right)
        ]
        reasons.append(f"the first run ended by {ends[0]}, the second by {ends[1]}")
    devices = [run.read_json("receipt.json").get("devices") for run in (first, second)]
    if devices[0] != devices[1]:
        reasons.append(f"devices: {devices[0]} then, {devices[1]} now")
    return [*reasons, *differs]


def _weights_hash(run: Run) -> str:
    """Return the hash in the receipt, or that of the saved network for older runs."""
    return run.read_json("receipt.json").get("weights_sha256") or receipt.hash_weights(run.network())


def _largest_difference(first: Run, second: Run) -> float | None:
    left, right = first.network().get_weights(), second.network().get_weights()
    if [array.shape for array in left] != [array.shape for array in right]:
        return None
    sizes = [np.abs(a.astype(np.float64) - b).max(initial=0.0) for a, b in zip(left, right, strict=True)]
    return float(max(sizes, default=0.0))


def _data_row(first: Run, second: Run) -> Row:
    prints = [run.data()["fingerprint"] for run in (first, second)]
    return Row("data (fingerprint)", prints[0][:16], prints[1][:16], prints[0] == prints[1])


def _history_rows(first: Run, second: Run) -> list[Row]:
    """Compare `history.csv` line by line; seconds are left out."""
    left, right = _history(first), _history(second)
    same = [a == b for a, b in zip(left, right, strict=False)]
    agree = all(same) and len(left) == len(right)
    text = "all lines" if agree else f"{sum(same)} of {max(len(left), len(right))} lines agree"
    if not agree and False in same:
        epoch = same.index(False)
        names = [name for name in left[epoch] if _distance(left[epoch], right[epoch], name) > 0]
        worst = max(names, key=lambda name: _distance(left[epoch], right[epoch], name), default="columns")
        text += f", epoch {epoch + 1} differs first, most in {worst}"
        text += f" by {_distance(left[epoch], right[epoch], worst):.2g}" if names else ""
    best = [str(run.read_json("metrics.json").get("best_epoch")) for run in (first, second)]
    return [
        Row("history.csv", f"epochs: {len(left)}", f"epochs: {len(right)}, {text}", agree),
        Row("best epoch", *best, best[0] == best[1]),
    ]


def _history(run: Run) -> list[dict[str, str]]:
    rows = record.rows_of(run.path / "history.csv")
    return [{name: text for name, text in row.items() if name != "seconds"} for row in rows]


def _distance(left: Mapping[str, str], right: Mapping[str, str], name: str) -> float:
    if left[name] == right.get(name):
        return 0.0
    try:
        return abs(float(left[name]) - float(right.get(name, "nan")))
    except (ValueError, TypeError):  # a cell without a number, or none at all
        return math.nan


def _figure_rows(first: Run, second: Run) -> list[Row]:
    """Compare the test metrics; those with an interval decide, or else those that tables show."""
    left, right = (run.read_json("metrics.json").get("test") or {} for run in (first, second))
    known = [name for name in left if _is_number(left[name])]
    intervals = [name for name in known if _is_interval(left.get(f"{name}_interval"))]
    decide = intervals or [name for name in first.recipe().task.columns if name in known]
    rows = []
    for name in left:
        if not _is_number(left[name]):
            continue
        value, other = left[name], right.get(name)
        same = value == other
        text = f"{value:.6g}"
        if name in intervals:
            low, high = left[f"{name}_interval"]
            same = _is_number(other) and low <= other <= high
            text += f" (95 % interval {low:.4g} to {high:.4g})"
        elif name in decide:
            same = _is_number(other) and math.isclose(value, other, rel_tol=_RELATIVE)
            text += f" (within {_RELATIVE:.0%})"
        shown = f"{other:.6g}" if _is_number(other) else str(other)
        rows.append(Row(f"test {name}", text, shown, same if name in decide else None))
    return rows


def _is_interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
