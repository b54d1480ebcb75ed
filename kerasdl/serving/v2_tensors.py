"""Tensors of KServe's protocol V2, as both REST and gRPC have them: datatypes, shapes, bytes."""

import math
import struct
from collections.abc import Mapping, Sequence

import numpy as np

from kerasdl.serving.engine import Signature
from kerasdl.serving.json_tensors import Json
from kerasdl.serving.status import invalid

#: Datatypes of the protocol.
TYPES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64", "float16": "FP16",
    "float32": "FP32", "float64": "FP64", "string": "BYTES",
}  # fmt: skip
#: Names that the protocol has for what answers.
PLATFORMS = {"saved_model": "tensorflow_savedmodel", "onnx": "onnxruntime_onnx", "tflite": "tflite"}


def default_signature(signatures: Mapping[str, Signature]) -> str:
    """Return the name of what is called where a request names nothing."""
    return "serving_default" if "serving_default" in signatures else next(iter(signatures))


def described(specs: Mapping) -> list[dict[str, Json]]:
    """Return inputs or outputs as the protocol describes them."""
    return [
        {"name": name, "datatype": TYPES[dtype], "shape": [-1 if size is None else size for size in shape]}
        for name, (shape, dtype) in specs.items()
    ]


def check_input(name: str, shape: Sequence[Json], datatype: Json, signature: Signature, most: int) -> str:
    """Check what a request says of an input; returns its dtype.

    Args:
        name: its name.
        shape: sizes.
        datatype: one of the protocol's.
        signature: what is called.
        most: values that it may have.

    Raises:
        ServingError: when the signature has no such input, or it is malformed.
    """
    if not all(type(size) is int and 0 <= size < 2**31 for size in shape) or math.prod(shape) > most:
        raise invalid(f"The shape of input {name} is not a list of whole numbers from 0 on.")
    if name not in signature.inputs:
        raise invalid(f"unexpected inference input '{name}' for model")
    dtype = signature.inputs[name][1]
    if datatype != TYPES[dtype]:
        raise invalid(f"Input {name} expects datatype {TYPES[dtype]}, but was given {datatype}.")
    return dtype


def shaped(name: str, array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return an array in the shape that a request says.

    Raises:
        ServingError: when it has another number of values.
    """
    if array.size != math.prod(shape):
        raise invalid(
            f"Input {name} has {array.size} values, but its shape {list(shape)} has {math.prod(shape)}."
        )
    return array.reshape(shape)


def from_bytes(name: str, data: bytes, dtype: str) -> np.ndarray:
    """Return the values of an input, flat, of its bytes: little-endian; texts after their lengths.

    Raises:
        ServingError: when they are not whole values.
    """
    if dtype != "string":
        kind = np.dtype(dtype).newbyteorder("<")
        if len(data) % kind.itemsize:
            raise invalid(f"Input {name} has {len(data)} bytes, which are no whole values of {dtype}.")
        return np.frombuffer(data, kind).astype(dtype)
    values, start = [], 0
    while start < len(data):
        (length,) = struct.unpack_from("<I", data, start) if start + 4 <= len(data) else (2**32,)
        if start + 4 + length > len(data):
            raise invalid(f"Input {name} ends within a value.")
        values.append(data[start + 4 : start + 4 + length])
        start += 4 + length
    array = np.empty(len(values), object)
    array[:] = values
    return array


def bytes_of(array: np.ndarray, dtype: str) -> bytes:
    """Return an array's bytes: little-endian; texts after their lengths."""
    if dtype != "string":
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return b"".join(struct.pack("<I", len(value)) + value for value in array.ravel())
