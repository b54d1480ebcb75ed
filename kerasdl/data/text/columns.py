"""Reads sentences from columns, as CoNLL's files have them: a token and its tags on each line."""

import dataclasses
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from kerasdl.errors import UsageError

#: Tokens of a sentence, and the tag of each; "" where a file has none.
Sentence = tuple[list[str], list[str]]

_DOCUMENT = "-DOCSTART-"
# What a first line calls its columns.
_TOKENS = ("token", "tokens", "word", "words", "form")
_TAGS = ("tag", "tags", "label", "labels", "ner", "ner_tag", "pos", "pos_tag", "entity")


@dataclasses.dataclass(frozen=True)
class _Line:
    number: int
    cells: list[str]


def read(
    path: Path, content: str, token_column: str | None, label_column: str | None, tagged: bool
) -> tuple[list[Sentence], tuple[str, ...]]:
    """Return the sentences in the text of a file, and notes; all else is as of `tagged_files.read`.

    Where the first column counts the tokens of each sentence, as in CoNLL-U, tokens are in the second one,
    and lines of several words or of none (1-2, 8.1) are left out.
    """
    sentences = _sentences(content)
    default = 0
    if sentences and all(map(_is_counted, sentences)) and any(len(rows) > 1 for rows in sentences):
        sentences = [[line for line in rows if line.cells[0].isdecimal()] for rows in sentences]
        default = 1
    token = _place(token_column, default, "--token-column")
    label = _place(label_column, -1, "--label-column")
    found = []
    for rows in sentences:
        for line in rows:
            _check(path, line, token, label, tagged)
        tags = [line.cells[label] if len(line.cells) > 1 else "" for line in rows]
        found.append(([line.cells[token] for line in rows], tags))
    return found, _uneven_note(path, list(itertools.chain(*sentences)))


def _sentences(content: str) -> list[list[_Line]]:
    """Return the lines of each sentence, without comments and a line that names the columns."""
    with_tabs, found, is_first = "\t" in content, [[]], True
    for number, line in enumerate(content.split("\n"), 1):
        if with_tabs and line.startswith("#") and "\t" not in line:
            continue
        cells = _cells(line)
        named = is_first and _names_columns(cells)
        is_first = is_first and not cells
        if named:
            continue
        if cells and cells[0] != _DOCUMENT:
            found[-1].append(_Line(number, cells))
        elif found[-1]:
            found.append([])
    return _without_comments([rows for rows in found if rows])


def _names_columns(cells: Sequence[str]) -> bool:
    names = [cell.lower() for cell in cells]
    return bool(names) and names[-1] in _TAGS and any(name in _TOKENS for name in names[:-1])


def _without_comments(sentences: list[list[_Line]]) -> list[list[_Line]]:
    """Leave out lines such as "# id 7" before a sentence: those of another length, or before each one."""
    everywhere = len(sentences) > 1 and all(rows[0].cells[0] == "#" and rows[1:] for rows in sentences)
    found = []
    for rows in sentences:
        first = int(everywhere)
        while rows[first].cells[0].startswith("#") and len(rows[first].cells) != len(rows[-1].cells):
            first += 1
        found.append(rows[first:])
    return found


def _is_counted(rows: Sequence[_Line]) -> bool:
    """Tell whether the first column counts the tokens of a sentence."""
    firsts = [line.cells[0] for line in rows]
    whole = [first for first in firsts if first.isdecimal()]
    return whole == [str(number) for number in range(1, len(whole) + 1)] and all(
        re.fullmatch(r"\d+([-.]\d+)?", first) for first in firsts
    )


def _check(path: Path, line: _Line, token: int, label: int, tagged: bool) -> None:
    """Raise a UsageError for a line that lacks a column."""
    count = len(line.cells)
    if tagged and count < 2:
        raise UsageError(
            f"{path}, line {line.number} has one column ({line.cells[0][:40]!r}), but a token and its tag "
            "are needed. Put white space between them, and an empty line between sentences."
        )
    for flag, place in (("--token-column", token), ("--label-column", label if tagged else -1)):
        if not -count <= place < count:
            raise UsageError(
                f"{path}, line {line.number} has {count} columns, so that there is no "
                f"{flag} {place + (place >= 0)}. Give a number from 1 to {count}."
            )
        if (flag == "--token-column" or tagged) and not line.cells[place]:
            raise UsageError(
                f"{path}, line {line.number}: column {place % count + 1} of {count} is empty. Fill it, or "
                f"name another one with {flag}."
            )


def _cells(line: str) -> list[str]:
    """Split a line at tabs where it has any, so that a token may hold spaces; else at spaces."""
    if "\t" in line.strip():
        return [part.strip() for part in line.split("\t")]
    return [part for part in re.split(" +", line.strip()) if part]


def _place(column: str | None, default: int, flag: str) -> int:
    """Return the index of a column that is given by its number from 1 on."""
    if column is None:
        return default
    try:
        number = int(column)
    except ValueError:
        number = 0
    if not number:
        raise UsageError(
            f"{flag} is {column!r}, but the columns of this file have no names. Give a number from 1 on, or "
            "-1 for the last one."
        )
    return number - (number > 0)


def _uneven_note(path: Path, lines: Sequence[_Line]) -> tuple[str, ...]:
    """Return the sentence about lines with another number of columns than the first one."""
    other = next((line for line in lines if len(line.cells) != len(lines[0].cells)), None)
    if other is None:
        return ()
    return (
        f"{path.name}: line {other.number} has {len(other.cells)} columns, line {lines[0].number} has "
        f"{len(lines[0].cells)}. Put tabs between columns where a token holds spaces.",
    )
