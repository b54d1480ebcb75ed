"""Reads columns of numbers from the cells of a table."""

import re

import numpy as np

from kerasdl.data.series.table import Table, is_number
from kerasdl.errors import UsageError

_MISSING = {"", "na", "n/a", "nan", "null", "none", "-", "?", "#n/a"}
_COMMA = re.compile(r"^[+-]?\d+,\d+(e[+-]?\d+)?$", re.IGNORECASE)
_THOUSANDS = re.compile(r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$")
_POINTS = re.compile(r"^[+-]?\d{1,3}(\.\d{3})+(,\d*)?$")  # parting thousands, before a decimal comma
_FORMS = (_COMMA, _THOUSANDS, _POINTS)


def read(table: Table, column: str) -> np.ndarray:
    """Read the numbers of a column; missing ones (empty cells, NA, null, ...) are NaN.

    Decimal commas are read where no point is among the numbers.

    Returns:
        (R,) float64.

    Raises:
        UsageError: for a text that is no number, one beyond float32, or a comma that can be read in two ways.
    """
    cells = ["nan" if cell.lower() in _MISSING else cell for cell in table.column(column)]
    if any("," in cell for cell in cells):
        cells = _with_points(table, column, cells)
    _check_thousands(table, column, cells)
    try:
        values = np.array(cells, np.float64)
    except ValueError:
        row = next(row for row, cell in enumerate(cells) if not is_number(cell))
        raise UsageError(
            f"{table.name}, {table.place(row)}: {cells[row]!r} in column {column} is not a number. Correct "
            "it, leave the cell empty where the value is missing, or choose other columns (--target, "
            "--features)."
        ) from None
    if (too_large := np.abs(values) > np.finfo(np.float32).max).any():  # infinite to a network
        row = int(np.argmax(too_large))
        what = "infinite" if np.isinf(values[row]) else "too large a number for 32 bits (3.4e38 at most)"
        raise UsageError(
            f"{table.name}, {table.place(row)}: {cells[row]!r} in column {column} is {what}. Correct it, or "
            "leave the cell empty where the value is missing."
        )
    return values


def _check_thousands(table: Table, column: str, cells: list[str]) -> None:
    """Raise a UsageError where 1.000 seems to be a thousand: always three digits, yet 999 without a point."""
    pointed = [cell for cell in cells if "." in cell]
    zero = next((cell for cell in pointed if cell.endswith("0")), None)
    whole = any(cell.lstrip("+-").isdigit() and len(cell.lstrip("+-")) == 3 for cell in cells)
    if zero and whole and all(_POINTS.match(cell) and cell.lstrip("+-")[0] != "0" for cell in pointed):
        raise UsageError(
            f"{table.name}: the point of {zero!r} in column {column} may part thousands or decimals, since "
            "other numbers have none. Write decimal points, and nothing between thousands."
        )


def are_numbers(table: Table, column: str) -> bool:
    """Tell whether most cells of a column are numbers, in whatever form; `read` refuses some of them."""
    cells = [cell for cell in table.column(column)[:1000] if cell.lower() not in _MISSING]
    numbers = [cell for cell in cells if is_number(cell) or any(form.match(cell) for form in _FORMS)]
    return len(numbers) > len(cells) / 2


def _with_points(table: Table, column: str, cells: list[str]) -> list[str]:
    """Return cells with decimal points instead of decimal commas."""
    commas = [cell for cell in cells if "," in cell]
    if both := next((cell for cell in commas if "." in cell), None):  # the last sign is that of decimals
        return _without_thousands(table, column, cells, both, both.rindex(".") > both.rindex(","))
    if all(_THOUSANDS.match(cell) for cell in commas):
        raise UsageError(
            f"{table.name}: the comma of {commas[0]!r} in column {column} may part thousands or decimals. "
            "Write decimal points, and nothing between thousands."
        )
    if any("." in cell for cell in cells):
        raise _both_signs(table, column, commas[0])
    return [cell.replace(",", ".") if _COMMA.match(cell) else cell for cell in cells]


def _without_thousands(table: Table, column: str, cells: list[str], both: str, points: bool) -> list[str]:
    """Return cells with decimal points, as the cells have them or not (`points`), and bare thousands."""
    thousands, form = (",", _THOUSANDS) if points else (".", _POINTS)
    for cell in cells:
        if thousands in cell and not form.match(cell):
            raise _both_signs(table, column, both)
    return [cell.replace(thousands, "").replace(",", ".") for cell in cells]


def _both_signs(table: Table, column: str, cell: str) -> UsageError:
    return UsageError(
        f"{table.name}: column {column} has both points and commas in its numbers, such as {cell!r}. Write "
        "decimal points, and nothing between thousands."
    )
