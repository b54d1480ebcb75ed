"""Orders of training data: pure functions from seed and step to the indices of a batch.

Nothing is remembered between steps, so that an interrupted run resumes at any step with the batches it would
have had, on any number of replicas.
"""

import dataclasses
from typing import ClassVar

import numpy as np

# Separates permutations from all other noise with the same seed and step.
_PERMUTATION = 498247692


@dataclasses.dataclass(frozen=True)
class Ordering:
    """The order in which training goes through the examples of a split."""

    #: Whether each example of a batch continues the one at its place in the batch before.
    continues: ClassVar[bool] = False

    def steps_per_epoch(self, count: int, batch_size: int) -> int:
        """Return the number of batches in an epoch of `count` examples."""
        # Only full batches: a replica whose part of the last batch is empty would get NaN from batch
        # normalisation; and static shapes compile once.
        return count // batch_size

    def indices(self, step, *, count: int, batch_size: int, seed: int):
        """Return the indices of the examples in the batches of some steps.

        Args:
            step: int64 tensor, one step of the run () or several (S,).
            count: number of examples.
            batch_size: examples per step.
            seed: seed of the run.

        Returns:
            int64 tensor, (batch_size,) or (S, batch_size).
        """
        raise NotImplementedError(f"{type(self).__name__} defines no indices().")

    def select(self, indices: np.ndarray) -> "Ordering":
        """Return the order of only the examples at `indices`."""
        return self


@dataclasses.dataclass(frozen=True)
class Shuffled(Ordering):
    """A fresh permutation of all examples in each epoch; its rest, less than a batch, is left out."""

    def indices(self, step, *, count: int, batch_size: int, seed: int):
        """Return places `step % steps * batch_size ...` of the permutation of epoch `step // steps`."""
        import tensorflow as tf

        static = (*step.shape, batch_size)
        shape = tf.concat([tf.shape(step), [batch_size]], 0)
        place = tf.reshape(tf.broadcast_to(tf.range(batch_size, dtype=tf.int64), shape), (-1,))
        step = tf.reshape(tf.broadcast_to(step[..., None], shape), (-1,))
        steps = self.steps_per_epoch(count, batch_size)
        constants = [tf.fill(tf.shape(step), tf.constant(part, tf.int64)) for part in (_PERMUTATION, seed)]
        # The operator itself, since `tf.random.experimental.index_shuffle` pads a vector of seeds along the
        # wrong axis (TensorFlow 2.21); the constant and the rounds are those of that function.
        index = tf.raw_ops.RandomIndexShuffle(
            index=step % steps * batch_size + place,
            seed=tf.stack([*constants, step // steps], axis=-1),
            max_index=count - 1,
            rounds=4,
        )
        return tf.ensure_shape(tf.reshape(index, shape), static)


#: The order of training where none is given.
SHUFFLED = Shuffled()


@dataclasses.dataclass(frozen=True)
class Contiguous(Ordering):
    """Each place of the batch goes through a part of its own from the first example to the last.

    For examples that continue each other, such as windows of one text. The rest of a part is left out.
    """

    continues: ClassVar[bool] = True

    def indices(self, step, *, count: int, batch_size: int, seed: int):
        """Return example `step % steps` of each of the `batch_size` parts."""
        import tensorflow as tf

        steps = self.steps_per_epoch(count, batch_size)
        places = tf.range(batch_size, dtype=tf.int64) * steps
        return places + (step % steps)[..., None]

    def select(self, indices: np.ndarray) -> Ordering:
        """Return a shuffled order: what is left does not continue each other."""
        return Shuffled()
