"""Sequences of different lengths in memory, and batches of sequences that are about as long."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from kerasdl.data.elements import parallel_calls
from kerasdl.data.order import Ordering, Shuffled
from kerasdl.data.splits import Split
from kerasdl.data.trees import Tree, map_leaves

# Separates the order of batches from all other noise with the same seed and step.
_BATCHES = 771034211
_BUCKET_BATCHES = 50  # whose sequences are sorted by length: beyond it little padding is saved


@dataclasses.dataclass(frozen=True, eq=False)
class Bucketed(Ordering):
    """A fresh permutation in each epoch, in batches of about equal length.

    The permutation's next 50 batches are sorted by length, divided, and taken in random order, so that there
    is little padding, and yet each example may meet almost any other.

    Attributes:
        lengths: length of each sequence, (N,) integers.
    """

    lengths: np.ndarray

    def indices(self, step, *, count: int, batch_size: int, seed: int):
        """Return the indices of the batch of one step."""
        import tensorflow as tf

        steps = self.steps_per_epoch(count, batch_size)
        epoch, place = step // steps, step % steps
        first = place // _BUCKET_BATCHES * _BUCKET_BATCHES
        size = tf.minimum(tf.constant(_BUCKET_BATCHES, tf.int64), steps - first)
        numbers = epoch * steps + first + tf.range(size)
        options = {"count": count, "batch_size": batch_size, "seed": seed}
        members = tf.reshape(Shuffled().indices(numbers, **options), (-1,))
        by_length = tf.argsort(tf.gather(tf.constant(self.lengths, tf.int32), members), stable=True)
        key = tf.stack([tf.constant(_BATCHES, tf.int64), tf.constant(seed, tf.int64), epoch * steps + first])
        batch = tf.raw_ops.RandomIndexShuffle(index=place - first, seed=key, max_index=size - 1, rounds=4)
        chosen = tf.gather(members, by_length[batch * batch_size : (batch + 1) * batch_size])
        return tf.ensure_shape(chosen, (batch_size,))

    def select(self, indices: np.ndarray) -> "Bucketed":
        return Bucketed(self.lengths[indices])


class RaggedSplit(Split):
    """Sequences of different lengths in memory; each batch is padded with 0 to its longest.

    Args:
        rows: one array (length, ...) for each example, all of one dtype.
        targets: arrays (N, ...).
        weights: sample weights (N,). Defaults to None: all examples count the same.
    """

    def __init__(self, rows: Sequence[np.ndarray], targets: Tree, weights: Tree = None):
        lengths = np.array([len(row) for row in rows], np.int32)
        super().__init__(targets, weights, Bucketed(lengths))
        self._rows = rows

    def select(self, indices: np.ndarray) -> "RaggedSplit":
        """Return the split of only the examples at `indices`."""
        fields = self._selected(indices)
        rows = [self._rows[index] for index in indices]
        return RaggedSplit(rows, fields["targets"], fields["weights"])

    def with_targets(self, targets: Tree) -> "RaggedSplit":
        """Return a split of the same sequences with other targets."""
        return RaggedSplit(self._rows, targets, self.weights)

    def by_length(self) -> "RaggedSplit":
        """Return the same examples in the order of their lengths, which batches without padding have."""
        return self.select(np.argsort(self.ordering.lengths, kind="stable"))

    def training_batches(self, *, batch_size: int, seed: int, start_step: int):
        """Return the training batches."""
        import tensorflow as tf

        return self._gathered(tf.data.Dataset.counter(start_step).map(self._indices(batch_size, seed)))

    def evaluation_batches(self, *, batch_size: int):
        """Return all examples in their own order."""
        import tensorflow as tf

        starts = tf.data.Dataset.range(0, len(self), batch_size)
        return self._gathered(
            starts.map(lambda start: tf.range(start, tf.minimum(start + batch_size, len(self))))
        )

    def _gathered(self, indices):
        import tensorflow as tf

        with tf.device("CPU:0"):
            lengths = self.ordering.lengths
            ragged = tf.RaggedTensor.from_row_lengths(np.concatenate(self._rows), lengths)
            others = [
                map_leaves(tf.constant, tree) for tree in (self.targets, self.weights) if tree is not None
            ]

        def batch(index):
            gathered = tf.nest.map_structure(lambda array: tf.gather(array, index), tuple(others))
            features = tf.gather(ragged, index).to_tensor(0)
            return features, *gathered

        return indices.map(batch, num_parallel_calls=parallel_calls(), deterministic=True)
