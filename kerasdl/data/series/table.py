"""Tables of text cells, read from CSV and Parquet files."""

import csv
import dataclasses
import io
from pathlib import Path

from kerasdl.data import encodings
from kerasdl.errors import UsageError, did_you_mean
from kerasdl.files import parsing

_SEPARATORS = (",", ";", "\t", "|")
_NUM_TRIED = 20  # lines that a separator has to suit
_LONGEST_CELL = 10**4


@dataclasses.dataclass(frozen=True)
class Table:
    """The cells of a file by column.

    Attributes:
        name: the file, for messages.
        names: names of the columns.
        columns: cells of each column as text, without blanks around them; "" where there is none.
        lines: number of each row's line in the file; None where rows have no lines.
    """

    name: str
    names: tuple[str, ...]
    columns: list[list[str]]
    lines: list[int] | None = None

    def column(self, name: str) -> list[str]:
        """Return the cells of a column.

        Raises:
            UsageError: when there is none of that name; near names are offered.
        """
        if name not in self.names:
            raise UsageError(
                f"{self.name} has no column {name!r}; it has {', '.join(self.names)}."
                + did_you_mean(name, self.names)
            )
        return self.columns[self.names.index(name)]

    def place(self, row: int) -> str:
        """Return where a row is found: "line 17"."""
        return f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"


def read(path: Path) -> Table:
    """Read a CSV or Parquet file whose first row names the columns.

    Separators are commas, semicolons, tabs or bars; texts are UTF-8, UTF-16 or Windows-1252.

    Raises:
        UsageError: when there is no such file, it is empty, or its rows do not fit its header.
    """
    if not path.is_file():
        near = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UsageError(f"{path} {what}. Give a CSV or Parquet file." + did_you_mean(path.name, near))
    content = path.read_bytes()
    if content[:4] == b"PAR1":
        return _parquet(path)
    return _csv(str(path), _decoded(path, content))


def _decoded(path: Path, content: bytes) -> str:
    text, _ = encodings.decode(content)
    if "\0" in text or "\ufffd" in text:
        raise UsageError(f"{path} is not a text file. Give a CSV file (UTF-8) or a Parquet file.")
    return text


def _csv(name: str, text: str) -> Table:
    first, _, rest = text.partition("\n")
    told = first[4:5].strip("\r") if first.lower().startswith("sep=") else ""  # as Excel writes it
    body, skipped = (rest, 1) if told else _without_comments(text)
    separator = told or _separator(body.splitlines()[:_NUM_TRIED])
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(
        io.StringIO(body, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    rows, numbers = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append([cell.strip() for cell in row])
                numbers.append(reader.line_num + skipped)
    except csv.Error as error:
        raise UsageError(
            f"{name} is no CSV file: line {reader.line_num + skipped} cannot be read ({error})."
        ) from error
    if len(rows) < 2:
        raise UsageError(f"{name} has {'a header but no' if rows else 'no header and no'} rows with values.")
    header = _header(name, rows[0], rows[1:])
    for row, line in zip(rows[1:], numbers[1:], strict=True):
        if len(row) != len(header) and not (len(row) > len(header) and not any(row[len(header) :])):
            raise UsageError(
                f"{name} has {len(header)} columns in its header, but {len(row)} in line {line}. Complete "
                "or remove that line."
            )
    columns = [[row[number] for row in rows[1:]] for number in range(len(header))]
    return Table(name, tuple(header), columns, numbers[1:])


def _without_comments(text: str) -> tuple[str, int]:
    """Return a text without its first lines that begin with #, and how many; one may be the header."""
    lines = text.split("\n")
    count = next((number for number, line in enumerate(lines) if not line.startswith("#")), 0)
    if count and any(0 < lines[count].count(sign) == lines[count - 1].count(sign) for sign in _SEPARATORS):
        count -= 1
    return "\n".join(lines[count:]), count


def _header(name: str, header: list[str], rows: list[list[str]]) -> list[str]:
    while header and not header[-1] and not any(row[len(header) - 1 :] != [""] for row in rows[:_NUM_TRIED]):
        header = header[:-1]  # of a separator at the end of each line
    header = [title or f"column {number}" for number, title in enumerate(header, 1)]
    if all(is_number(title) for title in header):
        raise UsageError(f"{name} begins with numbers. Let its first line name the columns: date,value.")
    if doubled := sorted({title for title in header if header.count(title) > 1}):
        raise UsageError(f"{name} has several columns called {doubled[0]!r}. Give each a name of its own.")
    return header


def is_number(text: str) -> bool:
    """Tell whether a cell holds a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _separator(lines: list[str]) -> str:
    """Return the separator that parts the first lines into the most columns, as many in each line."""
    tried = [line for line in lines if line.strip()]

    def columns(separator: str) -> int:
        counts = {len(row) for row in csv.reader(tried, delimiter=separator, skipinitialspace=True)}
        return counts.pop() if len(counts) == 1 else 0

    try:
        best = max(_SEPARATORS, key=columns)
    except csv.Error:
        return ","
    if columns(best) > 1 or not tried:
        return best
    return max(_SEPARATORS, key=tried[0].count)  # lines of different length: told of below


def _parquet(path: Path) -> Table:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError(
            f"{path} is a Parquet file, which pyarrow reads: pip install pyarrow. Or give a CSV file."
        ) from error
    with parsing(path, "Write it again.", UsageError):
        table = parquet.read_table(path)
        names = [name for name in table.column_names if not name.startswith("__index_level_")]
        index = [name for name in table.column_names if name.startswith("__index_level_")]
        # Beside a column "time" or one of dates, an index is the numbers of the rows that were not left out.
        dated = any(str(table.schema.field(name).type).startswith(("timestamp", "date")) for name in names)
        numbered = index and "int" in str(table.schema.field(index[0]).type)
        index = [] if "time" in names or (dated and numbered) else index[:1]
        columns = [
            ["" if value is None else _written(value) for value in table.column(name).to_pylist()]
            for name in (*index, *names)
        ]
    if not columns or not columns[0]:
        raise UsageError(f"{path} has no rows with values.")
    return Table(str(path), (*("time" for _ in index), *names), columns)


def _written(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value).strip()  # type: ignore[attr-defined]
