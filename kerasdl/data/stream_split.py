"""Examples that can only be read in order."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kerasdl.data import memory
from kerasdl.data.elements import batched, element_bytes, tensors
from kerasdl.data.splits import Split
from kerasdl.data.trees import Tree, map_leaves

# Memory that shuffling a stream may take, in bytes of examples.
_SHUFFLE_BYTES = 2**28


class StreamSplit(Split):
    """Examples that can only be read in order, from the first on; training shuffles within bounded memory.

    Args:
        open: returns a fresh `tf.data.Dataset` of (features, targets), or (features, targets, weights), of
            one example each, always in the same order.
        targets: arrays (N, ...), the same as in the stream.
        weights: sample weights (N,), the same as in the stream. Defaults to None.
    """

    def __init__(self, open: Callable[[], Any], targets: Tree, weights: Tree = None):
        super().__init__(targets, weights)
        self.open = open

    def select(self, indices: np.ndarray) -> "StreamSplit":
        """Return the split of only the examples at `indices`; the others are read and left out."""
        kept = np.zeros(len(self), bool)
        kept[indices] = True
        fields = self._selected(indices)
        return StreamSplit(lambda: _filtered(self.open(), kept), fields["targets"], fields["weights"])

    def with_targets(self, targets: Tree) -> "StreamSplit":
        """Return a split of the same stream with other targets."""
        return StreamSplit(lambda: _replaced(self.open(), targets), targets, self.weights)

    def training_batches(self, *, batch_size: int, seed: int, start_step: int):
        """Return the training batches. The steps of an epoch before `start_step` are read again."""
        import tensorflow as tf

        dataset, steps = self.open(), self.ordering.steps_per_epoch(len(self), batch_size)
        num_bytes = element_bytes(dataset.element_spec, unknown=2**16)
        buffer_size = int(np.clip(_SHUFFLE_BYTES // num_bytes, batch_size, len(self)))

        def epoch_batches(epoch):
            # Dataset.shuffle mixes in tf.random.set_seed, which is not ours: pin it for this function alone
            # (to anything but 0, which Dataset.shuffle takes for "not set").
            tf.compat.v1.set_random_seed(seed + 1)
            shuffled = dataset.shuffle(buffer_size, seed=epoch, reshuffle_each_iteration=False)
            return batched(shuffled, batch_size, drop_remainder=True).take(steps)

        epochs = tf.data.Dataset.counter(start_step // steps)
        return epochs.flat_map(epoch_batches).skip(start_step % steps)

    def evaluation_batches(self, *, batch_size: int):
        """Return all examples in their own order."""
        return batched(self.open(), batch_size)


def _filtered(dataset, kept: np.ndarray):
    kept = memory.to_tensor(kept)
    return dataset.enumerate().filter(lambda index, _: kept[index]).map(lambda _, example: example)


def _replaced(dataset, targets: Tree):
    (targets,) = tensors((targets,))

    def replace(index, example):
        features, _, *weights = example
        return features, map_leaves(lambda array: array[index], targets), *weights

    return dataset.enumerate().map(replace)
