"""Weights of classes in the loss."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from kerasdl.data.dataset import Dataset
from kerasdl.data.trees import Tree
from kerasdl.errors import UsageError


def of_classes(wanted: Literal["balanced"] | Sequence[float] | None, data: Dataset) -> np.ndarray | None:
    """Return the weight of each class, (num_classes,) float32; None where all are 1.

    Args:
        wanted: "balanced" for the inverse frequency, or one number a class.
        data: the data that is trained on.

    Raises:
        UsageError: when there is not one weight for each class.
    """
    num_classes = len(data.spec.class_names)
    if wanted is None:
        return None
    if wanted == "balanced":
        counts = np.bincount(data.train.targets, minlength=num_classes)
        return (len(data.train) / (num_classes * np.maximum(counts, 1))).astype(np.float32)
    if len(wanted) != num_classes:
        raise UsageError(
            f"class_weights has {len(wanted)} numbers, the data {num_classes} classes. "
            "Give one number for each class."
        )
    return np.array(wanted, np.float32)


def of_labels(of_class: np.ndarray, labels: Tree) -> Tree:
    """Return the weight of each label (...), or of mixed labels (..., 3), see `losses`, the mean by share."""
    import tensorflow as tf

    if labels.dtype.is_integer:
        return tf.gather(of_class, labels)
    first, second, share = tf.unstack(labels, axis=-1)
    first, second = (tf.gather(of_class, tf.cast(index, tf.int32)) for index in (first, second))
    return share * first + (1 - share) * second
