"""A table of texts and their classes: CSV, TSV or JSON lines."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasdl.data import encodings
from kerasdl.data.dataset import Dataset
from kerasdl.data.text import records
from kerasdl.data.text.source import Texts
from kerasdl.errors import UsageError

SUFFIXES = records.SUFFIXES
_LABEL_NAMES = ("label", "class", "category", "sentiment", "target", "topic", "tag", "y")
_SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation",
           "dev": "validation", "test": "test"}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTable(Texts):
    """A file with a text and its class in each row: .csv, .tsv or .jsonl; or a folder with such files called
    train, validation and test.

    The first row of a .csv or .tsv names the columns; fields may be quoted and hold line breaks.
    """

    # The file, or a folder with train.csv, test.csv and, if there is one, validation.csv.
    path: str = ""
    # Column of the texts; none for one of a usual name: text, review, sentence, comment, ...
    text_column: str | None = None
    # Column of the classes; none for one of a usual name: label, class, category, sentiment, ...
    label_column: str | None = None

    @classmethod
    def claim(cls, text: str) -> "TextTable | None":
        """Return the source for a file name with a suffix of tables, or for a folder with train.csv in it."""
        path = Path(text).expanduser()
        inside = path.is_dir() and any((path / f"train{suffix}").is_file() for suffix in SUFFIXES)
        return cls(path=text) if inside or path.suffix.lower() in SUFFIXES else None

    def load(self) -> Dataset:
        """Read all rows: texts, and labels int32 in the order of the sorted names of the classes.

        Raises:
            UsageError: when a file or a column is not there, or a row cannot be read.
        """
        rows, notes = {}, ()
        for name, path in self._files().items():
            pairs, empty, guessed, columns = self._read(path)
            rows[name] = pairs
            if name == "train" and None in (self.text_column, self.label_column):
                text, label = map(repr, columns)
                notes += (
                    f"Texts are column {text}, classes column {label} (--text-column, --label-column).",
                )
            notes += encodings.guessed_note([path] if guessed else [])
            if empty:
                rows_said = f"{empty:,} of {len(pairs) + empty:,} rows of {path.name}"
                notes += (f"{rows_said} have no text or no class, and are left out.",)
        names = _in_order({label for pairs in rows.values() for _, label in pairs})
        if len(names) < 2:
            raise UsageError(
                f"{self.path} has {len(names)} classes in its label column, but a classifier needs two or "
                "more. Name the right column with --label-column."
            )
        trained = {label for _, label in rows["train"]}
        for name, pairs in rows.items():
            if unseen := sorted({label for _, label in pairs} - trained):
                raise UsageError(
                    f"The {name} file of {self.path} has the class {unseen[0]!r}, of which training has no "
                    f"text: its classes are {', '.join(map(repr, _in_order(trained)))}. Write classes alike."
                )
        notes += _alike_note(names) + _missing_note(names)
        number = {name: index for index, name in enumerate(names)}
        splits = {
            name: ([text for text, _ in pairs], np.array([number[label] for _, label in pairs], np.int32))
            for name, pairs in rows.items()
        }
        return self.assembled(splits, names, notes)

    def _files(self) -> dict[str, Path]:
        """Return the file of each split."""
        root = Path(self.path).expanduser()
        if root.is_dir():
            inside = sorted(path for path in root.iterdir() if path.suffix.lower() in SUFFIXES)
            found = {_SPLITS[path.stem.lower()]: path for path in inside if path.stem.lower() in _SPLITS}
            if "train" in found:
                return {name: found[name] for name in ("train", "validation", "test") if name in found}
        if not root.is_file():
            raise UsageError(
                f"There is no file {root}. Give a .csv, .tsv or .jsonl file with a text in each row."
            )
        return {"train": root}

    def _read(self, path: Path) -> tuple[list[tuple[str, str]], int, bool, tuple[str, str]]:
        """Return pairs of text and class, how many lack one, if the encoding is guessed, and the columns."""
        found, guessed = records.read(path)
        pairs, empty, columns = [], 0, None
        for record in found:
            if columns is None:
                columns = self._columns(path, list(record))
            text, label = (_value(path, record.get(column), column) for column in columns)
            label = "" if label is None else str(label).strip()
            if text is None or not str(text).strip() or not label:
                empty += 1
                continue
            pairs.append((str(text), label))
        if columns is None or not pairs:
            raise UsageError(
                f"{path} has no row with a text and a class. Give a file with a header and rows below it."
            )
        return pairs, empty, guessed, columns

    def _columns(self, path: Path, names: Sequence[str]) -> tuple[str, str]:
        """Return the columns of texts and of classes."""
        text = records.column(path, names, self.text_column, records.TEXT_NAMES, "--text-column")
        return text, records.column(path, names, self.label_column, _LABEL_NAMES, "--label-column")


def texts_of(path: Path, column: str | None = None) -> tuple[list[str], bool]:
    """Read the texts of a table alone, whose labels need not be there.

    Args:
        path: .csv, .tsv or .jsonl file.
        column: its column of texts. Defaults to one of a usual name.

    Returns:
        The text of each row, "" where there is none, and whether the encoding had to be guessed.

    Raises:
        UsageError: when the file, a row or the column cannot be read.
    """
    found, guessed = records.read(path)
    texts: list[str] = []
    for record in found:
        if not texts:
            column = records.column(path, list(record), column, records.TEXT_NAMES, "--text-column")
        text = _value(path, record.get(column), column)
        texts.append("" if text is None else str(text))
    return texts, guessed


def _value(path: Path, value: object, column: str) -> object:
    """Return a value of JSON, None for NaN, or raise a UsageError for one that holds others."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, list | dict):
        raise UsageError(
            f"{path}: column {column!r} holds {json.dumps(value)[:50]}, where a text or a class is needed. "
            "Join the parts, or name another column with --text-column or --label-column."
        )
    return value


def _in_order(names: set[str]) -> tuple[str, ...]:
    """Sort names: as numbers where all of them are."""
    numbers = {name: _number(name) for name in names}
    if None in numbers.values():
        return tuple(sorted(names))
    return tuple(sorted(names, key=lambda name: (numbers[name], name)))


def _number(name: str) -> float | None:
    """Return the number that a name is; None where it is none, as "nan", which has no place in an order."""
    try:
        value = float(name)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _alike_note(names: Sequence[str]) -> tuple[str, ...]:
    """Return the sentence about two classes that may be one: "1" and "1.0", "good" and "Good"."""
    first: dict[object, str] = {}
    for name in names:
        key = name.casefold() if _number(name) is None else _number(name)
        if (other := first.setdefault(key, name)) is not name:
            return (f"{other!r} and {name!r} count as two classes. Write them alike if they are one.",)
    return ()


def _missing_note(names: Sequence[str]) -> tuple[str, ...]:
    """Return the sentence about a class that may be what a program wrote for no value."""
    found = [name for name in names if name.casefold() in ("nan", "none", "null", "<na>", "#n/a")]
    if not found:
        return ()
    return (f"{found[0]!r} counts as a class. Leave the field empty where a text has none.",)
