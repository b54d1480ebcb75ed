"""Elements of `tf.data` pipelines: their size, their shapes, and how they are batched."""

import os

import numpy as np

from kerasdl.data import memory
from kerasdl.data.trees import Tree, map_leaves


def parallel_calls() -> int:
    """Return the number of elements that tf.data makes at a time."""
    return max(2, os.cpu_count() or 2)


def element_bytes(spec, unknown: int) -> int:
    """Return the bytes of an element of a dataset; tensors of unknown length have `unknown` numbers."""
    import tensorflow as tf

    return sum(leaf.dtype.size * (leaf.shape.num_elements() or unknown) for leaf in tf.nest.flatten(spec))


def is_static(spec) -> bool:
    """Tell whether all elements of a dataset have the same shapes."""
    import tensorflow as tf

    return all(leaf.shape.is_fully_defined() for leaf in tf.nest.flatten(spec))


def tensors(trees: tuple[Tree, ...]) -> tuple[Tree, ...]:
    """Turn arrays into tensors where tf.data works; absent weights are left out."""
    return tuple(
        map_leaves(lambda array: memory.to_tensor(np.asarray(array)), tree)
        for tree in trees
        if tree is not None
    )


def batched(dataset, batch_size: int, drop_remainder: bool = False):
    """Batch examples; those of unknown length are padded to the longest of their batch."""
    if is_static(dataset.element_spec):
        return dataset.batch(batch_size, drop_remainder=drop_remainder)
    return dataset.padded_batch(batch_size, drop_remainder=drop_remainder)
