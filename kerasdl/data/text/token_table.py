"""Reads sentences from a table with a token and its tag in each row, as annotation tools export them."""

import collections
import itertools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kerasdl.data import encodings
from kerasdl.data.text import records
from kerasdl.data.text.columns import Sentence
from kerasdl.errors import UsageError

SUFFIXES = (".csv", ".tsv")
_TOKENS = ("token", "tokens", "word", "words", "form")
_TAGS = ("tag", "tags", "label", "labels", "ner_tag", "ner_tags", "ner", "entity",
         "pos_tag", "pos_tags", "pos")  # fmt: skip
_ID = "(id|idx|index|no|nr|num|number|#)"
_SENTENCE = re.compile(f"sent(ence)?s?[ _.-]*{_ID}?", re.IGNORECASE)
_DOCUMENT = re.compile(f"(doc|document|article|file)([ _.-]*({_ID}|name))?", re.IGNORECASE)
_NOTHING = ("", "nan", "null", "none", "na", "<na>")  # of a sentence, as programs write no value
_LOOKED_AT = 100  # rows that tell whether sentences have more than a row


class _Columns(NamedTuple):
    """Names of the columns of a table; None for those that it does not have.

    Attributes:
        token, tag, sentence: where these are.
        document: where what sentences belong to is, if there are sentences.
        index: where pandas numbers the rows.
    """

    token: str
    tag: str | None
    sentence: str | None
    document: str | None
    index: tuple[str, ...]

    @property
    def beside(self) -> set[str | None]:
        """The columns that may be filled in a row that divides sentences."""
        return {self.sentence, self.document, *self.index}


def read(
    path: Path, token_column: str | None, label_column: str | None, sentence_column: str | None, tagged: bool
) -> tuple[list[Sentence], tuple[str, ...]]:
    """Return the sentences of a table, and notes about it.

    A sentence begins where the column of the sentences, or one of documents, has another value than before;
    an empty cell there goes on with the sentence. Rows without any value divide sentences too.

    Args:
        path: .csv file whose first row names the columns.
        token_column: name of the column of tokens. Defaults to a usual one: token, word, ...
        label_column: that of the tags. Defaults to a usual one: tag, label, ner, ...
        sentence_column: that of the sentences. Defaults to a usual one: sentence, sentence_id, ...
        tagged: whether there have to be tags.

    Raises:
        UsageError: when the file or a column cannot be read, for a row without a token or its tag, and for
            sentences in a row each.
    """
    rows, guessed = records.read(path, blank_rows=True)
    notes = encodings.guessed_note([path] if guessed else [])
    first = next(rows, None)
    if first is None:
        return [], notes
    columns = _columns(path, list(first), token_column, label_column, sentence_column, tagged)
    notes += _choice_notes(path, list(first), token_column, label_column, tagged)
    found, places = _sentences(path, itertools.chain([first], rows), columns)
    notes += _twice_note(path, places)
    if tagged:
        _check_words(path, found)
        notes += _short_note(path, found, places)
    return found, notes


def _sentences(
    path: Path, rows: Iterable[Mapping], columns: _Columns
) -> tuple[list[Sentence], list[tuple[str, str]]]:
    """Return the sentences, and of each its document and the value in the column of the sentences."""
    found: list[Sentence] = []
    places: list[tuple[str, str]] = []
    document, is_divided = "", False
    for number, row in enumerate(rows, 2):
        cells = {name: " ".join((cell or "").split()) for name, cell in row.items()}
        if not any(cell for name, cell in cells.items() if name not in columns.beside):
            is_divided = True
            continue
        _check(path, number, row, cells, columns.token, columns.tag)
        place = cells.get(columns.sentence, "")
        place = "" if place.lower() in _NOTHING else place
        is_divided |= bool(document and cells.get(columns.document, "") not in ("", document))
        document = cells.get(columns.document, "") or document
        if not found or is_divided or (place and place != places[-1][1]):
            found.append(([], []))
            places.append((document, place))
            is_divided = False
        tokens, tags = found[-1]
        tokens.append(cells[columns.token])
        tags.append(cells.get(columns.tag, ""))
    return found, places


def is_one(path: Path, *, tagged: bool = True) -> bool:
    """Tell whether a table has columns of tokens, of their tags and of sentences, by their names.

    There are none where each row has a sentence of its own: those are texts with a word of each.
    """
    rows = _head(path)
    names = list(rows[0]) if rows else []
    has = [any(_is_usual(name, usual) for name in names) for usual in (_TOKENS, *([_TAGS] if tagged else []))]
    if not all(has) or not (usual := _of_sentences(names)):
        return False
    values = [row[usual[0]] for row in rows]
    is_each = all(values) and all(one != other for one, other in itertools.pairwise(values))
    return len(rows) == 1 or not is_each


def takes(path: Path, given: Sequence[str | None], sentence_column: str | None, *, tagged: bool) -> bool:
    """Tell whether a file is read as a table: .csv files are, and .tsv files whose columns are called so.

    Args:
        path: the file.
        given: columns of tokens and tags that are asked for; a number is one of a .tsv file in columns.
        sentence_column: that of the sentences.
        tagged: whether there have to be tags.
    """
    suffix = path.suffix.lower()
    if suffix == ".tsv" and any(one and re.fullmatch(r"-?\d+", one) for one in given):
        return False
    if suffix != ".tsv" or sentence_column is not None:
        return suffix in SUFFIXES
    return is_one(path, tagged=tagged)


def has_tokens(path: Path, column: str | None) -> bool:
    """Tell whether the column of a table that is asked for, or any where none is, is called as tokens are."""
    if column is not None:
        return _is_usual(column, _TOKENS)
    names = list(next(iter(_head(path)), ()))
    usual = set(records.TEXT_NAMES) - {"document"}  # which may number them
    if any(_is_usual(name, usual) for name in names) and not is_one(path, tagged=False):
        return False
    return any(_is_usual(name, _TOKENS) for name in names)


def _head(path: Path) -> list[Mapping[str, object]]:
    """Return the first rows of a table; none of one that cannot be read."""
    try:
        return list(itertools.islice(records.read(path)[0], _LOOKED_AT))
    except UsageError:
        return []


def choice_note(
    path: Path, wanted: str | None, usual: Sequence[str], *, kind: str = "tags", flag: str = "--label-column"
) -> tuple[str, ...]:
    """Return the sentence about the first of several usual columns, which is taken where none is wanted."""
    if wanted is not None or len(usual) < 2:
        return ()
    taken, *others = map(repr, usual)
    return (f"{path.name}: the {kind} are those of {taken}, and not {' or '.join(others)} ({flag}).",)


def _choice_notes(path: Path, names, token: str | None, label: str | None, tagged: bool) -> tuple[str, ...]:
    """Return the sentences about columns that are taken where several have usual names."""
    tokens, tags = (
        [name for word in kind for name in names if _is_usual(name, [word])] for kind in (_TOKENS, _TAGS)
    )
    notes = choice_note(path, label, tags) if tagged else ()
    return notes + choice_note(path, token, tokens, kind="tokens", flag=_flag(tagged))


def _flag(tagged: bool) -> str:
    return "--token-column" if tagged else "--text-column"  # of predict


def _columns(path, names, token, label, sentence, tagged) -> _Columns:
    of_token = records.column(path, names, token, _TOKENS, _flag(tagged))
    of_tag = records.column(path, names, label, _TAGS, "--label-column") if tagged else None
    of_sentence = sentence or next(iter(_of_sentences(names)), None)
    if of_sentence is not None:
        of_sentence = records.column(path, names, of_sentence, (), "--sentence-column")
    others = [name for name in names if name not in (of_token, of_tag, of_sentence)]
    document = next((name for name in others if of_sentence and _DOCUMENT.fullmatch(name.strip())), None)
    index = tuple(name for name in others if not name.strip() or name.startswith("Unnamed: "))
    return _Columns(of_token, of_tag, of_sentence, document, index)


def _of_sentences(names: Sequence[str]) -> list[str]:
    """Return the columns that tell sentences by their names, those of numbers before those of texts."""
    usual = [name for name in names if _SENTENCE.fullmatch(name.strip())]
    return sorted(usual, key=lambda name: re.search("ent(ence)?s?$", name.strip(), re.IGNORECASE) is not None)


def _check(path: Path, number: int, row: Mapping, cells: Mapping[str, str], token: str, tag: str | None):
    """Raise a UsageError for a row without a token or its tag, and for one with those of several rows."""
    for name, flag in (token, "--token-column"), (tag, "--label-column"):
        if re.search(r"(^|\S)\s*[\r\n]\s*\S", row.get(name) or ""):
            raise UsageError(
                f"{path}, row {number}: column {name!r} goes over several lines, since a quote opens there. "
                'Write a token that is a quote as """" (csv.writer and pandas do).'
            )
        if cells.get(name) == "":
            raise UsageError(
                f"{path}, row {number}: column {name!r} is empty. Fill it, or name another one with {flag}."
            )
    if tag is not None and cells[tag].startswith("[") and cells[tag].endswith("]"):
        raise UsageError(
            f"{path}, row {number}: column {tag!r} holds a list, but a row holds one token and its tag. "
            "Write sentences with lists as JSON lines (.jsonl)."
        )


def _check_words(path: Path, sentences: Sequence[Sentence]) -> None:
    """Raise a UsageError for rows that hold a whole sentence, with as many words as tags between blanks."""
    pairs = [
        (len(token.split()), len(tag.split())) for one in sentences for token, tag in zip(*one, strict=True)
    ]
    if 2 * sum(words == tags > 1 for words, tags in pairs) > len(pairs):
        raise UsageError(
            f"{path} has a sentence and its tags in each row, but a row holds one token and its tag. Write "
            "sentences with lists as JSON lines (.jsonl)."
        )


def _is_usual(name: str, usual: Collection[str]) -> bool:
    return name.strip().lower() in usual


def _short_note(path: Path, sentences: Sequence[Sentence], places: Sequence) -> tuple[str, ...]:
    """Return the note about a column that has another value in each row."""
    is_each = len(places) > 1 and places[1][1] and len(set(places)) == len(places)
    if not is_each or any(len(tokens) > 1 for tokens, _ in sentences):
        return ()
    return (f"{path.name}: every sentence has one token. Name the column of sentences by --sentence-column.",)


def _twice_note(path: Path, places: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return the sentence about sentences whose rows are not together."""
    counts = collections.Counter(place for place in places if place[1])
    twice = [place for (_, place), count in counts.items() if count > 1]
    if not twice:
        return ()
    return (
        f"{path.name}: the rows of sentence {twice[0]!r} are not together, and count as several sentences "
        f"({len(twice):,} such). Sort the table if they are one.",
    )
