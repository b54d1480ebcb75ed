"""Memory that NumPy and TensorFlow share, so that a data set lies in memory once."""

from collections.abc import Sequence
from typing import Any

import numpy as np

#: TensorFlow aborts the process when it reads memory that begins elsewhere.
_ALIGNMENT = 64
#: Elements that are converted at once.
_PIECE = 2**22


def empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Return an array without content that TensorFlow can take over without a copy."""
    dtype = np.dtype(dtype)
    num_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = np.empty(num_bytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + num_bytes].view(dtype).reshape(shape)


def take(array: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return a copy of some examples of an array."""
    if array.dtype.hasobject:
        return array[indices]
    # "clip" (the indices are valid) since NumPy's checked way makes another copy.
    return np.take(
        array, indices, axis=0, out=empty((len(indices), *array.shape[1:]), array.dtype), mode="clip"
    )


def convert(array: np.ndarray, dtype: Any, function=None) -> np.ndarray:
    """Return an array in another dtype, converted piece by piece.

    Args:
        array: (N, ...) array.
        dtype: dtype of the result.
        function: applied to each piece before. Defaults to None: nothing is.
    """
    result = empty(array.shape, dtype)
    rows = max(1, _PIECE // max(1, array[:1].size))
    for start in range(0, len(array), rows):
        piece = array[start : start + rows]
        result[start : start + rows] = piece if function is None else function(piece)
    return result


def to_tensor(array: np.ndarray):
    """Return an array as a TensorFlow tensor in the machine's own memory; the same memory where possible.

    The array must not be changed afterwards.
    """
    import tensorflow as tf

    shareable = array.dtype.kind in "biuf" and array.dtype.isnative and array.flags.carray and array.size
    if shareable and array.ctypes.data % _ALIGNMENT == 0:
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    # Elsewhere tensors would go to the GPU, and come back in each step.
    with tf.device("CPU:0"):
        return tf.convert_to_tensor(array)
