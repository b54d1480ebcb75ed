"""The forms in which files write times: which one it is, how it is read, and written again."""

import re
from datetime import UTC, datetime, timedelta, tzinfo

from kerasdl.data.series.table import Table
from kerasdl.errors import UsageError

#: Whole numbers, of rows or since 1970; tables write those of a column with gaps as 7.0.
NUMBER = re.compile(r"[+-]?\d{1,19}(\.0*)?")
#: Forms of numbers since 1970: the unit, and how many of it are in a second.
EPOCHS = {
    "s": ("second", 1), "ms": ("millisecond", 10**3), "us": ("microsecond", 10**6),
    "ns": ("nanosecond", 10**9),
}  # fmt: skip

_BEGIN = datetime(1970, 1, 1)
_COMPACT = {6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}  # by length
_NUM_LOOKED_AT = 12  # cells that tell names of months
_CENTURIES = 1900, 2100  # years that such dates have
_SINCE = 631_152_000, 4_102_444_800  # seconds since 1970 that are taken for such: 1990 to 2100
_NEARLY_ALL = 0.9  # of the numbers; then the others are mistakes
_DAY_FIRST = re.compile(r"^\d{1,2}\.\d{1,2}\.\d{4}")
_SLASHES = re.compile(r"^(\d{1,2})(?:/(\d{1,2})/(\d{2,4})|-(\d{1,2})-(\d{4}))(?!\d)")
_YEAR_FIRST = re.compile(r"^\d{4}([-/])\d{1,2}\1\d{1,2}(?!\d)")
_MONTH = re.compile(r"^(\d{4}([-/])\d{1,2}|\d{1,2}([-/])\d{4})$")
_QUARTER = re.compile(r"^(\d{4}[- /]?)?Q([1-4])([- /]?\d{4})?$", re.IGNORECASE)
_NAMED = tuple(  # months by name: Jan 2024, Jan-24, 5-Jan-2024, 5 January 2024, January 5, 2024
    form.replace("%b", month)
    for form in ("%b %Y", "%b-%Y", "%b-%y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%b %d, %Y", "%b %d %Y")
    for month in ("%b", "%B")
)
_WEEK = re.compile(r"^\d{4}-W\d{2}$")


def is_date(text: str) -> bool:
    """Tell whether a text is a date or a time, and not a number."""
    if NUMBER.fullmatch(text) or text.lstrip("+-").replace(".", "", 1).isdigit():
        return False  # which fromisoformat may take for a date
    if any(form.match(text) for form in (_MONTH, _SLASHES, _DAY_FIRST, _YEAR_FIRST)):
        return True
    return _is_quarter(text) or _from_iso(text) is not None or bool(_named([text]))


def _is_quarter(text: str) -> bool:
    match = _QUARTER.match(text)
    return bool(match) and bool(match[1]) != bool(match[3])


def _from_iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.replace(" UTC", "+00:00"))
    except ValueError:
        return None


def _named(cells: list[str]) -> str:
    """Return the form with names of months that cells have: of May, those after it tell; "" for none."""
    if not re.search("[A-Za-z]{3}", cells[0]):
        return ""
    of_day = _time_of_day(cells[0])
    return next((form + of_day for form in _NAMED if all(_fits(cell, form + of_day) for cell in cells)), "")


def _fits(text: str, form: str) -> bool:
    try:
        return bool(datetime.strptime(text, form))
    except ValueError:
        return False


def form_of(table: Table, column: str, cells: list[str]) -> str:
    """Return the form of the times in a column, as their first cells or, where these do not tell, all say.

    Returns:
        A format of strptime, "iso", "quarter", "number", or one of `EPOCHS`.

    Raises:
        UsageError: for dates that can be read in two ways.
    """
    first = next(filter(None, cells), "")
    if found := of_numbers(cells) or _named(cells[:_NUM_LOOKED_AT]):
        return found
    if _DAY_FIRST.match(first):
        return "%d.%m.%Y" + _time_of_day(first)
    if match := _MONTH.match(first):
        return f"%Y{match[2]}%m" if match[2] else f"%m{match[3]}%Y"
    if _is_quarter(first):
        return "quarter"
    if (match := _YEAR_FIRST.match(first)) and _from_iso(first) is None:
        return "%Y/%m/%d".replace("/", match[1]) + _time_of_day(first)
    return _form_of_slashes(table, column, cells, first) if _SLASHES.match(first) else "iso"


def _form_of_slashes(table: Table, column: str, cells: list[str], first: str) -> str:
    parts = [found for cell in cells if (found := _SLASHES.match(cell))]
    day_first = any(int(part[1]) > 12 for part in parts)
    month_first = any(int(part[2] or part[4]) > 12 for part in parts)
    sign = "-" if parts[0][4] else "/"
    year = "%y" if parts[0][3] and len(parts[0][3]) < 4 else "%Y"
    forms = [sign.join((*of_year, year)) for of_year in (("%d", "%m"), ("%m", "%d"))]
    if day_first == month_first:
        raise UsageError(
            f"{table.name}: dates like {first!r} in column {column} can be read with the day or with the "
            f"month first. Give --time-format {forms[0]} or --time-format {forms[1]} (with %H:%M for hours)."
        )
    return forms[month_first] + _time_of_day(first)


def of_numbers(cells: list[str]) -> str:
    """Return the form of whole numbers: dates without signs between, times since 1970, or rows ("number").

    "" where the first of the cells is no whole number.
    """
    first = next(filter(None, cells), "")
    if not NUMBER.fullmatch(first):
        return ""
    form = _COMPACT.get(len(_digits(first)), "")
    if form and sum(_is_compact(_digits(cell), form) for cell in cells) >= _NEARLY_ALL * len(cells):
        return form
    numbers = [whole(cell) for cell in cells if NUMBER.fullmatch(cell)]
    for name, (_, size) in EPOCHS.items():
        first, last = (size * second for second in _SINCE)
        if sum(first <= number < last for number in numbers) >= _NEARLY_ALL * len(cells):
            return name
    return "number"


def _is_compact(text: str, form: str) -> bool:
    fits = text.isdecimal() and _COMPACT.get(len(text)) == form and _fits(text, form)
    return fits and _CENTURIES[0] <= int(text[:4]) < _CENTURIES[1]


def whole(text: str) -> int:
    """Return the number that a cell of the form `NUMBER` holds."""
    return int(_digits(text))


def _digits(text: str) -> str:
    return text.partition(".")[0]


def _time_of_day(text: str) -> str:
    match = re.search(r"([ T])\d{1,2}:\d{2}(:\d{2})?( ?[AP]M)?$", text, re.IGNORECASE)
    if not match:
        return ""
    of_half = match[3] or ""  # " PM"
    seconds = ":%S" if match[2] else ""
    return f"{match[1]}{'%I' if of_half else '%H'}:%M{seconds}{of_half[:-2]}{'%p' if of_half else ''}"


def parse(text: str, form: str) -> tuple[float, tzinfo | None]:
    """Return the seconds since 1970 (UTC, or without a zone) and the zone of a time.

    Raises:
        ValueError: for a text of another form.
    """
    if form in EPOCHS:
        return whole(text) / EPOCHS[form][1], None
    if form == "quarter":
        if not _is_quarter(text):
            raise ValueError(f"{text!r} is no quarter")
        _, year, number = _parts_of_quarter(text)
        time = datetime(year, 3 * number - 2, 1)
    else:
        text = _digits(text) if form in _COMPACT.values() else text
        iso = text.replace(" UTC", "+00:00")
        time = datetime.fromisoformat(iso) if form == "iso" else datetime.strptime(text, form)
    zone = time.tzinfo
    since = time - (_BEGIN if zone is None else _BEGIN.replace(tzinfo=UTC))
    return since.total_seconds(), zone


def _parts_of_quarter(text: str) -> tuple[str, int, int]:
    """Return a quarter as a template to fill, its year and its number: "{year}Q{number}", 2024, 1."""
    year, number = re.search(r"\d{4}", text)[0], _QUARTER.match(text)[2]
    return text.upper().replace(year, "{year}").replace(f"Q{number}", "Q{number}"), int(year), int(number)


def write(time: datetime, form: str, example: str) -> str:
    """Return a time in a form, with the parts that an example has."""
    if form in EPOCHS:
        return str((time - _BEGIN) // timedelta(seconds=1) * EPOCHS[form][1])
    if form == "quarter":
        return _parts_of_quarter(example)[0].format(year=time.year, number=(time.month + 2) // 3)
    if form != "iso":
        return time.strftime(form)
    if _WEEK.match(example):
        return time.strftime("%G-W%V")
    if len(example) <= 10:
        return time.date().isoformat()
    of_day = re.split("[+-]|Z$", example[11:])[0]
    parts = {0: "hours", 1: "minutes"}.get(of_day.count(":"), "seconds")
    text = time.isoformat(example[10], timespec=parts)
    zone = next((name for name in ("Z", " UTC") if example.endswith(name)), "+00:00")
    return text.replace("+00:00", zone)
