"""Splits: fixed, ordered sets of examples that turn indices into batches."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data import memory
from kerasdl.data.order import Ordering, Shuffled
from kerasdl.data.trees import Tree, leaves, map_leaves

# Memory that shuffling a stream may take, in bytes of examples.
_SHUFFLE_BYTES = 2**28
_SHUFFLED = Shuffled()


class Split:
    """A fixed, ordered set of examples. Example `i` is the same one in every process.

    Args:
        targets: arrays (N, ...) to be predicted; they always lie in memory.
        weights: sample weights (N,), by name where the targets have names. Defaults to None: all examples
            count the same.
        ordering: order of training. Defaults to a fresh permutation in each epoch.
    """

    def __init__(self, targets: Tree, weights: Tree = None, ordering: Ordering = _SHUFFLED):
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
        ordering: Ordering = _SHUFFLED,
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
        arrays = _tensors((self._arrays, self.targets, self.weights))
        return starts.map(
            lambda start: tf.nest.map_structure(lambda array: array[start : start + batch_size], arrays),
            num_parallel_calls=parallel_calls(),
            deterministic=True,
        )

    def _gathered(self, numbers, indices_of: Callable[[Any], Any]):
        import tensorflow as tf

        features, *others = _tensors((self._arrays, self.targets, self.weights))
        rows = None if self._rows is None else _tensors((self._rows,))[0]

        def batch(number):
            index = indices_of(number)
            place = index if rows is None else tf.gather(rows, index)
            gathered = tf.nest.map_structure(lambda array: tf.gather(array, index), tuple(others))
            return tf.nest.map_structure(lambda array: tf.gather(array, place), features), *gathered

        return numbers.map(batch, num_parallel_calls=parallel_calls(), deterministic=True)


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
        ordering: Ordering = _SHUFFLED,
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
        return _batched(self._examples(numbers), batch_size, drop_remainder=True)

    def evaluation_batches(self, *, batch_size: int):
        """Return all examples in their own order."""
        import tensorflow as tf

        return _batched(self._examples(tf.data.Dataset.range(len(self))), batch_size)

    def _examples(self, numbers):
        """Read examples one at a time, since decoding is the cost and is spread over the cores."""
        import tensorflow as tf

        names, *others = _tensors((np.array([str(path) for path in self.paths]), self.targets, self.weights))

        def example(index):
            return self.read(names[index]), *tf.nest.map_structure(lambda array: array[index], tuple(others))

        return numbers.map(example, num_parallel_calls=parallel_calls(), deterministic=True)


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
            return _batched(shuffled, batch_size, drop_remainder=True).take(steps)

        epochs = tf.data.Dataset.counter(start_step // steps)
        return epochs.flat_map(epoch_batches).skip(start_step % steps)

    def evaluation_batches(self, *, batch_size: int):
        """Return all examples in their own order."""
        return _batched(self.open(), batch_size)


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


def _tensors(trees: tuple[Tree, ...]) -> tuple[Tree, ...]:
    """Turn arrays into tensors where tf.data works; absent weights are left out."""
    return tuple(
        map_leaves(lambda array: memory.to_tensor(np.asarray(array)), tree)
        for tree in trees
        if tree is not None
    )


def _batched(dataset, batch_size: int, drop_remainder: bool = False):
    """Batch examples; those of unknown length are padded to the longest of their batch."""
    if is_static(dataset.element_spec):
        return dataset.batch(batch_size, drop_remainder=drop_remainder)
    return dataset.padded_batch(batch_size, drop_remainder=drop_remainder)


def _filtered(dataset, kept: np.ndarray):
    kept = memory.to_tensor(kept)
    return dataset.enumerate().filter(lambda index, _: kept[index]).map(lambda _, example: example)


def _replaced(dataset, targets: Tree):
    (targets,) = _tensors((targets,))

    def replace(index, example):
        features, _, *weights = example
        return features, map_leaves(lambda array: array[index], targets), *weights

    return dataset.enumerate().map(replace)
