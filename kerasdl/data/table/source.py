"""A table of numbers: CSV or TSV with a row for each example, and a column to predict."""

import dataclasses
import math
from pathlib import Path
from typing import Literal

import numpy as np

from kerasdl.data import encodings
from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.labelled.assemble import assemble, digest
from kerasdl.data.labelled.carving import check_fields
from kerasdl.data.labelled.choice import Choice
from kerasdl.data.splits import ArraySplit
from kerasdl.data.table import rows as table_rows
from kerasdl.errors import UsageError, did_you_mean

_MOST_CLASSES = 20  # numbers of more values are to be predicted (`with_meaning`)
_WHOLE = 2**24  # up to which float32 holds each whole number
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
    # Columns to predict it from; none for all others.
    columns: tuple[str, ...] | None = None
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
        columns = self._columns(header, target)
        place, places = header.index(target), [header.index(name) for name in columns]
        _check_numbers(path, rows, dict(zip(columns, places, strict=True)), self._doubt(target))
        exact = np.array([[float(row[k]) for k in places] for _, row in rows])
        features = exact.astype(np.float32)
        wanted = [row[place].strip() for _, row in rows]
        inputs = Spec((len(columns),), "float32", columns=columns)
        if self.targets == "numbers":
            values = [_number(path, line, target, row[place]) for line, row in rows]
            labels, spec = np.array(values, np.float32), DataSpec(inputs, Spec((), "float32"))
        else:
            if gaps := [line for (line, _), name in zip(rows, wanted, strict=True) if not name]:
                raise UsageError(
                    f"{path}, line {gaps[0]}: there is no class in column {target!r}. Leave it out."
                )
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
            notes=(self._doubt(target),) * (self.target_column is None)
            + _rounded(columns, exact, features)
            + encodings.guessed_note([path] if guessed else []),
        )

    def with_meaning(self) -> "Table":
        """Return this table with the meaning of its targets that their values look like.

        Raises:
            UsageError: as `load`.
        """
        header, rows, _ = _read(Path(self.path).expanduser())
        place = header.index(self._target(header))
        values = [_value(row[place]) for _, row in rows]
        are_numbers = None not in values and (
            len(set(values)) > _MOST_CLASSES or any(value != round(value) for value in values)
        )
        return dataclasses.replace(self, targets="numbers" if are_numbers else "classes")

    def _doubt(self, target: str) -> str:
        """Return a sentence about a column to predict that was not named; empty for one that was."""
        return "" if self.target_column else f"The column to predict is {target!r} (--target-column)."

    def _columns(self, header: list[str], target: str) -> tuple[str, ...]:
        chosen = self.columns or tuple(name for name in header if name != target)
        if wrong := [name for name in chosen if name not in header or name == target]:
            what = "is the one to predict" if wrong[0] == target else f"is not among {', '.join(header)}"
            raise UsageError(f"{self.path}: column {wrong[0]!r} {what}." + did_you_mean(wrong[0], header))
        return chosen

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
    rows, guessed = table_rows.read(path)
    if len(rows) < 4:
        raise UsageError(f"{path} has {max(0, len(rows) - 1)} rows below its header. Give at least 3.")
    header = [name.strip() for name in rows[0][1]]
    if all(_value(name) is not None for name in header[:-1]):
        last = {row[-1].strip() for _, row in rows[1:]}
        if header[-1] in last or _value(header[-1]) is not None:
            raise UsageError(
                f"{path}: the first row is an example. Put a row above it that names the columns."
            )
    if len(set(header)) < len(header) or "" in header or len(header) < 2:
        raise UsageError(f"{path}: the first row has to name two or more columns, each by another name.")
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise UsageError(f"{path}, line {line}: {len(row)} cells, but the header has {len(header)}.")
    return header, rows[1:], guessed


def _value(cell: str) -> float | None:
    """Return the number that a cell holds; None where it holds none."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _number(path: Path, line: int, column: str, cell: str) -> float:
    if (value := _value(cell)) is None:
        raise UsageError(f"{path}, line {line}: column {column!r} holds {cell!r}, which is not a number.")
    return value


def _check_numbers(path: Path, rows: list[tuple[int, list[str]]], places: dict[str, int], more: str) -> None:
    """Raise a UsageError that names every column with a cell that is not a number; `more` ends it."""
    found, good = [], []
    for name, place in places.items():
        bad = [(line, row[place]) for line, row in rows if _value(row[place]) is None]
        if not bad:
            good.append(name)
            continue
        words = [(line, cell) for line, cell in bad if cell.strip()]
        parts = [f"{len(bad) - len(words):,} gaps"] * (len(words) < len(bad))
        parts += [f"words, as {cell!r} in line {line}" for line, cell in words[:1]]
        found.append(f"{name} ({' and '.join(parts)})")
    if found:
        shown = ", ".join(found[:8]) + ", ..." * (len(found) > 8)
        rest = f", or leave these columns out: --columns {','.join(good)}" if good else ""
        raise UsageError(
            f"{path}: not every row has a number in {shown}. Fill gaps and write words as "
            f"numbers{rest}. {more}"
        )


def _rounded(columns: tuple[str, ...], exact: np.ndarray, features: np.ndarray) -> tuple[str, ...]:
    """Return a sentence for each column of large numbers that float32 does not tell apart."""
    notes = []
    for place in np.flatnonzero(np.abs(exact).max(axis=0) > _WHOLE):
        several, fewer = (len(np.unique(values[:, place])) for values in (exact, features))
        if fewer < several:
            notes.append(
                f"The column {columns[place]} has {several:,} different values, of which float32 keeps "
                f"{fewer:,} apart: they are too large. Subtract the smallest, or leave it out (--columns)."
            )
    return tuple(notes)


def _in_order(names: set[str]) -> tuple[str, ...]:
    """Return names as numbers, or else as texts, in one order: a set has another in each process."""
    try:
        return tuple(sorted(names, key=lambda name: (math.isnan(float(name)), float(name), name)))
    except ValueError:
        return tuple(sorted(names))
