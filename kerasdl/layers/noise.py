"""Random numbers of a training step, keyed by seed, step and the sample's place in the global batch.

Keras's layers draw the same noise on every replica, and from a stateful generator that a resumed run cannot
put back. Here a draw is a pure function of (seed, step, number of the draw within the step, place), so the
update is the same on any number of replicas, in any number of micro-batches, and after any interruption.

A counter-based generator (Philox: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) gives
that for nothing: a replica begins to count where the samples of the replicas before it end.
"""

import contextlib
import threading
from collections.abc import Callable

import tensorflow as tf

_PHILOX = 1
_NUMBERS_PER_COUNT = 4  # a Philox block is 128 bits: four float32

_active = threading.local()


class _Scope:
    """One forward pass: its key, the place of its first sample, and how many draws it has made."""

    def __init__(self, seed, step, place, num_draws):
        self.seed = tf.stack([tf.cast(seed, tf.int64), tf.cast(step, tf.int64)])
        self.place = tf.cast(place, tf.uint64)
        self.num_draws = num_draws


@contextlib.contextmanager
def scope(seed, step, place, num_draws=0):
    """Key all draws of a forward pass.

    Args:
        seed: seed of the run, integer.
        step: number of the update, integer scalar.
        place: place of this pass's first sample in the global batch, integer scalar.
        num_draws: number of the first draw. Defaults to 0.
    """
    outer = getattr(_active, "scope", None)
    _active.scope = _Scope(seed, step, place, num_draws)
    try:
        yield
    finally:
        _active.scope = outer


def is_keyed() -> bool:
    """Tell whether a scope is open, so that numbers can be drawn."""
    return getattr(_active, "scope", None) is not None


def place():
    """Return the place of this pass's first sample in the global batch, uint64 scalar."""
    return _active.scope.place


def uniform(shape):
    """Draw float32 numbers in [0, 1), sample by sample.

    Args:
        shape: integer tensor or tuple, (B, ...); the first axis counts samples.
    """
    return _draw(tf.raw_ops.StatelessRandomUniformV2, shape)


def normal(shape):
    """Draw float32 numbers of mean 0 and variance 1; the shape as of `uniform`."""
    return _draw(tf.raw_ops.StatelessRandomNormalV2, shape)


def bernoulli(shape, probability: float):
    """Draw booleans that are true with a probability; the shape as of `uniform`."""
    return uniform(shape) < probability


def _draw(operator: Callable, shape):
    active = _active.scope
    seed = tf.random.experimental.stateless_fold_in(active.seed, active.num_draws)
    active.num_draws += 1
    shape = tf.convert_to_tensor(shape)
    size = tf.reduce_prod(shape[1:])
    blocks = (size + _NUMBERS_PER_COUNT - 1) // _NUMBERS_PER_COUNT  # per sample, so that samples are aligned
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    counter += tf.stack([active.place * tf.cast(blocks, tf.uint64), tf.constant(0, tf.uint64)])
    shape_of_blocks = tf.stack([shape[0], blocks * _NUMBERS_PER_COUNT])
    drawn = operator(shape=shape_of_blocks, key=key, counter=counter, alg=_PHILOX)
    return tf.reshape(drawn[:, :size], shape)
