"""Images with the numbers of their classes, from the arrays of an `.npz` file."""

import numpy as np

from kerasdl.data import memory
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.errors import UsageError


def convert(arrays: dict[str, np.ndarray]) -> DataSpec:
    """Turn images into uint8 (N, H, W, C) and labels into int32 (N,), by one rule for all of them.

    Args:
        arrays: arrays by name, x_train and y_train among them; they are replaced one by one, so that a large
            one is never held twice.

    Raises:
        UsageError: when they are no images and class numbers.
    """
    for key in arrays:
        arrays[key] = _shaped(key, arrays[key]) if key.startswith("x") else _class_numbers(key, arrays[key])
    shape = arrays["x_train"].shape[1:]
    unit = _is_unit("x_train", arrays["x_train"])
    for key in (key for key in arrays if key.startswith("x")):
        if arrays[key].shape[1:] != shape:
            raise UsageError(
                f"Images of x_train are {shape} (height, width, channels), those of {key} "
                f"{arrays[key].shape[1:]}. All images have to have one shape."
            )
        if _is_unit(key, arrays[key]) != unit:
            raise UsageError(
                f"x_train and {key} have different ranges: one is 0..1, the other 0..255. Store both alike."
            )
    count = _num_classes({key: array for key, array in arrays.items() if key.startswith("y")})
    for key in (key for key in arrays if key.startswith("x")):
        if arrays[key].dtype != np.uint8 or not arrays[key].flags.c_contiguous:
            arrays[key] = memory.convert(arrays[key], np.uint8, _from_unit if unit else np.round)
    return DataSpec(Spec(shape, "uint8"), Spec((), "int32", tuple(map(str, range(count)))))


def _from_unit(pixels: np.ndarray) -> np.ndarray:
    return np.round(pixels * 255)


def _shaped(key: str, array: np.ndarray) -> np.ndarray:
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4:
        raise UsageError(
            f"{key} has the shape {array.shape}, but images are (N, height, width) or "
            "(N, height, width, channels)."
        )
    if array.shape[-1] not in (1, 3):
        hint = " Move the channels to the end: np.moveaxis(x, 1, -1)." if array.shape[1] in (1, 3) else ""
        raise UsageError(
            f"{key} has the shape {array.shape}, that is {array.shape[-1]} channels, but an image has 1 "
            f"(grey) or 3 (RGB), on the last axis.{hint}"
        )
    return array


def _is_unit(key: str, array: np.ndarray) -> bool:
    """Check the range of pixels, and tell whether it is 0..1."""
    if array.dtype.kind not in "uif":
        raise UsageError(f"{key} has the dtype {array.dtype}, but pixels are whole numbers or floats.")
    low, high = array.min(), array.max()
    if not np.isfinite([low, high]).all():
        raise UsageError(f"{key} holds NaN or infinite pixels. Store 0..255, or floats 0..1.")
    if low < 0 or high > 255:
        raise UsageError(
            f"Pixels of {key} go from {low:g} to {high:g}, but they have to lie in 0..255, or 0..1 as "
            "floats. Store the raw pixels: standardising is part of the model."
        )
    return array.dtype.kind == "f" and bool(high <= 1)


def _class_numbers(key: str, array: np.ndarray) -> np.ndarray:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise UsageError(
            f"{key} has the shape {array.shape}, but labels are class numbers of shape (N,). One-hot labels "
            "become class numbers with np.argmax(y, axis=1)."
        )
    if array.dtype.kind not in "ui":
        raise UsageError(
            f"{key} has the dtype {array.dtype}, but labels are whole numbers from 0 on. For "
            "regression, where targets are any numbers, give --targets numbers."
        )
    if array.min() < 0 or array.max() >= 2**31:
        raise UsageError(f"{key} goes from {array.min()} to {array.max()}, but labels count from 0 on.")
    return array.astype(np.int32)


def _num_classes(labels: dict[str, np.ndarray]) -> int:
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
