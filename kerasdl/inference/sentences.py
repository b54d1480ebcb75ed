"""Reads sentences from what `kerasdl predict` is given: a text, a text file, or a file of tokens."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasdl.data.text import tagged_files, token_table
from kerasdl.errors import UsageError
from kerasdl.inference.endpoint import Example
from kerasdl.inference.texts import content_of, file_of, read_text, table_rows

_log = logging.getLogger(__name__)

_SIGNS = "!\"'(),.:;?[]{}"


def split(text: str) -> list[str]:
    """Return the tokens of a text: what stands between white space, signs around a word apart.

    "(Bath," becomes "(", "Bath" and ","; signs within a word stay: "don't", "3.5", "U.S".
    """
    found: list[str] = []
    for word in text.split():
        begun = word.lstrip(_SIGNS)
        middle = begun.rstrip(_SIGNS)
        before, behind = word.removesuffix(begun), begun[len(middle) :]
        found += [*before, *([middle] if middle else []), *behind]
    return found


def read_sentence(text: str) -> np.ndarray:
    """Return the tokens of a text (L,), bytes."""
    return _tokens(split(str(read_text(text))))


def read_sentences(given: Sequence[str], column: str | None = None) -> list[Example]:
    """Return every sentence that is given.

    Args:
        given: texts, and paths of existing files: .txt with a text on each line, .conll (and the like) with a
            token on each line, .csv with a token or a text in each row, .jsonl with a list `tokens` on each
            line; their tags are not looked at.
        column: list or column of the tokens or texts. Defaults to one of a usual name, or the first.

    Raises:
        UsageError: when a file cannot be read or holds no token.
    """
    found: list[Example] = []
    for text in given:
        path = file_of(text, tagged_files.SUFFIXES)
        if path is None:
            tokens = split(str(read_text(text)))
            if not tokens:
                raise UsageError(f"{text!r} holds no token. Give a text with a word in it.")
            found.append(_example({"text": text}, tokens))
            continue
        if path.suffix.lower() == ".csv" and not token_table.has_tokens(path, column):
            found += [_example(one.about, split(one.about["text"])) for one in table_rows(text, path, column)]
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


def _lines(path: Path) -> list[list[str]]:
    rows = [tokens for line in content_of(path).splitlines() if (tokens := split(line))]
    if not rows:
        raise UsageError(f"{path} holds no token. Give a file with a text on each line.")
    return rows


def _rows(path: Path, column: str | None) -> list[list[str]]:
    found, notes = tagged_files.read(path, column, tagged=False)
    for note in notes:
        _log.warning(note)
    return [tokens for tokens, _ in found]
