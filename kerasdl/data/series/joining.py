"""Joins columns that tell a time together: a date and an hour, or year, month and day."""

import re
from collections.abc import Sequence

from kerasdl.data.series import forms, times
from kerasdl.data.series.table import Table
from kerasdl.errors import UsageError

# What columns with parts of a time are called, from the largest part to the smallest, and their values.
_PARTS = {
    ("year", "yr"): range(1000, 10_000), ("month", "mo"): range(1, 13), ("day",): range(1, 32),
    ("hour", "hr", "time"): range(24), ("minute", "min"): range(60), ("second", "sec"): range(60),
}  # fmt: skip
_NAMES, _VALUES = list(_PARTS), list(_PARTS.values())
_HOUR = 3  # place of the hour among these
_COUNTERS = ("date", "datetime", "timestamp", "time", "ds", "period")  # which may hold numbers of rows
_OTHERS = {"quarter", "qtr", "week", "weekday", "dayofyear", "day_of_year", "doy"}  # are never joined
_OF_DAY = re.compile(r"\d{1,2}:\d{2}.*|\d{1,2}(\.\d{2}){1,2}")  # 18:00, 6:00 PM, 18.00.00
_SPAN = re.compile(r"\d{1,2}:\d{2}-(\d{1,2}:\d{2})")  # 18:00-19:00, or in the zone -05:00
_MOST_ZONES = 2  # of a place, with daylight saving
_MIDNIGHT = re.compile(r"[ T](0?0:00(:00(\.0*)?)?|12:00(:00)? ?AM)$", re.IGNORECASE)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(\.0*)?")


def join(table: Table, wanted: str, kept: Sequence[str] = ()) -> tuple[Table, str]:
    """Return a table in which one column tells the times, and what is to be read as times.

    Args:
        table: the table.
        wanted: "date,hour" for columns to join, from the largest part to the smallest: dates, or year, month
            and perhaps day; then a time of day, or hour, minute and second. "auto" for columns that are
            called so, where no single one tells a time. Anything else is returned as it is.
        kept: columns that stay, if they are joined too. Defaults to none.

    Raises:
        UsageError: when there is no such column, or a cell is no such part or can be read in two ways.
    """
    names = _found(table) if wanted == "auto" else _named(table, wanted)
    if len(names) < 2:
        return table, wanted
    columns = [table.column(name) for name in names]
    with_dates = _are_dates(columns[0])
    for name, cells, place in zip(names, columns, _places(with_dates), strict=False):
        for row, cell in enumerate(cells):
            if not _is_part(cell, place):
                values = "" if place is None else f": {_VALUES[place][0]} to {_VALUES[place][-1]}"
                raise UsageError(
                    f"{table.name}, {table.place(row)}: {cell!r} in column {name} is no part of a time"
                    f"{values}."
                )
        if place == _HOUR:
            _check_plain(table, name, cells)
    joined = [_written(cells, with_dates) for cells in zip(*columns, strict=True)]
    stay = [number for number, name in enumerate(table.names) if name in names and name in kept]
    others = stay + [number for number, name in enumerate(table.names) if name not in names]
    title = " ".join(names)
    return Table(
        table.name,
        (title, *(table.names[number] for number in others)),
        [joined, *(table.columns[number] for number in others)],
        table.lines,
    ), title


def _named(table: Table, wanted: str) -> list[str]:
    if "," not in wanted or wanted in table.names:
        return []
    names = [name.strip() for name in wanted.split(",")]
    for name in names:
        table.column(name)
    if len(names) > len(_PARTS):
        raise UsageError(
            f"--time-column names {len(names)} columns, but a time has {len(_PARTS)} parts at most."
        )
    for name, place in zip(names, _places(_are_dates(table.column(names[0]))), strict=False):
        called = next((number for number, usual in enumerate(_NAMES) if name.lower() in usual), place)
        if place is not None and (called != place or name.lower() in _OTHERS):
            raise UsageError(
                f"--time-column {wanted}: {name} would be read as the {_NAMES[place][0]}. Name a date and a "
                "time of day, or year, month, day, hour, minute and second, in this order."
            )
    return names


def _found(table: Table) -> list[str]:
    """Return the columns that tell times together by their names and cells; none where one column does."""
    known = {name.lower(): name for name in table.names}
    parts = [next((known[name] for name in names if name in known), None) for names in _NAMES]
    if (dates := times.date_column(table)) is not None:
        cells = table.column(dates)
        is_alone = _differ(table, dates) or any(":" in _MIDNIGHT.sub("", cell) for cell in cells)
        parts = [] if is_alone else [dates, *parts[_HOUR:]]
    elif None in parts[:2] or any(
        _differ(table, name) for name in (times.number_column(table), _counter(table)) if name
    ):
        parts = []
    names = parts[: parts.index(None)] if None in parts else parts
    enough = (count for count in range(2, len(names)) if _differ(table, *names[:count]))
    names = names[: next(enough, None)]  # beside an hour for each row, "min" may be the lowest value
    places = _places(dates is not None)
    fit = all(
        _is_part(cell, place)
        for name, place in zip(names, places, strict=False)
        for cell in table.column(name)
    )
    return names if fit else []


def _differ(table: Table, *names: str) -> bool:
    """Tell whether rows with the same cells in some columns are the same row."""
    count = len(set(zip(*map(table.column, names), strict=True)))
    return count == len(table.columns[0]) or count == len(set(zip(*table.columns, strict=True)))


def _counter(table: Table) -> str | None:
    """Return the column that counts rows by its name, and tells no hours; None without."""
    for name in table.names:
        cells = table.column(name)
        is_hour = all(_is_part(cell, _HOUR) for cell in cells)
        if name.lower() in _COUNTERS and forms.of_numbers(cells) and not is_hour:
            return name
    return None


def _check_plain(table: Table, name: str, cells: Sequence[str]) -> None:
    """Raise a UsageError for spans of time, which look like zones, and for 7.50, half past seven or 7:50."""
    ends = {found[1]: found[0] for cell in cells if (found := _SPAN.fullmatch(cell))}
    if len(ends) > _MOST_ZONES:
        raise UsageError(
            f"{table.name}: {next(iter(ends.values()))!r} in column {name} is a span of time. Write where "
            "each begins."
        )
    if all(re.fullmatch(r"\d{1,2}\.[05]0", cell) for cell in cells) and any(".5" in cell for cell in cells):
        raise UsageError(
            f"{table.name}: {next(cell for cell in cells if '.5' in cell)!r} in column {name} may be half an "
            "hour or 50 minutes. Write hours and minutes with a colon: 18:30."
        )


def _places(with_dates: bool) -> list[int | None]:
    """Return of each column to join its place among the parts; None for dates."""
    return [None, *range(_HOUR, len(_PARTS))] if with_dates else list(range(len(_PARTS)))


def _are_dates(cells: Sequence[str]) -> bool:
    first = next(filter(None, cells), "")
    return forms.is_date(first) or _COMPACT.fullmatch(first) is not None


def _is_part(cell: str, place: int | None) -> bool:
    if place is None or (place == _HOUR and _OF_DAY.fullmatch(cell)):
        return bool(cell)
    return forms.NUMBER.fullmatch(cell) is not None and forms.whole(cell) in _VALUES[place]


def _written(cells: Sequence[str], with_dates: bool) -> str:
    """Return the parts of a time as one text: 2024-10-27 02:00."""
    if with_dates:
        date, of_day = _COMPACT.sub(r"\1-\2-\3", _MIDNIGHT.sub("", cells[0])), cells[1:]
    else:
        numbers = [forms.whole(cell) for cell in cells[:_HOUR]]
        date, of_day = (
            "-".join(f"{number:0{width}}" for number, width in zip(numbers, (4, 2, 2), strict=False)),
            cells[_HOUR:],
        )
    if not of_day:
        return date
    if not forms.NUMBER.fullmatch(of_day[0]):
        return f"{date} {'0' * (not of_day[0][1:2].isdecimal())}{of_day[0].replace('.', ':')}"
    hour, minute, *seconds = [*map(forms.whole, of_day), 0][: max(2, len(of_day))]
    return f"{date} " + ":".join(f"{number:02}" for number in (hour, minute, *seconds))
