"""One pass over a split, as NumPy batches."""

import functools
import itertools
from collections.abc import Callable, Iterator

from kerasdl.data.batches import evaluation_batches
from kerasdl.data.dataset import Dataset
from kerasdl.data.splits import ArraySplit, Split
from kerasdl.data.trees import Tree

#: Returns (features, targets, sample weights or None) batches, NumPy trees, from the first on at each call.
Batches = Callable[[], Iterator[tuple[Tree, Tree, Tree]]]

_BATCH_SIZE = 256
# Small examples in memory go in batches of up to 2048: LeNet-5 and MLP run 1.2 and 1.4 times as fast so as in
# batches of 256 (MNIST, 2 cores). Large ones would gain nothing and take memory.
_LARGEST_BATCH = 2048
_BATCH_BYTES = 2**21


def batch_size(split: Split, least: int = _BATCH_SIZE) -> int:
    """Return the fastest batch size of a forward pass: more than `least` where examples are small."""
    if split.bytes_in_memory is None:
        return least
    return max(least, min(_BATCH_BYTES // split.bytes_in_memory, _LARGEST_BATCH))


def shared_batch_size(split: Split, least: int, num_replicas: int) -> int:
    """Return a batch size that replicas share evenly, in the last batch too where that is possible."""
    # Keras cannot begin with a batch that replicas share unevenly, nor can a replica do without any sample.
    size = max(min(batch_size(split, least), len(split)) // num_replicas, 1) * num_replicas
    while 0 < len(split) % size < num_replicas < size:
        size -= num_replicas
    return size


def test_batches(splits: Dataset, limit: int | None = None) -> Batches:
    """Return a function that reads the test split anew at each call, as `split_batches` does."""
    return split_batches(splits.test, limit)


def split_batches(split: Split, limit: int | None = None) -> Batches:
    """Return a function that reads a split anew at each call, in its own order.

    Args:
        split: one of a `Dataset`.
        limit: number of batches; None for all.
    """
    if isinstance(split, ArraySplit):
        # Views of the arrays: a tf.data iterator over 10,000 images takes a fifth of the time MLP does.
        return functools.partial(_array_batches, split, limit)
    batches = evaluation_batches(split, batch_size=batch_size(split))
    batches = batches if limit is None else batches.take(limit)
    return lambda: ((*batch, None)[:3] for batch in batches.as_numpy_iterator())


def _array_batches(split: ArraySplit, limit: int | None) -> Iterator[tuple[Tree, Tree, Tree]]:
    size = batch_size(split)
    for start in itertools.islice(range(0, len(split), size), limit):
        yield split.part(slice(start, start + size))
