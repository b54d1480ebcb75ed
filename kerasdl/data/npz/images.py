"""Images with the numbers of their classes, from the arrays of an `.npz` file."""

import math

import numpy as np

from kerasdl.data import memory
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.data.npz import ranges
from kerasdl.errors import UsageError


def convert(arrays: dict[str, np.ndarray], white: float | None) -> tuple[DataSpec, tuple[str, ...]]:
    """Turn images into uint8 (N, H, W, C) and labels into int32 (N,), by one rule for all of them.

    Args:
        arrays: arrays by name, x_train and y_train among them; they are replaced one by one, so that a large
            one is never held twice.
        white: value of a white pixel; None where it is to be found (`ranges.find_white`).

    Returns:
        The spec of the examples, and sentences about their range.

    Raises:
        UsageError: when they are no images and class numbers.
    """
    for key in arrays:
        arrays[key] = _shaped(key, arrays[key]) if key.startswith("x") else class_numbers(key, arrays[key])
    shape = arrays["x_train"].shape[1:]
    images = {key: array for key, array in arrays.items() if key.startswith("x")}
    for key, array in images.items():
        if array.shape[1:] != shape:
            raise UsageError(
                f"Images of x_train are {shape} (height, width, channels), those of {key} "
                f"{array.shape[1:]}. All images have to have one shape."
            )
    white, notes = ranges.find_white(images, white)
    count = num_classes({key: array for key, array in arrays.items() if key.startswith("y")})
    names = tuple(images)
    del images, array
    for key in names:
        if arrays[key].dtype != np.uint8 or white != 255 or not arrays[key].flags.c_contiguous:
            arrays[key] = memory.convert(arrays[key], np.uint8, ranges.to_bytes(white))
    return DataSpec(Spec(shape, "uint8"), Spec((), "int32", tuple(map(str, range(count))))), notes


def _shaped(key: str, array: np.ndarray) -> np.ndarray:
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4:
        raise UsageError(
            f"{key} has the shape {array.shape}, but images are (N, height, width) or "
            f"(N, height, width, channels).{_flat_advice(array.shape)} For numbers that are not pixels, give "
            "--features numbers."
        )
    if array.shape[-1] not in (1, 3):
        hint = " Move the channels to the end: np.moveaxis(x, 1, -1)." if array.shape[1] in (1, 3) else ""
        raise UsageError(
            f"{key} has the shape {array.shape}, that is {array.shape[-1]} channels, but an image has 1 "
            f"(grey) or 3 (RGB), on the last axis.{hint}"
        )
    return array


def _flat_advice(shape: tuple[int, ...]) -> str:
    """Return how flat rows become images, where they can be square ones."""
    if len(shape) != 2:
        return ""
    for channels, call in (
        (1, "x.reshape(-1, {0}, {0})"),
        (3, "x.reshape(-1, 3, {0}, {0}).transpose(0, 2, 3, 1)"),
    ):
        side = math.isqrt(shape[1] // channels)
        if side > 1 and side * side * channels == shape[1]:
            rows = ", if rows hold all reds, then all greens, then all blues as those of CIFAR" * (
                channels == 3
            )
            return f" Flat rows become images with {call.format(side)}{rows}."
    return ""


def class_numbers(key: str, array: np.ndarray) -> np.ndarray:
    """Return labels as int32 (N,).

    Raises:
        UsageError: when they are no whole numbers from 0 on.
    """
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise UsageError(
            f"{key} has the shape {array.shape}, but labels are class numbers of shape (N,). One-hot labels "
            "become class numbers with np.argmax(y, axis=1)."
        )
    if array.dtype.kind not in "ui":
        how = {"b": "y.astype(int)", "f": "y.astype(int)"}.get(
            array.dtype.kind, "names, y = np.unique(y, return_inverse=True)"
        )
        regression = " For regression, where targets are any numbers, give --targets numbers."
        raise UsageError(
            f"{key} has the dtype {array.dtype}, but labels are whole numbers from 0 on. Convert them: {how}."
            + regression * (array.dtype.kind == "f")
        )
    if array.min() < 0 or array.max() >= 2**31:
        raise UsageError(f"{key} goes from {array.min()} to {array.max()}, but labels count from 0 on.")
    return array.astype(np.int32)


def num_classes(labels: dict[str, np.ndarray]) -> int:
    """Return the number of classes.

    Raises:
        UsageError: when there is one only, a gap, or a label that training does not have.
    """
    classes = np.unique(labels["y_train"])
    if len(classes) == 1:
        raise UsageError(f"y_train has one class only ({classes[0]}); there is nothing to tell apart.")
    if classes[-1] != len(classes) - 1:
        gap = int(np.setdiff1d(np.arange(len(classes)), classes)[0])
        raise UsageError(
            f"y_train has {len(classes)} classes, up to {classes[-1]}, but none of class {gap}. Labels have "
            f"to be 0 to {len(classes) - 1} without a gap: np.unique(y, return_inverse=True)[1]."
        )
    for key, array in labels.items():
        if array.max() >= len(classes):
            raise UsageError(
                f"{key} has the label {array.max()}, out of range: the classes of y_train are 0 to "
                f"{classes[-1]}."
            )
    return len(classes)
