"""Examples that lie one to a file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.elements import batched, parallel_calls, tensors
from kerasdl.data.order import SHUFFLED, Ordering
from kerasdl.data.splits import Split
from kerasdl.data.trees import Tree


class FileSplit(Split):
    """Examples that lie one to a file and are read when they are needed.

    Args:
        paths: the files.
        targets: arrays (N, ...).
        read: TensorFlow function from a scalar path to the features of one example.
        weights: sample weights (N,). Defaults to None: all examples count the same.
        ordering: order of training. Defaults to a fresh permutation in each epoch.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        targets: Tree,
        read: Callable[[Any], Tree],
        weights: Tree = None,
        *,
        ordering: Ordering = SHUFFLED,
    ):
        super().__init__(targets, weights, ordering)
        self.paths = tuple(paths)
        self.read = read

    def select(self, indices: np.ndarray) -> "FileSplit":
        """Return the split of only the files at `indices`."""
        return FileSplit([self.paths[index] for index in indices], read=self.read, **self._selected(indices))

    def with_targets(self, targets: Tree) -> "FileSplit":
        """Return a split of the same files with other targets."""
        return FileSplit(self.paths, targets, self.read, self.weights, ordering=self.ordering)

    def training_batches(self, *, batch_size: int, seed: int, start_step: int):
        """Return the training batches."""
        import tensorflow as tf

        numbers = tf.data.Dataset.counter(start_step).map(self._indices(batch_size, seed)).unbatch()
        return batched(self._examples(numbers), batch_size, drop_remainder=True)

    def evaluation_batches(self, *, batch_size: int):
        """Return all examples in their own order."""
        import tensorflow as tf

        return batched(self._examples(tf.data.Dataset.range(len(self))), batch_size)

    def _examples(self, numbers):
        """Read examples one at a time, since decoding is the cost and is spread over the cores."""
        import tensorflow as tf

        names, *others = tensors((np.array([str(path) for path in self.paths]), self.targets, self.weights))

        def example(index):
            return self.read(names[index]), *tf.nest.map_structure(lambda array: array[index], tuple(others))

        return numbers.map(example, num_parallel_calls=parallel_calls(), deterministic=True)
