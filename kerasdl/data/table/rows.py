"""The rows of a CSV or TSV file, with the delimiter that it uses."""

import csv
import io
from pathlib import Path

from kerasdl.data import encodings
from kerasdl.errors import UsageError

_DELIMITERS = ",;\t|"


def read(path: Path, *, with_gaps: bool = False) -> tuple[list[tuple[int, list[str]]], bool]:
    """Return each row that is not empty with the number of its line, and if the encoding is guessed.

    Args:
        path: the file.
        with_gaps: return rows of empty cells too, where other rows follow. Defaults to False.

    Raises:
        UsageError: when the file is not there or cannot be read.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}. Give a .csv or .tsv file with a row for each example.")
    try:
        content, guessed = encodings.decode(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    first = content.lstrip().split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(content.lstrip("\n\r"), newline=""), delimiter=delimiter)
    rows = [(reader.line_num, row) for row in reader if row]
    full = [any(cell.strip() for cell in row) for _, row in rows]
    if with_gaps:
        return rows[: len(full) - full[::-1].index(True) if any(full) else 0], guessed
    return [row for row, is_full in zip(rows, full, strict=True) if is_full], guessed
