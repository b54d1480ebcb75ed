"""JSON to arrays, as TensorFlow Serving reads it."""

import base64
import binascii
import itertools
import json
import math
import re
from collections.abc import Sequence

import numpy as np
import orjson

from kerasdl.serving import json_numbers
from kerasdl.serving.engine import enum_of, name_of
from kerasdl.serving.json_numbers import Numbers
from kerasdl.serving.status import ServingError, invalid

#: A value of JSON; a large array of numbers may be `Numbers` where it is a value of an object.
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"] | Numbers

_MOST_AXES = 32
#: TensorFlow Serving reads NaN, -NaN, Inf, -Inf, Infinity and -Infinity; within texts they are letters.
_NOT_FINITE = re.compile(
    rb'(?P<text>"(?:[^"\\]|\\.)*")|(?P<nan>-?NaN\b)|(?P<sign>-?)Inf(?:inity)?\b', re.DOTALL
)
_SHOWN = 256  # characters of a value in a message
_LEAVES = {"f": {int, float}, "i": {int}, "u": {int}, "b": {bool}}
_JSON_TYPES = {bool: "True", int: "Number", float: "Number", str: "String", list: "Array", dict: "Object"}


def read_json(body: bytes, *, with_numbers: bool = False) -> Json:
    """Read a JSON document, with NaN, Inf and Infinity as TensorFlow Serving takes them.

    Args:
        body: the document.
        with_numbers: whether large arrays may become `Numbers`. Defaults to no.

    Raises:
        ServingError: when it is none.
    """
    if not body.strip():
        raise invalid("JSON Parse error: The document is empty")
    try:
        return json_numbers.loads(body) if with_numbers else orjson.loads(body)
    except orjson.JSONDecodeError as error:
        first = error
    if b"NaN" not in body and b"Inf" not in body:
        raise invalid(f"JSON Parse error: {first.msg} at offset: {first.pos}")
    try:
        return json.loads(_NOT_FINITE.sub(_spelt_out, body), parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from None


def _spelt_out(found: re.Match[bytes]) -> bytes:
    """Return a text as it is, and a number that is none in the one spelling that Python reads."""
    return found[0] if found["text"] else b"NaN" if found["nan"] else found["sign"] + b"Infinity"


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError("Number too big to be stored in double.")
    return value


def array_of_json(value: Json, dtype: str) -> np.ndarray:
    """Return nested lists of numbers, truth values, texts or {"b64": ...} as an array.

    Args:
        value: the lists, or one value.
        dtype: dtype of the array; "string" gives bytes.

    Raises:
        ServingError: in TensorFlow Serving's words, when it holds something else or is ragged.
    """
    if isinstance(value, Numbers):
        if (array := value.array(dtype)) is not None:
            return array
        value = value.lists()
    shape, flat = [], [value]
    while isinstance(flat[0], list) and len(shape) < _MOST_AXES:
        if set(map(type, flat)) != {list} or len(set(map(len, flat))) != 1:
            raise _fault(value, dtype)
        shape.append(len(flat[0]))
        flat = list(itertools.chain.from_iterable(flat))
        if not flat:
            break
    if dtype == "string":
        return _strings(value, flat, shape)
    if not set(map(type, flat)) <= _LEAVES.get(np.dtype(dtype).kind, set()):
        raise _fault(value, dtype)
    return _numbers(flat, dtype).reshape(shape)


def _numbers(flat: list[int | float | bool], dtype: str) -> np.ndarray:
    wanted = np.dtype(dtype)
    try:
        wide = np.array(
            flat, np.uint64 if dtype == "uint64" else {"f": "f8", "b": "?"}.get(wanted.kind, "i8")
        )
    except OverflowError:
        raise _out_of_range(max(flat, key=abs), dtype) from None
    if wanted.kind == "f":
        with np.errstate(over="ignore"):
            array = wide.astype(wanted)
        _check_kept(flat, array, dtype)
        return array
    array = wide.astype(wanted)
    if wanted.kind in "iu" and (wrong := np.flatnonzero(array != wide)).size:
        raise _out_of_range(flat[int(wrong[0])], dtype)
    return array


def _check_kept(flat: list[int | float], array: np.ndarray, dtype: str) -> None:
    """Refuse what a dtype cannot hold: a number that became infinite, a whole one that became another."""
    large = np.flatnonzero(np.abs(array) > 2.0 ** np.finfo(array.dtype).nmant)
    for index in large.tolist():
        value, kept = flat[index], float(array[index])
        if (type(value) is int and value != kept) or (math.isinf(kept) and not math.isinf(value)):
            raise invalid(
                f"Cannot convert JSON value: {shown(value)} to {_name(dtype)} without loss of precision."
            )


def _out_of_range(value: int | float, dtype: str) -> ServingError:
    return invalid(f"JSON Value: {shown(value)} Type: Number is out of the range of type: {_name(dtype)}")


def _strings(value: Json, flat: list[Json], shape: list[int]) -> np.ndarray:
    array = np.empty(len(flat), object)
    for index, one in enumerate(flat):
        if isinstance(one, str):
            array[index] = one.encode("utf-8", "surrogatepass")
        elif is_base64(one):
            array[index] = _decoded(one["b64"])
        else:
            raise _fault(value, "string")
    return array.reshape(shape)


def is_base64(value: Json) -> bool:
    """Tell whether a JSON value stands for bytes: {"b64": "..."}."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def _fault(value: Json, dtype: str) -> ServingError:
    """Find what is wrong with a value, in the order in which TensorFlow Serving reads it."""
    sizes, first = [], value
    while isinstance(first, list) and len(sizes) <= _MOST_AXES:
        sizes.append(len(first))
        if not first:
            break
        first = first[0]
    if len(sizes) > _MOST_AXES:
        return invalid(f"Encountered list at unexpected level: {_MOST_AXES} expected < {_MOST_AXES}")
    return _fault_at(value, 0, sizes, dtype) or invalid(
        f"JSON Value: {shown(value)} is not of expected type: {_name(dtype)}"
    )


def _fault_at(value: Json, level: int, sizes: Sequence[int], dtype: str) -> ServingError | None:
    rank = len(sizes)
    if not isinstance(value, list):
        if level != rank:
            return invalid(
                f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {rank}"
            )
        if dtype == "string" and isinstance(value, dict):
            wrong = not is_base64(value)
            return (
                invalid(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
                if wrong
                else None
            )
        allowed = {str} if dtype == "string" else _LEAVES.get(np.dtype(dtype).kind, set())
        return None if type(value) in allowed else _type_error(value, dtype)
    if level >= rank:
        return invalid(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != sizes[level]:
        return invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: "
            f"{sizes[level]}"
        )
    return next(filter(None, (_fault_at(one, level + 1, sizes, dtype) for one in value)), None)


def _type_error(value: Json, dtype: str) -> ServingError:
    return invalid(
        f"JSON Value: {shown(value)} Type: {kind_of(value)} is not of expected type: {_name(dtype)}"
    )


def kind_of(value: Json) -> str:
    """Return the name of the type of a JSON value, as TensorFlow Serving says it."""
    return "False" if value is False else _JSON_TYPES.get(type(value), "Null")


def shown(value: Json) -> str:
    """Return the beginning of a value as JSON; of a long one no more is written than is shown."""
    if isinstance(value, Numbers):
        value = value.lists()
    if isinstance(value, str):
        value = value[:_SHOWN]
    elif isinstance(value, list):
        value = [_short(one) for one in value[:20]]
    elif isinstance(value, dict):
        value = {key[:_SHOWN]: _short(one) for key, one in itertools.islice(value.items(), 20)}
    return json.dumps(value)[:_SHOWN]


def _short(value: Json) -> Json:
    if isinstance(value, str):
        return value[:_SHOWN]
    return "..." if isinstance(value, (list, dict, Numbers)) else value


def _name(dtype: str) -> str:
    return name_of(enum_of(dtype))
