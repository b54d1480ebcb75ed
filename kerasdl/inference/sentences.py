"""Reads sentences from what `kerasdl predict` is given: a text, a text file, or a file of tokens."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasdl.data import encodings
from kerasdl.data.text import tagged_files
from kerasdl.errors import UsageError
from kerasdl.inference.endpoint import Example
from kerasdl.inference.texts import read_text

_log = logging.getLogger(__name__)

_SIGNS = r"[!\"'(),.:;?\[\]{}]"
_AROUND = re.compile(rf"({_SIGNS}*)(.*?)({_SIGNS}*)", re.DOTALL)


def split(text: str) -> list[str]:
    """Return the tokens of a text: what stands between white space, signs around a word apart.

    "(Bath," becomes "(", "Bath" and ","; signs within a word stay: "don't", "3.5", "U.S".
    """
    found: list[str] = []
    for word in text.split():
        before, middle, behind = _AROUND.fullmatch(word).groups()
        found += [*before, *([middle] if middle else []), *behind]
    return found


def read_sentence(text: str) -> np.ndarray:
    """Return the tokens of a text (L,), bytes."""
    return _tokens(split(str(read_text(text))))


def read_sentences(given: Sequence[str], column: str | None = None) -> list[Example]:
    """Return every sentence that is given.

    Args:
        given: texts, and paths of existing files: .txt with a text on each line, .conll (and the like) with a
            token on each line, .jsonl with a list `tokens` on each line; their tags are not looked at.
        column: list or column of the tokens in such files. Defaults to one of a usual name, or the first.

    Raises:
        UsageError: when a file cannot be read or holds no token.
    """
    found: list[Example] = []
    for text in given:
        path = _file(text)
        if path is None:
            tokens = split(str(read_text(text)))
            if not tokens:
                raise UsageError(f"{text!r} holds no token. Give a text with a word in it.")
            found.append(_example({"text": text}, tokens))
            continue
        rows = _lines(path) if path.suffix.lower() == ".txt" else _rows(path, column)
        found += [_example({"file": text, "row": row}, tokens) for row, tokens in enumerate(rows, 1)]
    return found


def _example(about: dict[str, str | int], tokens: list[str]) -> Example:
    return Example({**about, "tokens": tokens}, _tokens(tokens))


def _tokens(tokens: Sequence[str]) -> np.ndarray:
    found = np.full(max(1, len(tokens)), b"", object)
    found[: len(tokens)] = [token.encode(errors="replace") for token in tokens]
    return found


def _file(text: str) -> Path | None:
    """Return the file that a text is the path of; None where it is a text."""
    path = Path(text)
    known = path.suffix.lower() in tagged_files.SUFFIXES
    try:
        there = path.is_file()
    except (OSError, ValueError):  # no file can have such a name
        there = False
    if there and known:
        return path
    if there:
        _log.warning(f"{text} is read as a text, although there is such a file: its ending is not known.")
    elif known and not any(letter.isspace() for letter in text):
        _log.warning(f"There is no file {text}, so it is read as a text.")
    return None


def _lines(path: Path) -> list[list[str]]:
    try:
        text, guessed = encodings.decode(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    _tell([path] if guessed else [])
    rows = [tokens for line in text.splitlines() if (tokens := split(line))]
    if not rows:
        raise UsageError(f"{path} holds no token. Give a file with a text on each line.")
    return rows


def _rows(path: Path, column: str | None) -> list[list[str]]:
    found, guessed = tagged_files.read(path, column, tagged=False)
    _tell([path] if guessed else [])
    return [tokens for tokens, _ in found]


def _tell(guessed: Sequence[Path]) -> None:
    for note in encodings.guessed_note(guessed):
        _log.warning(note)
