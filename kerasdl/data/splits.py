"""Splits: fixed, ordered sets of examples that turn indices into batches."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kerasdl.data import memory
from kerasdl.data.elements import parallel_calls, tensors
from kerasdl.data.order import SHUFFLED, Ordering
from kerasdl.data.trees import Tree, leaves, map_leaves


class Split:
    """A fixed, ordered set of examples. Example `i` is the same one in every process.

    Args:
        targets: arrays (N, ...) to be predicted; they always lie in memory.
        weights: sample weights (N,), by name where the targets have names. Defaults to None: all examples
            count the same.
        ordering: order of training. Defaults to a fresh permutation in each epoch.
    """

    def __init__(self, targets: Tree, weights: Tree = None, ordering: Ordering = SHUFFLED):
        self.targets = targets
        self.weights = weights
        self.ordering = ordering

    def __len__(self) -> int:
        return len(leaves(self.targets)[0])

    @property
    def bytes_in_memory(self) -> int | None:
        """Bytes of an example's features; None where they differ, or are read when they are needed."""
        return None

    def select(self, indices: np.ndarray) -> "Split":
        """Return the split of only the examples at `indices` (ascending)."""
        raise NotImplementedError(f"{type(self).__name__} defines no select().")

    def with_targets(self, targets: Tree) -> "Split":
        """Return a split of the same examples with other targets."""
        raise NotImplementedError(f"{type(self).__name__} defines no with_targets().")

    def training_batches(self, *, batch_size: int, seed: int, start_step: int):
        """Return the endless `tf.data.Dataset` of full training batches from step `start_step` on.

        Its elements are (features, targets), or (features, targets, weights) where there are weights.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no training_batches().")

    def training_blocks(self, *, batch_size: int, seed: int, start_step: int, block_steps: int):
        """Return the training batches, `block_steps` of them stacked in one element."""
        batches = self.training_batches(batch_size=batch_size, seed=seed, start_step=start_step)
        return batches.batch(block_steps, drop_remainder=True)

    def evaluation_batches(self, *, batch_size: int):
        """Return the `tf.data.Dataset` of all examples in their own order, the rest as a last batch."""
        raise NotImplementedError(f"{type(self).__name__} defines no evaluation_batches().")

    def _indices(self, batch_size: int, seed: int):
        """Return the function from steps to the indices of their examples."""
        return lambda step: self.ordering.indices(step, count=len(self), batch_size=batch_size, seed=seed)

    def _selected(self, indices: np.ndarray) -> dict[str, Any]:
        """Return the fields of a selection that all splits have."""

        def rows(array):
            return np.asarray(array)[indices]

        weights = None if self.weights is None else map_leaves(rows, self.weights)
        ordering = self.ordering.select(indices)
        return {"targets": map_leaves(rows, self.targets), "weights": weights, "ordering": ordering}


class ArraySplit(Split):
    """Examples that lie in memory, in any dtype; texts as arrays of str or bytes.

    Args:
        features: arrays (N, ...), not to be changed afterwards.
        targets: arrays (N, ...).
        weights: sample weights (N,). Defaults to None: all examples count the same.
        ordering: order of training. Defaults to a fresh permutation in each epoch.
        rows: indices of the examples among those of `features`. Defaults to None: all of them.
    """

    def __init__(
        self,
        features: Tree,
        targets: Tree,
        weights: Tree = None,
        *,
        ordering: Ordering = SHUFFLED,
        rows: np.ndarray | None = None,
    ):
        super().__init__(targets, weights, ordering)
        self._arrays = features
        self._rows = rows

    @property
    def features(self) -> Tree:
        """Features of all examples, (N, ...); a copy where they are a selection."""
        return self.part(slice(None))[0]

    def part(self, places: slice) -> tuple[Tree, Tree, Tree]:
        """Return features, targets and weights of consecutive examples, views where that is possible."""
        rows = places if self._rows is None else self._rows[places]
        weights = None if self.weights is None else map_leaves(lambda array: array[places], self.weights)
        features = map_leaves(lambda array: array[rows], self._arrays)
        return features, map_leaves(lambda array: array[places], self.targets), weights

    @property
    def bytes_in_memory(self) -> int | None:
        """Bytes of an example's features; None for texts, which have different lengths."""
        if any(array.dtype.hasobject for array in leaves(self._arrays)):
            return None
        return max(1, sum(array[:1].nbytes for array in leaves(self._arrays)))

    def select(self, indices: np.ndarray) -> "ArraySplit":
        """Return the split of only the examples at `indices`; of more than half without a copy."""
        rows = indices if self._rows is None else self._rows[indices]
        fields, arrays = self._selected(indices), self._arrays
        if 2 * len(rows) < len(leaves(arrays)[0]):
            arrays, rows = map_leaves(lambda array: memory.take(array, rows), arrays), None
        return ArraySplit(arrays, **fields, rows=rows)

    def with_targets(self, targets: Tree) -> "ArraySplit":
        """Return a split of the same examples with other targets."""
        return ArraySplit(self._arrays, targets, self.weights, ordering=self.ordering, rows=self._rows)

    def training_batches(self, *, batch_size: int, seed: int, start_step: int):
        """Return the training batches; each is one gather, a third of the cost of single examples."""
        import tensorflow as tf

        return self._gathered(tf.data.Dataset.counter(start_step), self._indices(batch_size, seed))

    def training_blocks(self, *, batch_size: int, seed: int, start_step: int, block_steps: int):
        """Return the training batches, `block_steps` of them stacked by one gather."""
        import tensorflow as tf

        indices = self._indices(batch_size, seed)
        return self._gathered(
            tf.data.Dataset.counter(start_step, block_steps),
            lambda first: indices(first + tf.range(block_steps, dtype=tf.int64)),
        )

    def evaluation_batches(self, *, batch_size: int):
        """Return all examples in their own order."""
        import tensorflow as tf

        starts = tf.data.Dataset.range(0, len(self), batch_size)
        if self._rows is not None:
            return self._gathered(
                starts, lambda start: tf.range(start, tf.minimum(start + batch_size, len(self)))
            )
        arrays = tensors((self._arrays, self.targets, self.weights))
        return starts.map(
            lambda start: tf.nest.map_structure(lambda array: array[start : start + batch_size], arrays),
            num_parallel_calls=parallel_calls(),
            deterministic=True,
        )

    def _gathered(self, numbers, indices_of: Callable[[Any], Any]):
        import tensorflow as tf

        features, *others = tensors((self._arrays, self.targets, self.weights))
        rows = None if self._rows is None else tensors((self._rows,))[0]

        def batch(number):
            index = indices_of(number)
            place = index if rows is None else tf.gather(rows, index)
            gathered = tf.nest.map_structure(lambda array: tf.gather(array, index), tuple(others))
            return tf.nest.map_structure(lambda array: tf.gather(array, place), features), *gathered

        return numbers.map(batch, num_parallel_calls=parallel_calls(), deterministic=True)
