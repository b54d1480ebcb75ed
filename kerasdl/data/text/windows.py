"""Windows over one long sequence of ids: each id is to be predicted from those before it."""

import numpy as np

from kerasdl.data import memory
from kerasdl.data.elements import parallel_calls
from kerasdl.data.order import SHUFFLED, Ordering
from kerasdl.data.splits import ArraySplit, Split
from kerasdl.data.trees import Tree

# Separates the shifts of windows from all other noise with the same seed and epoch.
_SHIFT = 821640323


class WindowSplit(Split):
    """Windows that follow each other in one array of ids, cut out when they are needed.

    Features are the ids of a window, targets those one place further, both (length,) int32. The rest at the
    end, less than a window, is left out. In training all windows of an epoch are shifted by a number of
    places that depends on seed and epoch, so that they begin elsewhere each time.

    Args:
        ids: (num_ids,) array of whole numbers, not to be changed afterwards.
        length: ids of a window, 1 or more, less than `num_ids`.
        ordering: order of training. Defaults to a fresh permutation in each epoch.
    """

    def __init__(self, ids: np.ndarray, length: int, ordering: Ordering = SHUFFLED):
        self.ids, self.length = ids, length
        count = (len(ids) - 1) // length
        super().__init__(ids[1 : 1 + count * length].reshape(count, length), ordering=ordering)

    @property
    def features(self) -> np.ndarray:
        """Features of all windows, (N, length); a view of the ids."""
        return self.ids[: len(self) * self.length].reshape(len(self), self.length)

    def select(self, indices: np.ndarray) -> ArraySplit:
        """Return the windows at `indices`, copied; in training they stay where they are."""
        return self.with_targets(self.targets.astype(np.int32)).select(indices)

    def with_targets(self, targets: Tree) -> ArraySplit:
        """Return the same windows with other targets, copied."""
        return ArraySplit(self.features.astype(np.int32), targets, ordering=self.ordering)

    def training_batches(self, *, batch_size: int, seed: int, start_step: int):
        """Return the training batches; each is one gather."""
        import tensorflow as tf

        indices = self._indices(batch_size, seed)
        steps = self.ordering.steps_per_epoch(len(self), batch_size)
        cut = self._cutter()

        def batch(step):
            key = tf.stack([tf.constant(seed + _SHIFT, tf.int64), step // steps])
            shift = tf.random.stateless_uniform((), key, 0, self.length, tf.int64)
            begun = (indices(step) * self.length + shift) % (len(self.ids) - self.length)
            return cut(tf.ensure_shape(begun, (batch_size,)))

        numbers = tf.data.Dataset.counter(start_step)
        return numbers.map(batch, num_parallel_calls=parallel_calls(), deterministic=True)

    def evaluation_batches(self, *, batch_size: int):
        """Return all windows in their own order."""
        import tensorflow as tf

        cut, count = self._cutter(), len(self)

        def batch(first):
            last = tf.minimum(first + batch_size, count)
            return cut(tf.range(first, last) * self.length)

        starts = tf.data.Dataset.range(0, count, batch_size)
        return starts.map(batch, num_parallel_calls=parallel_calls(), deterministic=True)

    def _cutter(self):
        """Return the function from first places (B,) to features and targets (B, length)."""
        import tensorflow as tf

        ids, places = memory.to_tensor(self.ids), np.arange(self.length + 1)

        def cut(begun):
            window = tf.cast(tf.gather(ids, begun[:, None] + places), tf.int32)  # (B, length + 1)
            return window[:, :-1], window[:, 1:]

        return cut
