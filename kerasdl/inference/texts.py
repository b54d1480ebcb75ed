"""Reads texts from what `kerasdl predict` is given: a text, a text file, or a table with one in each row."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasdl.data import encodings
from kerasdl.data.text import table
from kerasdl.errors import UsageError
from kerasdl.inference.endpoint import Example

_log = logging.getLogger(__name__)

_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # half a character; others stand for bytes
_LONGEST_NAME = 255  # characters of what may be meant as a path


def read_text(text: str) -> np.ndarray:
    """Return a text as an example; what the command line could not decode is read like a file."""
    text = _HALF.sub("?", text)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        text, _ = encodings.decode(text.encode(errors="surrogateescape"))
    return np.array(text, object)


def read_texts(given: Sequence[str], column: str | None = None) -> list[Example]:
    """Return every text that is given, for a network that reads words; see `texts_in`."""
    found = texts_in(given, column)
    if empty := sum(not str(example.features).strip() for example in found):
        texts = "1 text is" if empty == 1 else f"{empty:,} texts are"
        _log.warning(f"{texts} empty: the answer is the one that the network gives to no word at all.")
    return found


def texts_in(given: Sequence[str], column: str | None = None) -> list[Example]:
    """Return every text that is given.

    Args:
        given: texts, and paths of existing .txt, .csv, .tsv and .jsonl files. What only looks like a path is
            a text.
        column: column of the texts in tables. Defaults to one of a usual name, such as "text".

    Raises:
        UsageError: when a file cannot be read or holds no text, or a column is named and no table given.
    """
    paths = [file_of(text, (".txt", *table.SUFFIXES)) for text in given]
    if column is not None and not any(path is not None and path.suffix.lower() != ".txt" for path in paths):
        raise UsageError("--text-column names a column of a table: give a .csv, .tsv or .jsonl file.")
    found: list[Example] = []
    for text, path in zip(given, paths, strict=True):
        if path is None:
            example = read_text(text)
            found.append(Example({"text": str(example)}, example))
        elif path.suffix.lower() == ".txt":
            found.append(Example({"file": text}, np.array(content_of(path), object)))
        else:
            found += table_rows(text, path, column)
    return found


def file_of(text: str, suffixes: Sequence[str]) -> Path | None:
    """Return the file that a text is the path of; None where it is a text.

    Args:
        text: what was given for a text or a path.
        suffixes: endings of the files that are read, with their dots, lower case.

    Raises:
        UsageError: for an existing file with another ending.
    """
    path = Path(text)
    known = path.suffix.lower() in suffixes
    try:
        there = path.is_file()
    except (OSError, ValueError):  # no file can have such a name
        there = False
    if there and known:
        return path
    if there and path.suffix:
        *others, last = suffixes
        raise UsageError(
            f"{text} is a {path.suffix} file, but this network reads texts: give a text, or a file of them "
            f"({', '.join(others)} or {last})."
        )
    if there:
        _log.warning(f"{text} is read as a text, although there is such a file.")
    elif known and len(text) <= _LONGEST_NAME and not any(letter.isspace() for letter in text):
        _log.warning(f"There is no file {text}, so it is read as a text.")
    return None


def content_of(path: Path) -> str:
    """Return the text of a file in whatever encoding; says where that is guessed."""
    try:
        text, guessed = encodings.decode(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    for note in encodings.guessed_note([path] if guessed else []):
        _log.warning(note)
    return text


def table_rows(name: str, path: Path, column: str | None) -> list[Example]:
    """Return the texts of a table, of which it is said how many rows have none.

    Raises:
        UsageError: when the file or the column cannot be read, or holds no text.
    """
    texts, guessed = table.texts_of(path, column)
    for note in encodings.guessed_note([path] if guessed else []):
        _log.warning(note)
    found = [
        Example({"file": name, "row": row, "text": text}, np.array(text, object))
        for row, text in enumerate(texts, 1)
        if text.strip()
    ]
    if not found:
        raise UsageError(f"{path} has no row with a text. Give a file with a header and rows below it.")
    if len(found) < len(texts):
        _log.warning(f"{len(texts) - len(found):,} of {len(texts):,} rows of {path.name} have no text, and "
                     "are left out.")  # fmt: skip
    return found
