"""Reads sentences from a table with a token and its tag in each row, as annotation tools export them."""

import collections
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from kerasdl.data import encodings
from kerasdl.data.text import records
from kerasdl.data.text.columns import Sentence
from kerasdl.errors import UsageError

SUFFIXES = (".csv", ".tsv")
_TOKENS = ("token", "tokens", "word", "words", "form")
_TAGS = (
    "tag",
    "tags",
    "label",
    "labels",
    "ner_tag",
    "ner_tags",
    "ner",
    "entity",
    "pos_tag",
    "pos_tags",
    "pos",
)
_SENTENCE = re.compile(r"sent(ence)?s?[ _.-]*(id|idx|index|no|nr|num|number|#)?", re.IGNORECASE)


def read(
    path: Path, token_column: str | None, label_column: str | None, sentence_column: str | None, tagged: bool
) -> tuple[list[Sentence], tuple[str, ...]]:
    """Return the sentences of a table, and notes about it.

    A sentence begins where the column of the sentences has another value than before; an empty cell there
    goes on with the sentence. Rows without any value divide sentences too.

    Args:
        path: .csv file whose first row names the columns.
        token_column: name of the column of tokens. Defaults to a usual one: token, word, ...
        label_column: that of the tags. Defaults to a usual one: tag, label, ner, ...
        sentence_column: that of the sentences. Defaults to a usual one: sentence, sentence_id, ...
        tagged: whether there have to be tags.

    Raises:
        UsageError: when the file or a column cannot be read, and for a row without a token or its tag.
    """
    rows, guessed = records.read(path, blank_rows=True)
    notes = encodings.guessed_note([path] if guessed else [])
    found: list[Sentence] = []
    places: list[str] = []  # of each sentence, the value in its column
    columns, is_divided = None, False
    for number, row in enumerate(rows, 2):
        if columns is None:
            columns = _columns(path, list(row), token_column, label_column, sentence_column, tagged)
            usual = [name for word in _TAGS for name in row if _is_usual(name, [word])] if tagged else []
            notes += choice_note(path, label_column, usual)
        cells = {name: " ".join((cell or "").split()) for name, cell in row.items()}
        if not any(cells.values()):
            is_divided = True
            continue
        of_token, of_tag, of_sentence = columns
        place = cells.get(of_sentence, "")
        if not found or is_divided or (place and place != places[-1]):
            found.append(([], []))
            places.append(place)
            is_divided = False
        _check(path, number, cells, of_token, of_tag)
        tokens, tags = found[-1]
        tokens.append(cells[of_token])
        tags.append(cells.get(of_tag, ""))
    return found, notes + _twice_note(path, places)


def is_one(path: Path, *, tagged: bool = True) -> bool:
    """Tell whether a table has columns of tokens, of their tags and of sentences, by their names."""
    names = _names(path)
    has = [any(_is_usual(name, usual) for name in names) for usual in (_TOKENS, *([_TAGS] if tagged else []))]
    return all(has) and any(_SENTENCE.fullmatch(name.strip()) for name in names)


def takes(path: Path, sentence_column: str | None, *, tagged: bool) -> bool:
    """Tell whether a file is read as a table: .csv files are, and .tsv files whose columns are called so."""
    suffix = path.suffix.lower()
    if suffix != ".tsv" or sentence_column is not None:
        return suffix in SUFFIXES
    return is_one(path, tagged=tagged)


def has_tokens(path: Path, column: str | None) -> bool:
    """Tell whether the column of a table that is asked for, or any where none is, is called as tokens are."""
    return any(_is_usual(name, _TOKENS) for name in (_names(path) if column is None else [column]))


def _names(path: Path) -> list[str]:
    try:
        return list(next(records.read(path)[0], ()))
    except UsageError:
        return []


def choice_note(path: Path, wanted: str | None, usual: Sequence[str]) -> tuple[str, ...]:
    """Return the sentence about the first of several kinds of tags, which is taken where none is wanted."""
    if wanted is not None or len(usual) < 2:
        return ()
    taken, *others = map(repr, usual)
    return (f"{path.name}: the tags are those of {taken}, and not {' or '.join(others)} (--label-column).",)


def _columns(path, names, token, label, sentence, tagged) -> tuple[str, str | None, str | None]:
    """Return the names of the columns of tokens, tags and sentences; None for what there is not."""
    flag = "--token-column" if tagged else "--text-column"  # of predict
    of_token = records.column(path, names, token, _TOKENS, flag)
    of_tag = records.column(path, names, label, _TAGS, "--label-column") if tagged else None
    usual = [name for name in names if _SENTENCE.fullmatch(name.strip())]
    if sentence is None and not usual:
        return of_token, of_tag, None
    return of_token, of_tag, records.column(path, names, sentence or usual[0], (), "--sentence-column")


def _check(path: Path, number: int, cells: Mapping[str, str], token: str, tag: str | None) -> None:
    """Raise a UsageError for a row without a token or its tag, and for one with those of a whole sentence."""
    for name, flag in (token, "--token-column"), (tag, "--label-column"):
        if cells.get(name) == "":
            raise UsageError(
                f"{path}, row {number}: column {name!r} is empty. Fill it, or name another one with {flag}."
            )
    if tag is not None and cells[tag].startswith("[") and cells[tag].endswith("]"):
        raise UsageError(
            f"{path}, row {number}: column {tag!r} holds a list, but a row holds one token and its tag. "
            "Write sentences with lists as JSON lines (.jsonl)."
        )


def _is_usual(name: str, usual: Sequence[str]) -> bool:
    return name.strip().lower() in usual


def _twice_note(path: Path, places: Sequence[str]) -> tuple[str, ...]:
    """Return the sentence about sentences whose rows are not together."""
    twice = [place for place, count in collections.Counter(filter(None, places)).items() if count > 1]
    if not twice:
        return ()
    return (
        f"{path.name}: the rows of sentence {twice[0]!r} are not together, and count as several sentences "
        f"({len(twice):,} such). Sort the table if they are one.",
    )
