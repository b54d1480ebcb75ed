"""Series in a CSV or Parquet file with a column of times, split in the order of time."""

import dataclasses
import hashlib
from typing import Literal

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.series import doubts, reading
from kerasdl.data.series.reading import Recent, Rows
from kerasdl.data.series.windows import WindowSplit, starts_within
from kerasdl.data.source import Source
from kerasdl.errors import UsageError

_ENDINGS = (".csv", ".tsv", ".parquet")
_BUILT_IN = "demand"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series(Source):
    """Series with their past as features and their next values as targets.

    A file is CSV or Parquet; a column holds the times. Windows follow each other row by row. Training,
    validation and test are parts of the time, in this order; the past of a validation or test window may
    reach back into the part before. Windows over gaps and missing values are left out.
    """

    # The file; none for a built-in series of a year of hourly demand and temperature (`--data demand`).
    path: str | None = None
    # Columns to forecast, or all; none for the last column.
    target: tuple[str, ...] | None = None
    # Further columns whose past is used, or all; none for the targets' own past alone.
    features: tuple[str, ...] | None = None
    # Column of times, or date,hour and year,month,day,hour for several that tell them together; auto to find
    # them, or none for rows that are equally far apart.
    time_column: str = "auto"
    # Format of the times as Python's strptime takes it (%d/%m/%Y %H:%M); s, ms, us or ns for numbers since
    # 1970, number for numbers of rows; or auto.
    time_format: str = "auto"
    # Rows of the past that a network sees.
    context: int = 168
    # Rows after those that it forecasts.
    horizon: int = 24
    # Training part: number of rows (8640) or share of all (0.7).
    train_rows: int | float = 0.7
    # Validation part, after it: number of rows or share.
    validation_rows: int | float = 0.1
    # Test part, after that: number of rows or share.
    test_rows: int | float = 0.2
    # Where rows are missing: skip leaves windows over them out, ignore takes rows as equally far apart.
    gaps: Literal["skip", "ignore"] = "skip"
    # Distance of rows that is expected, such as "1 hour"; auto for what the file has.
    step: str = "auto"

    def __post_init__(self):
        for name in ("context", "horizon"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, but it has to be 1 or more rows.")
        parts = {name: getattr(self, name) for name in ("train_rows", "validation_rows", "test_rows")}
        for name, value in parts.items():
            if value <= 0 or (isinstance(value, float) and value >= 1):
                raise UsageError(
                    f"{name} is {value:g}, but it has to be a number of rows (720) or a share from 0 to 1."
                )
        if sum(value for value in parts.values() if isinstance(value, float)) > 1 + 1e-9:
            raise UsageError(f"train_rows, validation_rows and test_rows are more than 1: {_listed(parts)}.")

    @classmethod
    def claim(cls, text: str) -> "Series | None":
        """Return the source for the word "demand", and for a name that ends in .csv, .tsv or .parquet."""
        if text == _BUILT_IN:
            return cls()
        return cls(path=text) if text.lower().endswith(_ENDINGS) else None

    def like(self, spec: DataSpec) -> "Series":
        """Return this source reading the columns, windows and steps that a run read."""
        inputs, targets = spec.inputs, spec.targets
        if not (isinstance(inputs, Spec) and isinstance(targets, Spec) and inputs.columns):
            return self
        more = tuple(name for name in inputs.columns if name not in targets.columns)
        return dataclasses.replace(
            self, target=targets.columns, features=more or None, context=inputs.shape[0],
            horizon=targets.shape[0], step=inputs.step,
        )  # fmt: skip

    def read(self) -> Rows:
        """Read the rows of the file, in the order of time.

        Raises:
            UsageError: when they cannot be read as numbers at times; the message says what to do.
        """
        return reading.read(self)

    def recent(self) -> Recent:
        """Read the last rows of a file, as many as a network sees.

        Raises:
            UsageError: when there are fewer, or one has a gap or a missing value before it.
        """
        return reading.recent(self.read(), self.context, self.horizon)

    def load(self) -> Dataset:
        """Read the file: windows (context, columns) float32, and the rows (horizon, targets) after each.

        Raises:
            UsageError: when the file cannot be read so, or a part of it is too short for a window.
        """
        rows = self.read()
        ends = self._ends(len(rows.values), rows.name)
        starts = [
            starts_within(rows.whole, rows.joined, first, last, self.context, self.horizon, reach=part > 0)
            for part, (first, last) in enumerate(zip((0, *ends[:-1]), ends, strict=True))
        ]
        for name, part, found in zip(
            ("training", "validation", "test"), self._sizes(ends), starts, strict=True
        ):
            if not len(found):
                raise UsageError(self._too_short(rows, name, part))
        values = np.ascontiguousarray(rows.values, np.float32)
        splits = [WindowSplit(values, part, self.context, self.horizon, rows.num_targets) for part in starts]
        return Dataset(
            *splits,
            self._spec(rows, ends[0]),
            _fingerprint(rows, values, splits),
            self._notes(rows, ends, starts),
        )

    def _ends(self, count: int, name: str) -> tuple[int, int, int]:
        """Return the row after each part."""
        given = (self.train_rows, self.validation_rows, self.test_rows)
        ends, sofar = [], 0.0
        for value in given:
            sofar += value * count if isinstance(value, float) else value
            ends.append(int(sofar + 1e-6))
        if ends[-1] > count:
            raise UsageError(
                f"{name} has {count:,} rows, but training, validation and test take {ends[-1]:,}. Give "
                "fewer, for example --train-rows 0.7 --validation-rows 0.1 --test-rows 0.2."
            )
        return ends[0], ends[1], ends[2]

    def _sizes(self, ends: tuple[int, int, int]) -> tuple[int, int, int]:
        return ends[0], ends[1] - ends[0], ends[2] - ends[1]

    def _too_short(self, rows: Rows, name: str, size: int) -> str:
        needed = self.context + self.horizon if name == "training" else self.horizon
        if size < needed:
            return (
                f"The {name} part of {rows.name} has {size:,} rows, but it takes {needed:,} for one window: "
                f"--horizon {self.horizon}"
                + f" and --context {self.context}" * (name == "training")
                + f". Give smaller ones, or more rows (--{name.replace('training', 'train')}-rows)."
            )
        return (
            f"The {name} part of {rows.name} has {size:,} rows, but no {self.context + self.horizon} of them "
            "follow each other without a gap or a missing value. Give a smaller --context, fill the gaps, or "
            "take rows as equally far apart with --gaps ignore (prices of working days, for example)."
        )

    def _spec(self, rows: Rows, train_end: int) -> DataSpec:
        train = rows.values[:train_end]
        mean, std = np.nanmean(train, axis=0), np.nanstd(train, axis=0)
        std[doubts.constant(train)] = 0.0  # of 0.1, 0.1, 0.1 it is 1e-17
        count = rows.num_targets

        def spec(length: int, places: slice) -> Spec:
            return Spec(
                (length, len(rows.columns[places])), "float32", mean=tuple(mean[places].tolist()),
                std=tuple(std[places].tolist()), columns=rows.columns[places], step=rows.step,
            )  # fmt: skip

        constant = [name for name, value in zip(rows.columns[:count], std, strict=False) if not value > 0]
        if constant:
            raise UsageError(
                f"{rows.name}: column {constant[0]} is the same in all {train_end:,} rows of the training "
                "part: there is nothing to learn. Leave it out of --target, or give more --train-rows."
            )
        return DataSpec(spec(self.context, slice(None)), spec(self.horizon, slice(count)))

    def _notes(self, rows: Rows, ends: tuple[int, ...], starts: list[np.ndarray]) -> tuple[str, ...]:
        found = [*rows.notes, *doubts.notes_of_fillers(rows), *doubts.notes_of_scale(rows, ends[0])]
        if (rest := len(rows.values) - ends[-1]) > len(rows.values) // 100:
            found.append(
                f"{rest:,} rows at the end of {rows.name} are not used: they are after the test part."
            )
        possible = sum(self._sizes(ends)) - 3 * (self.horizon - 1) - self.context
        if (left := possible - sum(map(len, starts))) > 0 and not (
            rows.whole.all() and rows.joined[1:].all()
        ):
            found.append(
                f"{left:,} of {possible:,} windows are left out: they go over gaps or missing values."
            )
        return tuple(found)


def _listed(parts: dict[str, int | float]) -> str:
    return ", ".join(f"{value:g}" for value in parts.values())


def _fingerprint(rows: Rows, values: np.ndarray, splits: list[WindowSplit]) -> str:
    digest = hashlib.sha256(repr((rows.columns, rows.num_targets, values.shape)).encode())
    digest.update(np.nan_to_num(values, nan=-1e30).tobytes())
    for split in splits:
        digest.update(repr((split.context, split.horizon)).encode() + split.starts.tobytes())
    return digest.hexdigest()
