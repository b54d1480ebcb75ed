"""Reads a column of times: where rows lie on a regular grid, and how the grid goes on."""

import calendar
import dataclasses
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np

from kerasdl.data.series import forms
from kerasdl.data.series.table import Table
from kerasdl.errors import UsageError

_NAMES = ("date", "datetime", "timestamp", "time", "ds", "day", "month", "period", "year", "index")
_WORDS = {"date", "datetime", "timestamp", "time", "epoch", "unix"}  # in names such as open_time
_UNITS = (("week", 7 * 86400), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_FINE = {name: size for name, size in forms.EPOCHS.values() if size > 1}  # units, as parts of a second


@dataclasses.dataclass(frozen=True)
class Times:
    """The times of the rows of a file, in the order of the file.

    Attributes:
        places: place of each row on a grid of seconds, months or rows, (R,) int64.
        unit: "second", "month" or "row"; a smaller one than seconds for numbers since 1970 that need it.
        form: how times are written: "none", or one of `forms.form_of`.
        zone: the zone in which they are written; None for times without one.
        last_day: whether the day of a month is its last one.
        written: the times as they are in the file.
        note: what a user should know of how they were read; "" for nothing.
    """

    places: np.ndarray
    unit: str
    form: str = "none"
    zone: tzinfo | None = None
    last_day: bool = False
    written: Sequence[str] = ()
    note: str = ""

    def after(self, place: int) -> str:
        """Return the time at a place, written as the file writes times."""
        if self.unit in ("row", *_FINE):
            return str(place)
        if self.unit == "second":
            time = datetime(1970, 1, 1) + timedelta(seconds=place)
        else:
            known = datetime(1970, 1, 1) + timedelta(seconds=self._seconds)
            year, month = divmod(place, 12)
            longest = calendar.monthrange(year, month + 1)[1]
            day = longest if self.last_day else min(known.day, longest)
            time = known.replace(year=year, month=month + 1, day=day)
        if self.zone is not None:
            time = time.replace(tzinfo=UTC).astimezone(self.zone)
        return forms.write(time, self.form, self.written[-1])

    @property
    def _seconds(self) -> int:
        return round(forms.parse(self.written[-1], self.form)[0])


def find_column(table: Table, wanted: str) -> str | None:
    """Return the column that holds the times: the one that is named, or else has a usual name or holds dates.

    Raises:
        UsageError: when there is none.
    """
    if wanted == "none":
        return None
    if wanted != "auto":
        table.column(wanted)
        return wanted
    if (name := date_column(table)) is not None:  # first: a column "index" knows of no gap
        return name
    if (name := number_column(table)) is not None:
        return name
    for name in _usual(table):
        if forms.of_numbers(table.column(name)):
            return name
    raise UsageError(
        f"{table.name} has no column of times among {', '.join(table.names)}. Name it with --time-column "
        "(and --time-format where its format is unusual), or give --time-column none for rows that are "
        "equally far apart."
    )


def number_column(table: Table) -> str | None:
    """Return the column of numbers that are times since 1970, or dates without signs; None without."""
    likely = [name for name in table.names if _WORDS & set(re.findall("[a-z]+", name.lower()))]
    columns = (*_usual(table), *likely)
    return next(
        (name for name in columns if forms.of_numbers(table.column(name)) not in ("", "number")), None
    )


def date_column(table: Table) -> str | None:
    """Return the first column of dates, of those with a usual name if one has dates; None without."""
    columns = (*_usual(table), *table.names)
    return next((name for name in columns if forms.is_date(next(filter(None, table.column(name)), ""))), None)


def _usual(table: Table) -> list[str]:
    """Return the columns whose names are usual ones of times, the most usual first."""
    found = [name for name in table.names if name.lower() in _NAMES]
    return sorted(found, key=lambda name: _NAMES.index(name.lower()))


def read(table: Table, column: str | None, form: str) -> Times:
    """Read the times of a table.

    Args:
        table: the table.
        column: name of the column; None for rows that are equally far apart.
        form: one of `forms.form_of`, or "auto".

    Raises:
        UsageError: for a text that is no time, and for times of which only some have a zone.
    """
    if column is None:
        return Times(np.arange(len(table.columns[0])), "row")
    cells = table.column(column)
    found_here = form == "auto"
    if found_here:
        form = forms.form_of(table, column, cells)
    if form == "number" or form in forms.EPOCHS:
        return _numbers(table, column, cells, form, found_here)
    seconds = np.empty(len(cells))
    aware = 0
    for row, text in enumerate(cells):
        try:
            seconds[row], zone = forms.parse(text, form)
        except ValueError as error:
            if not text:
                raise _empty(table, row, column) from error
            advice = " Give its format with --time-format, such as %d.%m.%Y." if found_here else ""
            raise UsageError(
                f"{table.name}, {table.place(row)}: {text!r} in column {column} is not a time"
                f"{'' if form == 'iso' else f' of the form {form}'}.{advice}"
            ) from error
        aware += zone is not None
    if aware not in (0, len(cells)):
        raise UsageError(
            f"{table.name}: {aware} of {len(cells)} times in column {column} have a time zone, the others "
            "have none. Give all of them one, or none."
        )
    places = np.round(seconds).astype(np.int64)
    if len(np.unique(places)) < len(np.unique(seconds)):
        raise UsageError(
            f"{table.name}: times in column {column} differ by less than a second, which is the finest "
            "distance. Give --time-column none for rows that are equally far apart."
        )
    return _by_month(Times(places, "second", form, zone, written=cells))


def _numbers(table: Table, column: str, cells: list[str], form: str, found_here: bool) -> Times:
    """Read whole numbers, of rows or since 1970."""
    for row, cell in enumerate(cells):
        if not cell:
            raise _empty(table, row, column)
        if not forms.NUMBER.fullmatch(cell) or abs(forms.whole(cell)) >= 2**63:
            raise UsageError(
                f"{table.name}, {table.place(row)}: {cell!r} in column {column} is not a whole number, as "
                "times are that are no dates."
            )
    places = np.array([forms.whole(cell) for cell in cells], np.int64)
    if form == "number":
        return Times(places, "row", form, written=cells)
    unit, size = forms.EPOCHS[form]
    since = datetime(1970, 1, 1) + timedelta(seconds=int(places.min()) // size)
    note = (
        f"The numbers in column {column} are read as {unit}s since 1970, the first as {since} in UTC "
        "(--time-format number: as numbers of rows)."
    )
    found = Times(places, unit, form, written=cells, note=note if found_here else "")
    if (places % size).any():
        return found
    return _by_month(dataclasses.replace(found, places=places // size, unit="second"))


def _empty(table: Table, row: int, column: str) -> UsageError:
    return UsageError(
        f"{table.name}, {table.place(row)}: column {column} is empty. Fill it, or remove the row."
    )


def _by_month(times: Times) -> Times:
    """Count months instead of seconds where each time is the same day of another month."""
    if (times.zone and times.zone.utcoffset(None)) or len(times.places) < 2:
        return times  # whose months begin at another time than those of UTC
    days = times.places.astype("datetime64[s]")
    months = days.astype("datetime64[M]")
    into = days - months.astype("datetime64[s]")  # since the month began
    before = (months + 1).astype("datetime64[s]") - days  # until it ends
    number = months.astype(np.int64) + 12 * 1970
    steps = np.diff(np.sort(number))
    if not ((steps > 0).mean() > 0.5 and ((into == into[0]).all() or (before == before[0]).all())):
        return times
    last_day = not (into == into[0]).all()
    return dataclasses.replace(times, places=number, unit="month", last_day=last_day)


def step_of(places: np.ndarray) -> int:
    """Return the most common distance between consecutive places, sorted and distinct."""
    distances, counts = np.unique(np.diff(places), return_counts=True)
    return int(distances[np.argmax(counts)]) if len(distances) else 1


def in_words(step: int, unit: str) -> str:
    """Return a step as text: "1 hour", "3 months"; seconds as the largest unit that they fill."""
    if unit in _FINE and step % _FINE[unit] == 0:
        unit, step = "second", step // _FINE[unit]
    if unit == "second":
        unit, size = next((name, size) for name, size in _UNITS if step % size == 0)
        step //= size
    return f"{step} {unit}{'' if step == 1 else 's'}"
