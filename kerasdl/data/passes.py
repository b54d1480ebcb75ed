"""A split as NumPy batches, for what runs a network over all of it once."""

import functools
import itertools
from collections.abc import Callable, Iterator

from kerasdl.data import order
from kerasdl.data.dataset import ArraySplit, Dataset, Split, Tree

#: Returns (features, targets, sample weights or None) batches, NumPy trees, from the first on at each call.
Batches = Callable[[], Iterator[tuple[Tree, Tree, Tree]]]

_BATCH_SIZE = 256
# Small examples in memory go in batches of up to 2048: LeNet-5 and MLP run 1.2 and 1.4 times as fast so as in
# batches of 256 (MNIST, 2 cores). Large ones would gain nothing and take memory.
_LARGEST_BATCH = 2048
_BATCH_BYTES = 2**21


def batch_size(split: Split, least: int = _BATCH_SIZE) -> int:
    """Return how many examples a forward pass takes best: more than `least` where they are small."""
    if not isinstance(split, ArraySplit):
        return least
    return max(least, min(_BATCH_BYTES // max(split.features[:1].nbytes, 1), _LARGEST_BATCH))


def test_batches(splits: Dataset, limit: int | None = None) -> Batches:
    """Return a function that gives the test split anew, as `split_batches` does."""
    return split_batches(splits.test, limit)


def split_batches(split: Split, limit: int | None = None) -> Batches:
    """Return a function that gives a split anew, in its own order.

    Args:
        split: one of a `Dataset`.
        limit: how many batches; None for all.
    """
    if isinstance(split, ArraySplit):
        # Views of the arrays: a tf.data iterator over 10,000 images takes a fifth of the time MLP does.
        return functools.partial(_array_batches, split, limit)
    batches = order.evaluation_batches(split, batch_size=batch_size(split))
    batches = batches if limit is None else batches.take(limit)
    return lambda: ((*batch, None)[:3] for batch in batches.as_numpy_iterator())


def _array_batches(split: ArraySplit, limit: int | None) -> Iterator[tuple[Tree, Tree, Tree]]:
    size = batch_size(split)
    for start in itertools.islice(range(0, len(split), size), limit):
        yield split.features[start : start + size], split.labels[start : start + size], None
