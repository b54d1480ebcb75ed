"""Reads sentences from a table with a token and its tag in each row, as annotation tools export them."""

import collections
import itertools
import re
from collections.abc import Collection, Mapping, Sequence
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
_ID = "(id|idx|index|no|nr|num|number|#)"
_SENTENCE = re.compile(f"sent(ence)?s?[ _.-]*{_ID}?", re.IGNORECASE)
_DOCUMENT = re.compile(f"(doc|document|article|file)([ _.-]*({_ID}|name))?", re.IGNORECASE)
_NOTHING = ("", "nan", "null", "none", "na", "<na>")  # of a sentence, as programs write no value
_LOOKED_AT = 100  # rows that tell whether sentences have more than a row


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
    found: list[Sentence] = []
    places: list[tuple[str, str]] = []  # of each sentence, its document and the value in its column
    columns, is_divided, document = None, False, ""
    for number, row in enumerate(rows, 2):
        if columns is None:
            columns = _columns(path, list(row), token_column, label_column, sentence_column, tagged)
            notes += _choice_notes(path, list(row), token_column, label_column, tagged)
            of_token, of_tag, of_sentence = columns
            others = [name for name in row if name not in columns]
            of_document = next((name for name in others if _DOCUMENT.fullmatch(name.strip())), None)
            beside = {of_sentence, of_document, *filter(_is_index, others)}
        cells = {name: " ".join((cell or "").split()) for name, cell in row.items()}
        if not any(cell for name, cell in cells.items() if name not in beside):
            is_divided = True
            continue
        _check(path, number, row, cells, of_token, of_tag)
        place = cells.get(of_sentence, "")
        place = "" if place.lower() in _NOTHING else place
        is_divided |= bool(of_sentence and document and cells.get(of_document, "") not in ("", document))
        document = cells.get(of_document, "") or document
        if not found or is_divided or (place and place != places[-1][1]):
            found.append(([], []))
            places.append((document, place))
            is_divided = False
        tokens, tags = found[-1]
        tokens.append(cells[of_token])
        tags.append(cells.get(of_tag, ""))
    notes += _twice_note(path, places)
    if tagged:
        _check_words(path, found)
        notes = notes + _short_note(path, found, places) if len(set(places)) == len(places) else notes
    return found, notes


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
    path: Path, wanted: str | None, usual: Sequence[str], what: str = "tags --label-column"
) -> tuple[str, ...]:
    """Return the sentence about the first of several usual columns, which is taken where none is wanted."""
    if wanted is not None or len(usual) < 2:
        return ()
    kind, flag = what.split()
    taken, *others = map(repr, usual)
    return (f"{path.name}: the {kind} are those of {taken}, and not {' or '.join(others)} ({flag}).",)


def _choice_notes(path: Path, names, token: str | None, label: str | None, tagged: bool) -> tuple[str, ...]:
    """Return the sentences about columns that are taken where several have usual names."""
    tokens, tags = (
        [name for word in kind for name in names if _is_usual(name, [word])] for kind in (_TOKENS, _TAGS)
    )
    flag = "--token-column" if tagged else "--text-column"  # of predict
    return choice_note(path, label, tags if tagged else ()) + choice_note(
        path, token, tokens, f"tokens {flag}"
    )


def _columns(path, names, token, label, sentence, tagged) -> tuple[str, str | None, str | None]:
    """Return the names of the columns of tokens, tags and sentences; None for what there is not."""
    flag = "--token-column" if tagged else "--text-column"  # of predict
    of_token = records.column(path, names, token, _TOKENS, flag)
    of_tag = records.column(path, names, label, _TAGS, "--label-column") if tagged else None
    usual = _of_sentences(names)
    if sentence is None and not usual:
        return of_token, of_tag, None
    return of_token, of_tag, records.column(path, names, sentence or usual[0], (), "--sentence-column")


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


def _is_index(name: str) -> bool:
    return not name.strip() or name.startswith("Unnamed: ")  # as pandas calls it


def _is_usual(name: str, usual: Collection[str]) -> bool:
    return name.strip().lower() in usual


def _short_note(path: Path, sentences: Sequence[Sentence], places: Sequence) -> tuple[str, ...]:
    """Return the note about a column that has another value in each row."""
    if len(sentences) < 2 or not places[1][1] or any(len(tokens) > 1 for tokens, _ in sentences):
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
