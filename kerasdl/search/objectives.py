"""Objectives and constraints of a search: metrics of a run or of its exported files."""

import dataclasses
import math
import operator
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from kerasdl.errors import UsageError, did_you_mean
from kerasdl.report import metrics

#: Kinds of exported files that have metrics: name -> (format, TFLite mode) to export.
ARTEFACTS = {
    "saved_model": ("saved_model", None),
    "float32": ("tflite", "float32"),
    "float16": ("tflite", "float16"),
    "dynamic": ("tflite", "dynamic"),
    "int8": ("tflite", "int8"),
    "int16x8": ("tflite", "int16x8"),
    "onnx": ("onnx", None),
}
#: Short names; the int8 file is the one that phones get.
SHORT = {"tflite_kb": "int8_kb", "latency_ms": "int8_latency_ms"}
#: Metrics of a run that are known only at its end.
LAST = ("weights", "trial_seconds")
_COMPARISONS = {"<=": operator.le, ">=": operator.ge}


@dataclasses.dataclass(frozen=True)
class Objective:
    """A metric and the direction in which it improves."""

    name: str
    direction: Literal["min", "max"]

    @property
    def sign(self) -> int:
        """Factor that makes smaller values better."""
        return 1 if self.direction == "min" else -1

    def better(self, a: float, b: float) -> bool:
        """Tell whether `a` is better than `b`."""
        return self.sign * a < self.sign * b

    def __str__(self) -> str:
        return f"{self.direction}:{self.name}"


@dataclasses.dataclass(frozen=True)
class Constraint:
    """A limit on a metric: `tflite_kb<=100`."""

    name: str
    comparison: Literal["<=", ">="]
    limit: float

    def holds(self, figures: Mapping[str, float]) -> bool:
        """Tell whether a trial's metrics satisfy it; a missing metric does not."""
        value = figures.get(self.name, math.nan)
        return _COMPARISONS[self.comparison](value, self.limit)

    def excess(self, value: float) -> float:
        """Return the distance of a value beyond the limit; positive where it is violated."""
        return value - self.limit if self.comparison == "<=" else self.limit - value

    def __str__(self) -> str:
        return f"{self.name}{self.comparison}{self.limit:g}"


def parse_objective(text: str) -> Objective:
    """Read NAME, whose direction is known, `min:NAME` or `max:NAME`.

    Raises:
        UsageError: when the direction of a name is not known.
    """
    direction, _, name = text.rpartition(":")
    if direction:
        if direction not in ("min", "max") or not name:
            raise UsageError(f"--objective is {text!r}; give NAME, min:NAME or max:NAME.")
        return Objective(name, direction)
    if known := metrics.direction(name):
        return Objective(name, known)
    raise UsageError(
        f"--objective {name!r}: whether to maximise or minimise it is not known. "
        f"Give max:{name} or min:{name}."
        + did_you_mean(name, [*(f"val_{word}" for word in (*metrics.MAXIMISED, *metrics.MINIMISED)), *SHORT])
    )


def parse_constraint(text: str) -> Constraint:
    """Read `NAME<=NUMBER` or `NAME>=NUMBER`.

    Raises:
        UsageError: when it is neither.
    """
    match = re.fullmatch(r"\s*([\w.]+)\s*(<=|>=)\s*(\S+)\s*", text)
    try:
        limit = float(match[3]) if match else math.nan
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise UsageError(f"--subject-to is {text!r}; give NAME<=NUMBER or NAME>=NUMBER (in quotes).")
    return Constraint(match[1], match[2], limit)


def artefact_of(name: str) -> tuple[str, str] | None:
    """Return the artefact and the metric in a name (`int8`, `accuracy`); None for a metric of the run."""
    full = SHORT.get(name, name)
    for artefact in ARTEFACTS:
        if full.startswith(f"{artefact}_"):
            return artefact, full.removeprefix(f"{artefact}_")
    return None


def is_dominated(values: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Tell whether another row is nowhere worse and somewhere better; smaller is better in every column."""
    return any(
        all(b <= a for a, b in zip(values, other, strict=True))
        and any(b < a for a, b in zip(values, other, strict=True))
        for other in others
    )
