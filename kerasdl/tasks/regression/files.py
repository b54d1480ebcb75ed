"""Answers of an exported file: its values, and their distance from those of the reference."""

from typing import Any

import numpy as np

from kerasdl.inference.endpoint import Arrays, Limits, by_kind
from kerasdl.tasks.regression import figures


def compare(std: np.ndarray, expected: Arrays, actual: Arrays, targets: np.ndarray) -> dict[str, float]:
    """Compare the values of a file with the reference's on the same examples.

    Returns:
        Differences in standard deviations of the training targets (the mean one of the worst output), the
        file's mean absolute error and R2, and `error_rise`: by how much its mean absolute error is larger
        than the reference's, as a share of that, or of half a standard deviation where that is more.
    """
    difference = np.abs(expected["values"] - actual["values"]) / std
    targets = figures.columns_of(targets)
    before, after = (float(np.abs(part["values"] - targets).mean()) for part in (expected, actual))
    return {
        "max_difference": float(difference.max()),
        "mean_difference": float(difference.reshape(len(difference), -1).mean(axis=0).max()),
        "mae": after,
        "r2": figures.r2(actual["values"], targets),
        "error_rise": max(0.0, after - before) / max(before, 0.5 * float(std.mean())),
    }


def tolerances(kind: str) -> Limits:
    """Return the limits on the figures of `compare`, by kind of file."""
    return by_kind(
        kind,
        exact={"max_difference": ("<=", 1e-4)},
        float16={"max_difference": ("<=", 0.02)},
        quantized={"mean_difference": ("<=", 0.05), "error_rise": ("<=", 0.05)},
    )


def steps(std: np.ndarray, differences: np.ndarray) -> dict[str, float]:
    """Return the largest of differences (places, num_outputs) from whole passes, in standard deviations."""
    return {"stream_max_difference": float(np.max(differences / std))}


def tolerances_of_steps(kind: str) -> Limits:
    """Return the limits on the figures of `steps`, by kind of file."""
    return by_kind(
        kind,
        exact={"stream_max_difference": ("<=", 1e-3)},
        float16={"stream_max_difference": ("<=", 0.05)},
        quantized={"stream_max_difference": ("<=", 0.2)},
    )


def names_of(num_outputs: int) -> list[str]:
    """Return how the values of an example are called, in their order."""
    return ["value"] if num_outputs == 1 else [f"value {number}" for number in range(num_outputs)]


def describe(outputs: Arrays) -> list[dict[str, Any]]:
    """Return the value of each example, or its values by number."""
    names = names_of(outputs["values"].shape[1])
    return [dict(zip(names, row.tolist(), strict=True)) for row in outputs["values"]]
