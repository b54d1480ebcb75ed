"""Reads sentences with a tag at each token: files in columns, as CoNLL's are, tables, and JSON lines."""

import collections
import re
from collections.abc import Sequence
from pathlib import Path

from kerasdl.data import encodings
from kerasdl.data.text import columns, records, token_table
from kerasdl.data.text.columns import Sentence
from kerasdl.errors import UsageError, did_you_mean

#: Suffixes of files that hold tokens in columns.
COLUMNS = (".conll", ".iob", ".iob2", ".bio", ".bioes", ".tags")
#: Suffixes of files that hold a sentence in each line.
JSON = (".jsonl", ".ndjson")
#: Suffixes of files that a tagger takes; other sources have some of them too.
SUFFIXES = (*COLUMNS, *JSON, *token_table.SUFFIXES, ".txt")
_EVEN = 0.9  # of the lines have as many columns, in a file of columns
_ENOUGH = 20  # lines whose last words tell whether they are tags
_TOKENS, _TAGS = ("tokens", "words"), ("tags", "labels", "ner_tags", "pos_tags")


def read(
    path: Path,
    token_column: str | None = None,
    label_column: str | None = None,
    sentence_column: str | None = None,
    *,
    tagged: bool = True,
) -> tuple[list[Sentence], tuple[str, ...]]:
    """Return the sentences of a file, and notes about it.

    Args:
        path: a file of JSON lines or a table where its name says so, else one in columns.
        token_column: column of the tokens: a number from 1 on, or -1 for the last; of JSON lines and tables a
            name. Defaults to the first one, or a usual name.
        label_column: that of the tags. Defaults to the last one, or a usual name.
        sentence_column: that of the sentences in a table. Defaults to one of a usual name.
        tagged: whether there have to be tags. Defaults to True.

    Raises:
        UsageError: when the file cannot be read, and for a line that is not as described.
    """
    suffix = path.suffix.lower()
    if sentence_column is not None and suffix not in token_table.SUFFIXES:
        raise UsageError(f"{path} is no table, and has no --sentence-column. Leave it out.")
    if token_table.takes(path, (token_column, label_column), sentence_column, tagged=tagged):
        found, notes = token_table.read(path, token_column, label_column, sentence_column, tagged)
    else:
        content, notes = _content(path)
        if suffix in JSON:
            found, more = _json_lines(path, content, token_column, label_column, tagged)
        else:
            if tagged and suffix == ".txt" and token_column is label_column is None:
                _check_no_prose(path, content)
            found, more = columns.read(path, content, token_column, label_column, tagged)
        notes += more
    if not found:
        raise UsageError(f"{path} holds no token. Give a file with a token and its tag on each line.")
    return found, notes


def _content(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the text of a file, and the note about its encoding."""
    try:
        content, guessed = encodings.decode(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    return re.sub("\r\n?", "\n", content), encodings.guessed_note([path] if guessed else [])


def _check_no_prose(path: Path, content: str) -> None:
    """Raise a UsageError for running text: lines of any number of words, or with ever other last words."""
    lines = [line.strip() for line in content.split("\n") if line.strip() and not line.startswith("#")]
    if 2 * sum("\t" in line for line in lines) > len(lines):
        return
    words = [line.split() for line in lines]
    widths = collections.Counter(map(len, words))
    is_even = max(widths.values(), default=0) >= _EVEN * len(lines)
    last = {line[-1] for line in words}
    if not is_even or (len(lines) >= _ENOUGH and 2 * len(last) > len(lines) and widths[1] < len(lines)):
        raise UsageError(
            f"{path} looks like running text, but a tagger learns from lines with a token and its tag "
            "(Berlin B-LOC), and an empty line between sentences."
        )


def _json_lines(path, content, token_column, label_column, tagged) -> tuple[list[Sentence], tuple[str, ...]]:
    """Return the sentences of JSON lines, and a note where the first has several lists of tags."""
    found, notes = [], None
    for where, record in records.json_rows(path, content):
        flag = "--token-column" if tagged else "--text-column"  # of predict
        tokens = _list(where, record, token_column, _TOKENS, flag)
        tags = _list(where, record, label_column, _TAGS, "--label-column") if tagged else [""] * len(tokens)
        if len(tokens) != len(tags):
            raise UsageError(
                f"{where} has {len(tokens)} tokens, but {len(tags)} tags. Give each token one tag."
            )
        if notes is None:
            usual = [name for name in _TAGS if name in record] if tagged else []
            notes = token_table.choice_note(path, label_column, usual)
        tokens, tags = ([" ".join(one.split()) for one in part] for part in (tokens, tags))
        for name, part in (("token", tokens), ("tag", tags if tagged else ())):
            if "" in part:
                raise UsageError(f"{where}: {name} {part.index('') + 1} is empty. Leave it out, or fill it.")
        if tokens:
            found.append((tokens, tags))
    return found, notes or ()


def _list(where: str, record: dict, name: str | None, usual: Sequence[str], flag: str) -> list[str]:
    """Return a list of texts of an object."""
    found = name if name is not None else next((one for one in usual if one in record), None)
    if found not in record:
        known = ", ".join(map(repr, record)) or "nothing"
        wanted = f"no list {found!r}" if found is not None else f"none of {', '.join(usual)}"
        raise UsageError(
            f"{where} has {wanted}; it has {known}. Name the list with {flag}."
            + did_you_mean(found or usual[0], record)
        )
    values = record[found]
    if not isinstance(values, list) or not all(isinstance(one, (str, int)) for one in values):
        raise UsageError(f'{where}: {found!r} is not a list of texts. Give a list such as ["New", "York"].')
    return [str(one) for one in values]
