"""Damages to real files: JSON documents, tables, archives; from strategies, and all simple ones in turn."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

DEEP = "[" * 20_000 + "]" * 20_000
#: What stands in the place of a value, as JSON text: other types, huge, empty, hostile.
TEXTS = (
    "null", "true", "-1", "0", "2.5", "1e400", "NaN", "1" + "0" * 30, "9" * 5000, '""', '"x"',
    '"\\u001b[31m\\ud800"', "[]", "[null]", "{}", '{"x": null}', '[["x"]]', "[" * 60 + "]" * 60, DEEP,
)  # fmt: skip
#: Whole files that are none of ours.
CONTENTS = (
    b"", b"{", b"[]", b"5", b'"text"', b"null", b"\xff\xfe\x00", b"PK\x03\x04", b"\x00" * 100, DEEP.encode(),
    b'{"a":' * 5000, b"x" * 200_000, b"{}",
)  # fmt: skip
MISSING = object()
_HERE = "\0here\0"


def places(document: Any, place: tuple = ()) -> Iterator[tuple]:
    """Yield the place of every value in a document, but of a list only those of its first and last part."""
    parts = document.items() if isinstance(document, dict) else ()
    if isinstance(document, list):
        parts = [(index, document[index]) for index in sorted({0, len(document) - 1}) if document]
    for key, part in parts:
        yield (*place, key)
        yield from places(part, (*place, key))


def replaced(document: Any, place: tuple, text: Any) -> str:
    """Return a document as JSON text with one value left out, or replaced by another text."""
    changed = copy.deepcopy(document)
    at = changed
    for key in place[:-1]:
        at = at[key]
    if text is MISSING:
        del at[place[-1]]
        return json.dumps(changed)
    at[place[-1]] = _HERE
    return json.dumps(changed).replace(json.dumps(_HERE), text)


def every_document(content: bytes) -> Iterator[bytes]:
    """Yield each simple damage of a JSON document, and of a file in general."""
    document = json.loads(content)
    for place in places(document):
        for text in (MISSING, *TEXTS):
            yield replaced(document, place, text).encode()
    yield from CONTENTS


@st.composite
def documents(draw, content: bytes) -> bytes:
    """Damage one to three values of a JSON document, and sometimes its bytes."""
    text = content.decode()
    for _ in range(draw(st.integers(1, 3))):
        try:
            document = json.loads(text)
            found = sorted(places(document), key=str)
        except (ValueError, RecursionError):  # damaged enough
            break
        if not found:
            break
        text = replaced(document, draw(st.sampled_from(found)), draw(st.sampled_from((MISSING, *TEXTS[:16]))))
    return draw(bytes_like(text.encode())) if draw(st.integers(0, 4)) == 0 else text.encode()


@st.composite
def bytes_like(draw, content: bytes) -> bytes:
    """Cut a file, flip some of its bytes, or put others into it."""
    at = st.integers(0, max(len(content) - 1, 0))
    kind = draw(st.sampled_from(("cut", "flip", "insert", "other")))
    if kind == "cut":
        return content[: draw(at)]
    if kind == "insert":
        place = draw(at)
        return content[:place] + draw(st.binary(min_size=1, max_size=40)) + content[place:]
    if kind == "other":
        return draw(st.sampled_from(CONTENTS))
    damaged = bytearray(content)
    for _ in range(draw(st.integers(1, 8))):
        if damaged:
            damaged[draw(at)] ^= draw(st.integers(1, 255))
    return bytes(damaged)
