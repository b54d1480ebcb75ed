"""Reads the rows of a table of texts by column: CSV, TSV and JSON lines."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kerasdl.data import encodings
from kerasdl.errors import UsageError, did_you_mean

_JSON = (".jsonl", ".ndjson")
SUFFIXES = (".csv", ".tsv", *_JSON)
#: Usual names of the column of texts.
TEXT_NAMES = ("text", "review", "sentence", "comment", "content", "message", "body", "document", "tweet")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_DELIMITERS = ",;\t|"
_LONGEST_TEXT = 2**31 - 1  # characters: a text may be a book
_MOST_NAMES = 12  # columns that a message names


def read(path: Path, *, blank_rows: bool = False) -> tuple[Iterator[Mapping[str, object]], bool]:
    """Return the rows of a file by column, and whether its encoding is guessed.

    Args:
        path: the file.
        blank_rows: give a row without values for each blank line of a table, none of whose fields has such a
            line in it. Defaults to False.
    """
    try:
        content, guessed = encodings.decode(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    if path.suffix.lower() in _JSON:
        return (record for _, record in json_rows(path, content)), guessed
    return _csv_rows(path, content, blank_rows), guessed


def _csv_rows(path: Path, content: str, blank_rows: bool) -> Iterator[Mapping[str, str | None]]:
    """Yield the rows of a table by column.

    Raises:
        UsageError: for a row with more fields than the header has, and for two columns of one name.
    """
    if told := re.match(r"\s*sep=(.)\r?\n", content, re.IGNORECASE):  # as Excel writes it
        content = content[told.end() :]
    header = re.split("[\r\n]", content.lstrip(), maxsplit=1)[0]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(_DELIMITERS, key=header.count)
    delimiter = told[1] if told else delimiter
    csv.field_size_limit(_LONGEST_TEXT)
    options = {"delimiter": delimiter, "quoting": _quoting(content, delimiter), "strict": True}
    content = content.lstrip("\n\r")
    if blank_rows:
        content = re.sub(r"(?m)^[ \t]*(?=\r?$)", delimiter if delimiter in header else '""', content)
    reader = csv.DictReader(io.StringIO(content, newline=""), **options)
    try:
        titles = [title for title in reader.fieldnames or () if title.strip()]
        if doubled := sorted({title for title in titles if titles.count(title) > 1}):
            raise UsageError(
                f"{path} has several columns called {doubled[0]!r}. Give each a name of its own."
            )
        for row in reader:
            if None in row:
                raise UsageError(
                    f"{path}, line {reader.line_num}: the row has more fields than the header, which has "
                    f"{len(reader.fieldnames)}. Put texts that contain {delimiter!r} in double quotes."
                )
            yield row
    except csv.Error as error:
        raise UsageError(
            f"{path}, line {reader.line_num}: {error}. Double the quotes within a text."
        ) from error


def _quoting(content: str, delimiter: str) -> int:
    """Return whether quotes enclose fields; in a file of tabs whose every line is a row they are text."""
    lines = [line for line in content.splitlines() if line.strip()]
    opens = any(
        field.startswith('"') and field.count('"') % 2 for line in lines for field in line.split("\t")
    )
    plain = delimiter == "\t" and opens and len({line.count("\t") for line in lines}) == 1
    return csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL


def json_rows(path: Path, content: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the objects of JSON lines, each after the place where it stands: "x.jsonl, line 3".

    Half a character, where a program cut a text within one, becomes a question mark.
    """
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{where} is not JSON: {error}. Give one JSON object a line.") from error
        if not isinstance(record, dict):
            raise UsageError(f"{where} is not a JSON object, as each line has to be.")
        if _SURROGATE.search(line):
            record = json.loads(json.dumps(record, ensure_ascii=False).encode(errors="replace"))
        yield where, record


def column(path: Path, names: Sequence[str], wanted: str | None, usual: Sequence[str], flag: str) -> str:
    """Return the column that is wanted; where none is, the first of a usual name.

    Raises:
        UsageError: when there is none; the message names the columns and the flag.
    """
    known = ", ".join(map(repr, names[:_MOST_NAMES])) + ", ..." * (len(names) > _MOST_NAMES)
    if wanted is not None:
        if wanted not in names:
            raise UsageError(
                f"{path} has no column {wanted!r}; it has {known}. Name one of them with {flag}."
                + did_you_mean(wanted, names)
            )
        return wanted
    found = [name for word in usual for name in names if name.strip().lower() == word]
    if not found:
        raise UsageError(f"{path} has the columns {known}. Name the one to use with {flag}.")
    return found[0]
