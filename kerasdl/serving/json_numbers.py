"""Large arrays of numbers in JSON, read without making a Python object of each number and each list.

A picture of 224x224x3 pixels is 150,528 numbers in 50,401 lists. Where a long stretch of a document holds
digits and brackets alone, and its brackets are those of a regular array, `simdjson` reads it at once. All
else is read as any other JSON, and what is wrong with it is said there.
"""

import math
import secrets
import threading

import numpy as np
import orjson

try:
    import simdjson
except ImportError:  # all is read the slow way
    simdjson = None

_LEAST = 4096  # bytes of a stretch that is worth it
_MOST_AXES = 32
_CHARACTERS = b"0123456789+-.eE,[] \t\n\r"
_FOREIGN = np.ones(256, bool)
_FOREIGN[list(_CHARACTERS)] = False
_NO_BRACKETS = bytes(set(range(256)) - set(b"[],"))
_DEEPEST = 3  # dicts and lists around an array: {"instances": [{"name": array}]}
#: Key of what stands for an array while the rest is read: nobody else knows it.
_PLACE = secrets.token_hex(16)
_of_thread = threading.local()


class Numbers:
    """A regular array of numbers of a JSON document.

    Args:
        text: the array as JSON.
        values: the same as int64, if all of its numbers are whole, or float64.
    """

    def __init__(self, text: bytes, values: np.ndarray):
        self._text, self._values = text, values

    def lists(self) -> list:
        """Return the array as nested lists of int and float."""
        return orjson.loads(self._text)

    def array(self, dtype: str) -> np.ndarray | None:
        """Return the array in a dtype; None where that is not sure to hold each of the numbers.

        Args:
            dtype: dtype; of whole numbers only for whole numbers.
        """
        wanted, values = np.dtype("O" if dtype == "string" else dtype), self._values
        if wanted.kind == "f":
            most = 2.0 ** np.finfo(wanted).nmant
            least = -most
        elif wanted.kind in "iu" and values.dtype.kind == "i":
            least, most = np.iinfo(wanted).min, np.iinfo(wanted).max
        else:
            return None
        return values.astype(wanted) if least <= values.min() and values.max() <= most else None


def loads(body: bytes) -> object:
    """Read a JSON document like `orjson.loads`; large arrays that are values of objects become `Numbers`.

    Raises:
        orjson.JSONDecodeError: when it is no JSON.
    """
    if simdjson is None or len(body) < _LEAST:
        return orjson.loads(body)
    found, rest, last = [], [], 0
    for start, end in _stretches(body):
        text = body[start:end]
        if (values := _values(text)) is not None:
            # Within a string these quotes would end it: then the document is no JSON any more.
            rest += [body[last:start], b'{"%s":%d}' % (_PLACE.encode(), len(found))]
            found.append(Numbers(text, values))
            last = end
    if not found:
        return orjson.loads(body)
    left = list(range(len(found)))
    try:
        document = orjson.loads(b"".join([*rest, body[last:]]))
    except orjson.JSONDecodeError:
        return orjson.loads(body)
    _put_back(document, found, left)
    return orjson.loads(body) if left else document


def _stretches(body: bytes) -> list[tuple[int, int]]:
    """Return where long stretches from a [ to a ] lie that hold nothing but characters of numbers."""
    foreign = np.flatnonzero(_FOREIGN[np.frombuffer(body, np.uint8)])
    borders = np.concatenate([[-1], foreign, [len(body)]])
    found = []
    for index in np.flatnonzero(np.diff(borders) > _LEAST).tolist():
        start = body.find(b"[", int(borders[index]) + 1, int(borders[index + 1]))
        end = body.rfind(b"]", int(borders[index]) + 1, int(borders[index + 1])) + 1
        if 0 <= start < end:
            found.append((start, end))
    return found


def _values(text: bytes) -> np.ndarray | None:
    """Return the array that a text holds; None where it is ragged, or has a number of over 64 bits."""
    if (shape := _shape(text)) is None:
        return None
    whole = not (b"." in text or b"e" in text or b"E" in text)
    try:
        flat = _parser().parse(text).as_buffer(of_type="i" if whole else "d")
    except (ValueError, TypeError, RuntimeError):
        return None
    values = np.frombuffer(flat, np.int64 if whole else np.float64)
    return values.reshape(shape) if values.size == math.prod(shape) else None


def _parser():
    """Return the parser of this thread, whose memory is there already."""
    if "parser" not in vars(_of_thread):
        _of_thread.parser = simdjson.Parser()
    return _of_thread.parser


def _shape(text: bytes) -> tuple[int, ...] | None:
    """Return the shape of an array by its brackets and commas; None where it is ragged.

    An empty list looks like one of one number: the number of values tells them apart.
    """
    brackets = text.translate(None, _NO_BRACKETS)
    rank = len(brackets) - len(brackets.lstrip(b"["))
    if rank > _MOST_AXES:
        return None
    sizes, inner = [], b""
    for level in range(1, rank + 1):  # from the innermost list outwards
        first = brackets.find(b"]" * level)
        length = first + level - 1 - (rank - level + 1)  # of what the first list of this level holds
        size, over = divmod(length + 1, len(inner) + 1)
        if first < 0 or over:
            return None
        inner = b"[" + b",".join([inner] * size) + b"]"
        sizes.append(size)
    return tuple(reversed(sizes)) if inner == brackets else None


def _put_back(value: object, found: list[Numbers], left: list[int], depth: int = 0) -> None:
    """Put arrays in where they were, if that was as a value of an object; the others stay in `left`."""
    if depth > _DEEPEST or not isinstance(value, (dict, list)):
        return
    for key, one in list(value.items()) if isinstance(value, dict) else enumerate(value):
        if isinstance(one, dict) and isinstance(value, dict) and one.keys() == {_PLACE}:
            value[key] = found[one[_PLACE]]
            left.remove(one[_PLACE])
        else:
            _put_back(one, found, left, depth + 1)
