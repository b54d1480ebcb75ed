"""Arrays to JSON, as TensorFlow Serving writes it."""

import base64
import math
from collections.abc import Mapping, Sequence

import numpy as np
import orjson

from kerasdl.serving.json_tensors import Json
from kerasdl.serving.service import Answer
from kerasdl.serving.status import invalid


def rows(found: Answer) -> bytes:
    """Write an answer as a list of rows."""
    size = None
    for name, array in sorted(found.outputs.items()):
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if size not in (None, len(array)):
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {size}")
        size = len(array)
    values = {name: json_of_array(array, name) for name, array in found.outputs.items()}
    if len(values) == 1:
        return write({"predictions": next(iter(values.values()))})
    named = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return write({"predictions": named})


def columns(found: Answer) -> bytes:
    """Write an answer as one list for each output."""
    values = {name: json_of_array(array, name) for name, array in found.outputs.items()}
    return write({"outputs": values if len(values) > 1 else next(iter(values.values()))})


def json_of_array(array: np.ndarray, name: str) -> Json | np.ndarray:
    """Return an array as what `write` takes; texts of an output `..._bytes` become {"b64": ...}."""
    if array.dtype.kind in "OSU":
        texts = [_text(value, name.endswith("_bytes")) for value in array.ravel()]
        return _nested(texts, array.shape)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return _nested([_number(value) for value in array.ravel().tolist()], array.shape)
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    return np.ascontiguousarray(array) if array.ndim else array[()]


def write(document: Mapping[str, object]) -> bytes:
    """Write a JSON document that may hold arrays; numbers of 32 bits are written as short as they can be."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def _number(value: float) -> object:
    """Return a number as JSON; what JSON has no number for is written as TensorFlow Serving does."""
    if math.isfinite(value):
        return value
    return orjson.Fragment("NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity")


def _text(value: bytes | str, as_bytes: bool) -> Json:
    encoded = value if isinstance(value, bytes) else str(value).encode()
    if not as_bytes:
        try:
            return encoded.decode()
        except UnicodeDecodeError:
            pass
    return {"b64": base64.b64encode(encoded).decode()}


def _nested(flat: list[object], shape: Sequence[int]) -> object:
    if not shape:
        return flat[0]
    for size in reversed(shape[1:]):
        flat = [flat[start : start + size] for start in range(0, len(flat), size)] if size else flat
    return flat
