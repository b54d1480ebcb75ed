"""Any features with targets that are numbers, from the arrays of an `.npz` file."""

from collections.abc import Callable, Mapping

import numpy as np

from kerasdl.data import memory
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.data.npz import inputs
from kerasdl.data.trees import map_leaves
from kerasdl.errors import UsageError


def are_targets(arrays: Mapping[str, np.ndarray]) -> bool:
    """Tell whether targets are numbers to be predicted: floats that are no class numbers and not one-hot."""
    targets = [array for key, array in arrays.items() if key.startswith("y")]
    train = arrays["y_train"]
    if any(array.dtype.kind != "f" for array in targets) or train.ndim > 2:
        return False
    if train.ndim == 2 and train.shape[1] > 1:
        return not (np.isin(train, (0, 1)).all() and (train.sum(axis=1) == 1).all())
    return not (train == np.round(train)).all()


def convert(
    arrays: dict[str, np.ndarray], labels: Callable[[str, np.ndarray], np.ndarray] | None = None
) -> DataSpec:
    """Turn targets and float features into float32; other features keep their dtype.

    Args:
        arrays: arrays by name, x_train and y_train among them; they are replaced one by one, so that a large
            one is never held twice.
        labels: converts targets that are numbers of classes. Defaults to None: they are to be predicted.

    Raises:
        UsageError: when features or targets are of different shapes or dtypes, or not finite.
    """
    for key in arrays:
        converted = (labels or _targets) if key.startswith("y") else _features
        arrays[key] = converted(key, arrays[key])
    for key, array in arrays.items():
        reference = "_".join([key[0], "train", *key.split("_", 2)[2:]])
        if array.shape[1:] != arrays[reference].shape[1:] or array.dtype.kind != arrays[reference].dtype.kind:
            raise UsageError(
                f"{reference} has examples {arrays[reference].shape[1:]} of {arrays[reference].dtype}, {key} "
                f"{array.shape[1:]} of {array.dtype}. All examples have to have one shape and dtype."
            )
    targets = arrays["y_train"]
    specs = map_leaves(inputs.spec_of, inputs.joined(arrays, "train"))
    return DataSpec(specs, Spec(targets.shape[1:], targets.dtype.name))


def _targets(key: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "uif" or array.ndim > 2:
        raise UsageError(
            f"{key} has the shape {array.shape} and the dtype {array.dtype}, but targets are numbers of "
            "shape (N,) or (N, K)."
        )
    _check_finite(key, array)
    return np.ascontiguousarray(array, np.float32)


def _features(key: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "buifUS":
        raise UsageError(
            f"{key} has the dtype {array.dtype}, but features are numbers, truth values or texts. Convert it."
        )
    _check_finite(key, array)
    dtype = np.dtype(np.float32) if array.dtype.kind == "f" else array.dtype.newbyteorder("=")
    if array.dtype == dtype and array.flags.c_contiguous:
        return array
    return memory.convert(array, dtype)


def _check_finite(key: str, array: np.ndarray) -> None:
    if array.dtype.kind == "f" and not np.isfinite([array.min(), array.max()]).all():
        raise UsageError(f"{key} holds NaN or infinite values. Replace them or leave their examples out.")
