"""Reads the rows of a table of texts by column: CSV, TSV and JSON lines."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from kerasdl.data import encodings
from kerasdl.errors import UsageError

_JSON = (".jsonl", ".ndjson")
SUFFIXES = (".csv", ".tsv", *_JSON)
_DELIMITERS = ",;\t|"
_LONGEST_TEXT = 2**31 - 1  # characters: a text may be a book


def read(path: Path) -> tuple[Iterator[Mapping[str, object]], bool]:
    """Return the rows of a file by column, and whether its encoding is guessed."""
    try:
        content, guessed = encodings.decode(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    is_json = path.suffix.lower() in _JSON
    return (_json_rows if is_json else _csv_rows)(path, content), guessed


def _csv_rows(path: Path, content: str) -> Iterator[Mapping[str, str | None]]:
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
    reader = csv.DictReader(io.StringIO(content.lstrip("\n\r"), newline=""), **options)
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


def _json_rows(path: Path, content: str) -> Iterator[Mapping[str, object]]:
    """Yield the objects of a file of JSON lines."""
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UsageError(
                f"{path}, line {number} is not JSON: {error}. Give one JSON object a line."
            ) from error
        if not isinstance(record, dict):
            raise UsageError(f"{path}, line {number} is not a JSON object, as each line has to be.")
        yield record
