"""Arrays and TensorFlow's `TensorProto`; what a signature takes."""

import math
from collections.abc import Mapping

import numpy as np
from tensorflow.core.framework import tensor_pb2

from kerasdl.inference.predictor import InputSpec
from kerasdl.serving.engine import enum_of, name_of
from kerasdl.serving.status import invalid

#: Field of a `TensorProto` that holds values of a dtype.
_FIELDS = {
    "float32": "float_val", "float64": "double_val", "int64": "int64_val", "uint32": "uint32_val",
    "uint64": "uint64_val", "bool": "bool_val", "int32": "int_val", "int16": "int_val", "int8": "int_val",
    "uint8": "int_val", "uint16": "int_val",
}  # fmt: skip


def array_of_proto(proto: tensor_pb2.TensorProto, most_bytes: int) -> np.ndarray:
    """Return the array of a `TensorProto`.

    Args:
        proto: the tensor; one value may stand for all.
        most_bytes: bytes that the array may take.

    Raises:
        ServingError: when it is malformed or too large.
    """
    import tensorflow as tf

    shape = [dim.size for dim in proto.tensor_shape.dim]
    try:
        dtype = tf.as_dtype(proto.dtype)
        size = 1 if dtype == tf.string else dtype.size
    except TypeError:
        raise invalid(f"Unsupported tensor type: {proto.dtype}") from None
    if min(shape, default=0) < 0 or proto.tensor_shape.unknown_rank or math.prod(shape) * size > most_bytes:
        raise invalid(f"Tensor of shape {shape} is not allowed: at most {most_bytes} bytes.")
    try:
        return tf.make_ndarray(proto)
    except (TypeError, ValueError, KeyError) as error:
        raise invalid(f"Tensor proto has no valid values for its shape {shape}: {error}") from None


def proto_of_array(array: np.ndarray, dtype: str) -> tensor_pb2.TensorProto:
    """Return an array as a `TensorProto`, its values in the field of their type."""
    import tensorflow as tf

    if (field := _FIELDS.get(dtype)) is None:
        return tf.make_tensor_proto(array)
    proto = tensor_pb2.TensorProto(dtype=enum_of(dtype))
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, field).extend(array.ravel().tolist())
    return proto


def check(inputs: Mapping[str, np.ndarray], specs: Mapping[str, InputSpec]) -> None:
    """Check arrays against the inputs of a signature.

    Raises:
        ServingError: for a missing or further input, another dtype or shape.
    """
    if inputs.keys() != specs.keys():
        given, wanted = set(inputs), set(specs)
        raise invalid(
            f"input size does not match signature: {len(given)}!={len(wanted)} len({{{_joined(given)}}}) != "
            f"len({{{_joined(wanted)}}}). Sent extra: {{{_joined(given - wanted)}}}. Missing but required: "
            f"{{{_joined(wanted - given)}}}."
        )
    sizes = set()
    for name, (shape, dtype) in specs.items():
        array = inputs[name]
        given = "string" if array.dtype.kind in "OSU" else array.dtype.name
        if given != dtype:
            expected, got = name_of(enum_of(dtype)), name_of(enum_of(given))
            raise invalid(f"Input {name} expects type {expected}, but was given {got}.")
        fits = array.ndim == len(shape) and all(
            wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
        )
        if not fits:
            open_shape = [-1 if size is None else size for size in shape]
            raise invalid(f"Input {name} has shape {open_shape}, but was given {list(array.shape)}.")
        if shape[:1] == (None,):
            sizes.add(array.shape[0])
    if len(sizes) > 1:
        raise invalid("Batching session Run() input tensors must have equal 0th-dimension size")
    if 0 in sizes:
        raise invalid("The request holds no example: the first dimension of its inputs is 0.")


def _joined(names: set[str]) -> str:
    return ",".join(sorted(names))
