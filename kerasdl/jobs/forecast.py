"""Forecasts the rows that follow a file of recent values, with a run, a bundle or an exported file."""

import csv
import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.files import replacing, writing
from kerasdl.jobs.target import Target
from kerasdl.tasks.forecast import files
from kerasdl.tasks.forecast.task import Forecast

_ADVICE = "Give another file with --out."


@dataclasses.dataclass(frozen=True)
class Outlook:
    """A forecast and the rows it came from, in the targets' own units.

    Attributes:
        columns: names of the targets.
        times: times of the last rows.
        past: their values, (context, K).
        next_times: times of the rows ahead.
        values: their forecast, (horizon, K).
        levels: quantiles that are forecast; none for most networks.
        quantiles: their forecast, (horizon, K, Q).
    """

    columns: tuple[str, ...]
    times: tuple[str, ...]
    past: np.ndarray
    next_times: tuple[str, ...]
    values: np.ndarray
    levels: tuple[float, ...]
    quantiles: np.ndarray

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Return the header and the rows of a table: time, values, and each target's quantiles."""
        header = ["time", *self.columns]
        header += [f"{name} {level:g}" for name in self.columns for level in self.levels]
        rows = [
            [time, *map(_number, row), *map(_number, quantiles.ravel())]
            for time, row, quantiles in zip(self.next_times, self.values, self.quantiles, strict=True)
        ]
        return header, rows

    def describe(self) -> dict[str, Any]:
        """Return the forecast as JSON."""
        found: dict[str, Any] = {
            "last": self.times[-1],
            "times": list(self.next_times),
            "values": {name: self.values[:, k].tolist() for k, name in enumerate(self.columns)},
        }
        if self.levels:
            found["quantiles"] = {
                name: {f"{level:g}": self.quantiles[:, k, q].tolist() for q, level in enumerate(self.levels)}
                for k, name in enumerate(self.columns)
            }
        return found


def forecast(target: Target, file: str | Path) -> Outlook:
    """Forecast what follows the last rows of a file.

    Args:
        target: what answers.
        file: CSV or Parquet file with the columns of the training data, read as that was.

    Raises:
        UsageError: when the target does not forecast, or the file has too few rows, a gap or a missing value.
        RunFailedError: when the forecast is not a number.
    """
    if not isinstance(target.task, Forecast) or not target.spec.inputs.columns:
        raise UsageError(
            f"{target.path} does not forecast a series (its task is {type(target.task).__name__}). Give a "
            "run or a bundle of kerasdl train forecast, or use kerasdl predict."
        )
    recent = files.recent(target.data, target.spec, file)
    outputs = target.predict(recent.window[None])
    values = np.asarray(outputs["values"])[0]
    if not np.isfinite(values).all():
        raise RunFailedError(
            f"{target.path} forecasts what is not a number. Are the values of {file} in the units of the "
            "training data?"
        )
    levels = target.task.quantiles
    quantiles = np.asarray(outputs["quantiles"])[0] if levels else np.zeros((*values.shape, 0), np.float32)
    count = recent.num_targets
    return Outlook(
        recent.columns[:count],
        recent.times,
        recent.window[:, :count],
        recent.next_times,
        values,
        levels,
        quantiles,
    )


def write(outlook: Outlook, path: Path) -> list[Path]:
    """Write a forecast as CSV, and as a picture (SVG) beside it; return both paths.

    Raises:
        UsageError: when they cannot be written there.
    """
    from kerasdl.jobs import forecast_picture

    text = io.StringIO()
    header, rows = outlook.table()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    picture = path.with_suffix(".svg")
    if picture == path:
        raise UsageError(
            f"{path} is the name of the picture; give the name of the table: --out forecast.csv."
        )
    for file, content in ((path, text.getvalue()), (picture, forecast_picture.draw(outlook))):
        with writing(file, _ADVICE), replacing(file) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return [path, picture]


def _number(value: float) -> str:
    return f"{value:.6g}"
