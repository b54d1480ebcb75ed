"""How exported forecasters are compared, fed from files, and shown."""

import dataclasses
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.dataset import DataSpec
from kerasdl.data.source import Source
from kerasdl.inference.endpoint import Arrays, Limits, by_kind

if TYPE_CHECKING:
    from kerasdl.data.series.reading import Recent

_log = logging.getLogger(__name__)

_FAR = 10.0  # standard deviations
_SMALL = 0.1  # mean absolute error in standard deviations, below which a rise is measured against it


def compare(std: np.ndarray, expected: Arrays, actual: Arrays, targets: np.ndarray) -> dict[str, float]:
    """Compare the forecasts of a file with the reference's on the same windows.

    Returns:
        Differences in standard deviations of the training part (the mean one of the worst column), the file's
        mse and mae in these units, and `error_rise`: by how much its mean absolute error is larger than the
        reference's, as a share of that or of 0.1 where that is more.
    """
    units = {name: std if name == "values" else std[:, None] for name in expected}
    apart = {name: np.abs(value - actual[name]) / units[name] for name, value in expected.items()}
    before, after = ((part["values"] - targets) / std for part in (expected, actual))
    mae = [float(np.abs(errors).mean()) for errors in (before, after)]
    return {  # Python's max would drop a NaN
        "max_difference": float(np.max([part.max() for part in apart.values()])),
        "mean_difference": float(np.max([part.mean((0, 1)).max() for part in apart.values()])),
        "mse": float(np.square(after).mean()),
        "mae": mae[1],
        "error_rise": max(0.0, mae[1] - mae[0]) / max(mae[0], _SMALL),
    }


def tolerances(kind: str) -> Limits:
    """Return the limits on the figures of `compare`, by kind of file."""
    return by_kind(
        kind,
        exact={"max_difference": ("<=", 1e-4)},
        float16={"max_difference": ("<=", 0.02)},
        quantized={"mean_difference": ("<=", 0.1), "error_rise": ("<=", 0.05)},
    )


def describe(columns: Sequence[str], outputs: Arrays) -> list[dict[str, Any]]:
    """Return the forecasts of each window by step ahead and column."""
    return [
        {
            f"{name}+{step}" if name else f"+{step}": float(value)
            for step, row in enumerate(window, 1)
            for name, value in zip(columns or [""] * len(row), row, strict=True)
        }
        for window in outputs["values"]
    ]


def recent(source: Source, data: DataSpec, file: str | Path) -> "Recent":
    """Read the last rows of a file as a run read its training data; warns of other units.

    Args:
        source: what the run was trained on.
        data: what is in each of its examples.
        file: CSV or Parquet file with the columns of the training data.

    Raises:
        UsageError: when it has too few rows, a gap or a missing value.
    """
    from kerasdl.data.series.source import Series

    source = source if isinstance(source, Series) else Series()
    found = dataclasses.replace(source, path=str(file)).like(data).recent()
    std = np.array(data.inputs.std)
    away = np.abs(found.window - np.array(data.inputs.mean)).max(axis=0) / np.where(std > 0, std, 1)
    for name, distance in zip(data.inputs.columns, away, strict=True):
        if distance > _FAR:
            _log.warning(
                f"{name} in {file} is up to {distance:,.0f} standard deviations from the mean of "
                "the training. Is it in the same units?"
            )
    return found


def reader(data: DataSpec) -> dict[str, Any]:
    """Return `reads` and `example` of an endpoint over windows of a series; empty for other rows."""
    if not data.inputs.columns:
        return {}
    return {"reads": functools.partial(_read, data), "example": "recent.csv"}


def _read(data: DataSpec, file: str) -> np.ndarray:
    from kerasdl.data.series.source import Series

    return recent(Series(), data, file).window
