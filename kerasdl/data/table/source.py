"""A table of numbers: CSV or TSV with a row for each example, and a column to predict."""

import csv
import dataclasses
import io
from pathlib import Path
from typing import Literal

import numpy as np

from kerasdl.data import encodings
from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.labelled.assemble import assemble, digest
from kerasdl.data.labelled.carving import check_fields
from kerasdl.data.labelled.choice import Choice
from kerasdl.data.splits import ArraySplit
from kerasdl.errors import UsageError, did_you_mean

_DELIMITERS = ",;\t|"
_USUAL = ("target", "label", "class", "y")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table(Choice):
    """A file whose first row names the columns: features (columns,) float32, and one column to predict.

    Where other kinds of `.csv` files come first (texts, series), a recipe names this source.
    """

    # The .csv or .tsv file.
    path: str
    # Column to predict; none for one called target, label, class or y, else the last.
    target_column: str | None = None
    # Meaning of that column: names or numbers of classes, or numbers to predict.
    targets: Literal["classes", "numbers"] = "classes"
    # Share of the rows that is kept for the test, 0 to 1.
    test_fraction: float = 0.2
    # Share of the remaining rows that is kept for validation, 0 to 1.
    validation_fraction: float = 0.1
    # Seed of the choice of test and validation rows.
    split_seed: int = 0

    def __post_init__(self):
        check_fields(self)

    @classmethod
    def claim(cls, text: str) -> "Table | None":
        """Return the source for a file name that ends in `.csv` or `.tsv`."""
        return cls(path=text) if Path(text).suffix.lower() in (".csv", ".tsv") else None

    def load(self) -> Dataset:
        """Read all rows.

        Raises:
            UsageError: when the file or a column is not there, or a cell is not a number.
        """
        path = Path(self.path).expanduser()
        header, rows, guessed = _read(path)
        target = self._target(header)
        columns = tuple(name for name in header if name != target)
        place = header.index(target)
        features = np.array(
            [[_number(path, line, header[k], cell) for k, cell in enumerate(row) if k != place]
             for line, row in rows], np.float32,
        )  # fmt: skip
        wanted = [row[place].strip() for _, row in rows]
        inputs = Spec((len(columns),), "float32", columns=columns)
        if self.targets == "numbers":
            values = [_number(path, line, target, row[place]) for line, row in rows]
            labels, spec = np.array(values, np.float32), DataSpec(inputs, Spec((), "float32"))
        else:
            names = _in_order(set(wanted))
            if len(names) < 2:
                raise UsageError(f"Column {target!r} of {path} has one class only: {names[0]!r}.")
            labels = np.array([names.index(name) for name in wanted], np.int32)
            spec = DataSpec(inputs, Spec((), "int32", names))
        return assemble(
            {"train": ArraySplit(features, labels)},
            {"train": digest(features)},
            fractions={"test": self.test_fraction, "validation": self.validation_fraction},
            seed=self.split_seed,
            spec=spec,
            choice=self,
            notes=(f"The column to predict is {target!r} (--target-column).",) * (self.target_column is None)
            + encodings.guessed_note([path] if guessed else []),
        )

    def _target(self, header: list[str]) -> str:
        if self.target_column is None:
            return next((name for word in _USUAL for name in header if name.lower() == word), header[-1])
        if self.target_column not in header:
            raise UsageError(
                f"{self.path} has no column {self.target_column!r}; it has {', '.join(header)}."
                + did_you_mean(self.target_column, header)
            )
        return self.target_column


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]], bool]:
    """Return the names of the columns, each row with the number of its line, and if the encoding is guessed.

    Raises:
        UsageError: when the file is not there, or a row has more or fewer cells than the first.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}. Give a .csv or .tsv file with a row for each example.")
    content, guessed = encodings.decode(path.read_bytes())
    first = content.lstrip().split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(content.lstrip("\n\r"), newline=""), delimiter=delimiter)
    rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    if len(rows) < 4:
        raise UsageError(f"{path} has {max(0, len(rows) - 1)} rows below its header. Give at least 3.")
    header = [name.strip() for name in rows[0][1]]
    if len(set(header)) < len(header) or "" in header or len(header) < 2:
        raise UsageError(f"{path}: the first row has to name two or more columns, each by another name.")
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise UsageError(f"{path}, line {line}: {len(row)} cells, but the header has {len(header)}.")
    return header, rows[1:], guessed


def _number(path: Path, line: int, column: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise UsageError(
            f"{path}, line {line}: column {column!r} holds {cell!r}, which is not a number. Fill gaps and "
            "encode words as the model was trained on them, or leave the row out."
        )
    return value


def _in_order(names: set[str]) -> tuple[str, ...]:
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(sorted(names))
