"""Reads a column of times: where rows lie on a regular grid, and how the grid goes on."""

import calendar
import dataclasses
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np

from kerasdl.data.series.table import Table
from kerasdl.errors import UsageError

_NAMES = ("date", "datetime", "timestamp", "time", "ds", "day", "month", "period", "index")
_DAY_FIRST = re.compile(r"^\d{1,2}\.\d{1,2}\.\d{4}")
_SLASHES = re.compile(r"^(\d{1,2})/(\d{1,2})/(\d{2,4})(.*)$")
_MONTH = re.compile(r"^(\d{4})[-/](\d{1,2})$")
_UNITS = (("week", 7 * 86400), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


@dataclasses.dataclass(frozen=True)
class Times:
    """The times of the rows of a file, in the order of the file.

    Attributes:
        places: place of each row on a grid of seconds, months or rows, (R,) int64.
        unit: "second", "month" or "row".
        form: how times are written: a format of strftime, "iso", "number" or "none".
        zone: the zone in which they are written; None for times without one.
        last_day: whether the day of a month is its last one.
        written: the times as they are in the file.
    """

    places: np.ndarray
    unit: str
    form: str = "none"
    zone: tzinfo | None = None
    last_day: bool = False
    written: Sequence[str] = ()

    def after(self, place: int) -> str:
        """Return the time at a place, written as the file writes times."""
        if self.form in ("none", "number"):
            return str(place)
        if self.unit == "second":
            time = datetime(1970, 1, 1) + timedelta(seconds=place)
        else:
            known = datetime(1970, 1, 1) + timedelta(seconds=self._seconds)
            year, month = divmod(place, 12)
            longest = calendar.monthrange(year, month + 1)[1]
            time = known.replace(year=year, month=month + 1, day=longest if self.last_day else known.day)
        if self.zone is not None:
            time = time.replace(tzinfo=UTC).astimezone(self.zone)
        if self.form == "iso":
            return _like(time, self.written[-1])
        return time.strftime(self.form)

    @property
    def _seconds(self) -> int:
        return round(_parse(self.written[-1], self.form)[0])


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
    usual = [name for name in table.names if name.lower() in _NAMES]
    usual.sort(key=lambda name: _NAMES.index(name.lower()))
    for name in (*usual, *table.names):  # dates first: a column "index" knows of no gap
        if _is_date(table.column(name)[0]):
            return name
    for name in usual:
        if table.column(name)[0].lstrip("+-").isdigit():
            return name
    raise UsageError(
        f"{table.name} has no column of times among {', '.join(table.names)}. Name it with --time-column "
        "(and --time-format where its format is unusual), or give --time-column none for rows that are "
        "equally far apart."
    )


def _is_date(text: str) -> bool:
    if text.lstrip("+-").replace(".", "", 1).isdigit():  # a number, which fromisoformat may take for a date
        return False
    return bool(_MONTH.match(text) or _SLASHES.match(text) or _DAY_FIRST.match(text) or _from_iso(text))


def _from_iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def read(table: Table, column: str | None, form: str) -> Times:
    """Read the times of a table.

    Args:
        table: the table.
        column: name of the column; None for rows that are equally far apart.
        form: a format of strptime, or "auto".

    Raises:
        UsageError: for a text that is no time, and for times of which only some have a zone.
    """
    if column is None:
        return Times(np.arange(len(table.columns[0])), "row")
    cells = table.column(column)
    found_here = form == "auto"
    if found_here:
        form = _form_of(table, column, cells)
    if form == "number":
        return _numbers(table, column, cells)
    seconds = np.empty(len(cells))
    aware = 0
    for row, text in enumerate(cells):
        try:
            seconds[row], zone = _parse(text, form)
        except ValueError as error:
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


def _form_of(table: Table, column: str, cells: list[str]) -> str:
    """Return the form of the times in a column, as their first cells and, for 3/4/2020, all of them say."""
    first = cells[0]
    if re.fullmatch(r"[+-]?\d+(\.0*)?", first) and not (len(first) == 8 and _from_iso(first)):
        return "number"
    if _DAY_FIRST.match(first):
        return "%d.%m.%Y" + _time_of_day(first)
    if _MONTH.match(first):
        return "%Y-%m" if "-" in first else "%Y/%m"
    if re.match(r"^\d{4}/\d{1,2}/\d{1,2}", first):
        return "%Y/%m/%d" + _time_of_day(first)
    if not (match := _SLASHES.match(first)):
        return "iso"
    parts = [found for cell in cells if (found := _SLASHES.match(cell))]
    day_first = any(int(part[1]) > 12 for part in parts)
    month_first = any(int(part[2]) > 12 for part in parts)
    if day_first == month_first:
        raise UsageError(
            f"{table.name}: dates like {first!r} in column {column} can be read with the day or with the "
            "month first. Give --time-format %d/%m/%Y or --time-format %m/%d/%Y (with %H:%M for hours)."
        )
    year = "%Y" if len(match[3]) == 4 else "%y"
    return ("%d/%m/" if day_first else "%m/%d/") + year + _time_of_day(first)


def _time_of_day(text: str) -> str:
    match = re.search(r"([ T])\d{1,2}:\d{2}(:\d{2})?( ?[AP]M)?$", text, re.IGNORECASE)
    if not match:
        return ""
    of_half = match[3] or ""  # " PM"
    seconds = ":%S" if match[2] else ""
    return f"{match[1]}{'%I' if of_half else '%H'}:%M{seconds}{of_half[:-2]}{'%p' if of_half else ''}"


def _parse(text: str, form: str) -> tuple[float, tzinfo | None]:
    """Return the seconds since 1970 (UTC, or without a zone) and the zone of a time."""
    time = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)
    zone = time.tzinfo
    since = time - datetime(1970, 1, 1, tzinfo=None if zone is None else UTC)
    return since.total_seconds(), zone


def _numbers(table: Table, column: str, cells: list[str]) -> Times:
    for row, cell in enumerate(cells):
        if not re.fullmatch(r"[+-]?\d{1,18}(\.0*)?", cell):
            raise UsageError(
                f"{table.name}, {table.place(row)}: {cell!r} in column {column} is not a whole number, as "
                "times are that are no dates."
            )
    return Times(np.array([int(cell.partition(".")[0]) for cell in cells]), "row", "number", written=cells)


def _by_month(times: Times) -> Times:
    """Count months instead of seconds where each time is the same day of another month."""
    if times.zone is not None or len(times.places) < 2:
        return times
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


def _like(time: datetime, example: str) -> str:
    """Write a time as ISO 8601 with the parts that an example has."""
    if len(example) <= 10:
        return time.date().isoformat()
    separator = "T" if "T" in example else " "
    parts = "minutes" if example.count(":") - (example[-3:-2] == ":" and "+" in example) == 1 else "seconds"
    text = time.isoformat(separator, timespec=parts)
    return text.replace("+00:00", "Z") if example.endswith("Z") else text


def step_of(places: np.ndarray) -> int:
    """Return the most common distance between consecutive places, sorted and distinct."""
    distances, counts = np.unique(np.diff(places), return_counts=True)
    return int(distances[np.argmax(counts)]) if len(distances) else 1


def in_words(step: int, unit: str) -> str:
    """Return a step as text: "1 hour", "3 months"; seconds as the largest unit that they fill."""
    if unit == "second":
        unit, size = next((name, size) for name, size in _UNITS if step % size == 0)
        step //= size
    return f"{step} {unit}{'' if step == 1 else 's'}"
