"""Examples of several inputs, from arrays `x_train_NAME` of an `.npz` file."""

import numpy as np

from kerasdl.data.dataset import Spec
from kerasdl.data.labelled.assemble import digest
from kerasdl.data.trees import Tree


def names_in(keys) -> tuple[str, ...]:
    """Return the names of several inputs among the arrays of a file; none where there is one input."""
    return tuple(key.removeprefix("x_train_") for key in keys if key.startswith("x_train_"))


def joined(arrays: dict[str, np.ndarray], suffix: str) -> Tree:
    """Return the features of a split: one array, or arrays by name."""
    if (single := arrays.get(f"x_{suffix}")) is not None:
        return single
    begin = f"x_{suffix}_"
    return {key.removeprefix(begin): array for key, array in arrays.items() if key.startswith(begin)}


def spec_of(array: np.ndarray) -> Spec:
    """Return the spec of one input."""
    return Spec(array.shape[1:], "string" if array.dtype.kind in "US" else array.dtype.name)


def digests(features: Tree) -> np.ndarray:
    """Return the SHA-256 of each example, (N, 32) uint8; of several inputs that of theirs."""
    if not isinstance(features, dict):
        return digest(features)
    return digest(np.concatenate([digest(features[name]) for name in sorted(features)], axis=1))
