"""The rows of a CSV or TSV file, with the delimiter that it uses."""

import csv
import io
from pathlib import Path

from kerasdl.data import encodings
from kerasdl.errors import UsageError

_DELIMITERS = ",;\t|"


def read(path: Path) -> tuple[list[tuple[int, list[str]]], bool]:
    """Return each row that is not empty with the number of its line, and if the encoding is guessed.

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
    return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)], guessed
