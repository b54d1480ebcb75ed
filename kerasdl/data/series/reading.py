"""Reads the rows of a series in the order of time: sorted, once each, with their gaps known."""

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.data.series import cells, forms, joining, synthetic, table, times
from kerasdl.data.series.table import Table
from kerasdl.data.series.times import Times
from kerasdl.errors import UsageError

if TYPE_CHECKING:
    from kerasdl.data.series.source import Series

_PARTS = ("year", "month", "day", "date", "hour", "hr", "time", "minute")  # of a time, in columns


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of a series, in the order of time.

    Attributes:
        name: the file, for messages.
        columns: names of the columns, the targets first.
        num_targets: number of columns to forecast.
        values: (R, C) float64, NaN where a value is missing.
        places: place of each row on the grid of times, (R,) int64, ascending.
        times: how places are written.
        distance: distance of rows, in the unit of the times.
        joined: whether each row comes one step after the row before it, (R,) bool.
        notes: sentences about what was found.
    """

    name: str
    columns: tuple[str, ...]
    num_targets: int
    values: np.ndarray
    places: np.ndarray
    times: Times
    distance: int
    joined: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> np.ndarray:
        """Whether each row has all its values, (R,) bool."""
        return np.isfinite(self.values).all(axis=1)

    @property
    def step(self) -> str:
        """The distance of rows in words: "1 hour"."""
        return times.in_words(self.distance, self.times.unit)


def read(source: "Series") -> Rows:
    """Read the file of a source; see `Series.read`."""
    found = synthetic.demand() if source.path is None else table.read(Path(source.path).expanduser())
    found, wanted = joining.join(found, source.time_column, (source.target or ()) + (source.features or ()))
    time_column = times.find_column(found, wanted)
    columns, num_targets = _columns(source, found, time_column)
    values = np.stack([cells.read(found, name) for name in columns], axis=1)
    read_times = times.read(found, time_column, source.time_format)
    if read_times.form in forms.EPOCHS and source.step.endswith((" row", " rows")):
        read_times = times.read(found, time_column, "number")  # as runs of earlier versions did
    order = np.argsort(read_times.places, kind="stable")
    notes = _note_chosen(source, found, time_column, columns[:num_targets])
    notes += filter(None, [read_times.note])
    if wanted != source.time_column and source.time_column == "auto":
        notes.append(f"The columns {time_column} tell the times together (--time-column).")
    if (np.diff(order) < 0).any():
        notes.append(f"The rows of {found.name} are not in the order of time: they were sorted.")
    kept = _once(found, time_column, order, read_times, values, notes)
    places, values = read_times.places[kept], values[kept]
    distance = times.step_of(places)
    _check_step(source, found, times.in_words(distance, read_times.unit))
    joined = np.ones(len(places), bool)
    if source.gaps == "skip":
        joined[1:] = np.diff(places) == distance
        _note_gaps(found, places, distance, read_times, notes)
    _note_missing(found, columns, values, notes)
    rows = Rows(found.name, columns, num_targets, values, places, read_times, distance, joined, tuple(notes))
    return rows


def _columns(source: "Series", found: Table, time_column: str | None) -> tuple[tuple[str, ...], int]:
    """Return the columns to read, targets first, and the number of targets."""
    others = [name for name in found.names if name != time_column]
    numeric = [name for name in others if cells.are_numbers(found, name)]
    if not numeric and source.target is None:
        raise UsageError(f"{found.name} has no column of numbers beside its times. Give one with --target.")
    targets = source.target or (numeric[-1],)
    if targets == ("all",) and "all" not in found.names:
        targets = tuple(numeric)
    more = source.features or ()
    if more == ("all",) and "all" not in found.names:
        more = tuple(name for name in numeric if name not in targets)
    for name in (*targets, *more):
        found.column(name)
        if name == time_column:
            raise UsageError(f"{name} is the column of times of {found.name}; it cannot be forecast as well.")
    columns = (*targets, *(name for name in more if name not in targets))
    if len(set(columns)) < len(columns):
        raise UsageError(f"A column is named twice among {', '.join(columns)}. Name each once.")
    return columns, len(targets)


def _note_chosen(
    source: "Series", found: Table, time_column: str | None, targets: tuple[str, ...]
) -> list[str]:
    """Return which columns were chosen where the user named none, or named all."""
    if source.path is None:
        return []
    others = [name for name in found.names if name != time_column]
    if source.target is None and len(others) > 1:
        return [f"The column that is forecast is {targets[0]}, the last one of numbers (--target)."]
    left_out = [name for name in others if not cells.are_numbers(found, name)]
    if ("all",) in (source.target, source.features) and "all" not in found.names and left_out:
        return [f"Not among all columns, since they hold no numbers: {', '.join(left_out)}."]
    return []


def _once(
    found: Table,
    time_column: str | None,
    order: np.ndarray,
    read: Times,
    values: np.ndarray,
    notes: list[str],
) -> np.ndarray:
    """Return the rows in order, of rows of the same time that say the same only the first."""
    places = read.places[order]
    again = np.flatnonzero(places[1:] == places[:-1]) + 1
    for place in again:
        first, second = order[place - 1], order[place]
        if not np.array_equal(values[first], values[second], equal_nan=True):
            raise UsageError(
                f"{found.name} has different values for one time: {_time(read, second)} in "
                f"{found.place(first)} and {found.place(second)}. "
                + _advice(found, time_column, _time(read, second))
            )
    if len(again):
        notes.append(f"{len(again):,} rows of {found.name} come twice, with the same values: read once.")
    return np.delete(order, again)


def _advice(found: Table, time_column: str | None, time: str) -> str:
    """Return what to do about rows of one time."""
    parts = [name for name in found.names if name == time_column or name.lower() in _PARTS]
    has_day = any(name.lower() in ("date", "year") or name.lower() not in _PARTS for name in parts)
    if len(parts) > 1 and has_day and ":" not in time and " " not in (time_column or ""):
        in_order = time_column.lower() in ("year", "month", "day") and time.isdecimal()
        parts.sort(key=lambda name: _PARTS.index(name.lower()) if in_order or name != time_column else -1)
        together = f"--time-column {shlex.quote(','.join(parts))}"
        return f"If {' and '.join(parts)} tell it together, with hours from 0 to 23, give {together}."
    return (
        "Keep one of them. Local times with daylight saving come twice in autumn: give them with their zone "
        "(2024-10-27T02:00+01:00) or in UTC. Rows of several series in one file have to be files of their "
        "own."
    )


def _time(read: Times, row: int) -> str:
    return read.written[row] if len(read.written) else f"row {row + 1}"


def _check_step(source: "Series", found: Table, step: str) -> None:
    if source.step not in ("auto", step):
        raise UsageError(
            f"{found.name} has a row every {step}, but every {source.step} is expected, as in training. Give "
            "rows at that distance."
        )


def _note_gaps(found: Table, places: np.ndarray, distance: int, read: Times, notes: list[str]) -> None:
    steps = np.diff(places)
    gaps = np.flatnonzero(steps != distance)
    if not len(gaps):
        return
    off = np.mean(steps % distance != 0)
    step = times.in_words(distance, read.unit)
    if len(gaps) > len(steps) / 2 or off > 0.05:
        raise UsageError(
            f"The times of {found.name} are not regular: the most common distance of rows is {step}, but "
            f"{len(gaps):,} of {len(steps):,} distances differ. Bring them to a regular grid first, or take "
            "rows as equally far apart with --gaps ignore."
        )
    longest = int(steps.max())
    first = read.after(int(places[gaps[0]]))
    notes.append(
        f"{found.name} has {len(gaps):,} gaps in its times (a row every {step}); the first is after {first}, "
        f"the longest takes {times.in_words(longest, read.unit)}."
    )


def _note_missing(found: Table, columns: tuple[str, ...], values: np.ndarray, notes: list[str]) -> None:
    counts = np.isnan(values).sum(axis=0)
    for name, count in zip(columns, counts, strict=True):
        if count == len(values):
            raise UsageError(
                f"{found.name}: column {name} has no values. Choose others (--target, --features)."
            )
        if count:
            notes.append(f"{found.name}: {count:,} of {len(values):,} values in column {name} are missing.")


@dataclasses.dataclass(frozen=True)
class Recent:
    """The last rows of a series, and the times that follow them.

    Attributes:
        columns: names of the columns, the targets first.
        num_targets: number of columns to forecast.
        window: (context, C) float32.
        times: times of these rows, as text.
        next_times: times of the rows that come after them.
    """

    columns: tuple[str, ...]
    num_targets: int
    window: np.ndarray
    times: tuple[str, ...]
    next_times: tuple[str, ...]


def recent(rows: Rows, context: int, horizon: int) -> Recent:
    """Return the last rows, and the times of those that come after them; see `Series.recent`."""
    needed = f"The network sees the last {context:,} rows before it forecasts"
    if len(rows.values) < context:
        raise UsageError(f"{needed}, but {rows.name} has {len(rows.values):,}. Give more of the past.")
    last = slice(len(rows.values) - context, None)
    times_of = [rows.times.after(int(place)) for place in rows.places[last]]
    for place, (whole, joined) in enumerate(zip(rows.whole[last], rows.joined[last], strict=True)):
        if not whole:
            raise UsageError(
                f"{needed}, but a value is missing at {times_of[place]} in {rows.name}. Fill it."
            )
        if place and not joined:
            raise UsageError(f"{needed}, but {rows.name} has a gap before {times_of[place]}. Fill it.")
    place = int(rows.places[-1])
    following = tuple(rows.times.after(place + rows.distance * step) for step in range(1, horizon + 1))
    window = np.ascontiguousarray(rows.values[last], np.float32)
    return Recent(rows.columns, rows.num_targets, window, tuple(times_of), following)
