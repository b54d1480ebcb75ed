"""Linear-chain conditional random fields: scores for pairs of neighbouring tags, and what follows from them.

Everything works on potentials (B, T, K, K), float32: at [b, t, i, j] is the score of tag j at step t after
tag i at step t - 1. At step 0, which has no tag before it, all rows i are the same. Masks (B, T) are bool,
True up to the end of each sequence.

Reference: Lafferty, McCallum, Pereira, "Conditional random fields: probabilistic models for segmenting and
labeling sequence data", 2001.
"""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from kerasdl.layers import export_mode
from kerasdl.layers.config import config_of


@keras.saving.register_keras_serializable("kerasdl")
class LinearChain(keras.layers.Layer):
    """The head of a tagger that knows which tags follow each other.

    To the score of each tag at each step it adds one for the pair of this tag and the one before, for the tag
    that a sequence begins with and the one that it ends with.

    Args:
        num_tags: number of tags, K. Defaults to 10.
        **kwargs: arguments of `keras.Layer`; it computes in float32.

    Input: features (B, T, D), float; mask (B, T), bool, None where all sequences are of one length.
    Output: potentials (B, T, K, K), float32; see above. Memory grows with the square of the number of tags.
    """

    def __init__(self, *, num_tags: int = 10, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.supports_masking = True  # or Keras warns of the argument
        self.num_tags = num_tags
        self.emissions = keras.layers.Dense(num_tags, name="emissions", dtype="float32")

    def build(self, input_shape):
        self.emissions.build(input_shape)
        size = self.num_tags
        self.transitions = self.add_weight(shape=(size, size), initializer="zeros", name="transitions")
        self.first = self.add_weight(shape=(size,), initializer="zeros", name="first")
        self.last = self.add_weight(shape=(size,), initializer="zeros", name="last")

    def call(self, x, mask=None):
        """Return the potentials."""
        scores = self.emissions(x)  # (B, T, K)
        valid = tf.ones(tf.shape(scores)[:2], tf.bool) if mask is None else mask
        behind = tf.concat([valid[:, 1:], tf.zeros_like(valid[:, :1])], axis=1)
        ends = tf.cast(valid & ~behind, tf.float32)[:, :, None]  # 1 at the last step of each sequence
        scores += ends * self.last
        first = (scores[:, :1] + self.first)[:, :, None, :] + tf.zeros_like(self.transitions)  # (B, 1, K, K)
        return tf.concat([first, scores[:, 1:, None, :] + self.transitions], axis=1)

    def compute_mask(self, inputs, previous_mask):
        """Attach no mask to the potentials."""

    def compute_output_spec(self, x, mask=None):
        return keras.KerasTensor((*x.shape[:2], self.num_tags, self.num_tags), "float32")

    def get_config(self):
        return {**super().get_config(), **config_of(self, "num_tags")}


def log_likelihood(potentials, tags, mask):
    """Return the logarithm of the probability of the true tags of each sequence, (B,), 0 of an empty one.

    Args:
        potentials: (B, T, K, K), float32.
        tags: (B, T), integer, 0 to K - 1; anything in that range where masked.
        mask: (B, T), bool.
    """
    tags, size = tf.cast(tags, tf.int32), tf.shape(potentials)[-1]
    before = tf.concat([tf.zeros_like(tags[:, :1]), tags[:, :-1]], axis=1)
    flat = tf.reshape(potentials, tf.concat([tf.shape(tags), [size * size]], 0))
    chosen = tf.gather(flat, before * size + tags, axis=2, batch_dims=2)  # (B, T)
    gold = tf.reduce_sum(tf.where(mask, chosen, tf.zeros_like(chosen)), axis=1)
    return tf.where(mask[:, 0], gold - log_partition(potentials, mask), tf.zeros_like(gold))


def log_partition(potentials, mask):
    """Return the logarithm of the sum of e to the score over all ways to tag each sequence, (B,)."""
    steps, valid = tf.transpose(potentials, (1, 0, 2, 3)), tf.transpose(mask)[:, :, None]

    def step(scores, given):
        potential, here = given
        after = tf.reduce_logsumexp(scores[:, :, None] + potential, axis=1)
        return tf.where(here, after, scores)

    # A TensorArray and not slices: the gradient of each slice would be as large as all steps together.
    reached = tf.scan(step, (steps[1:], valid[1:]), steps[0, :, 0])
    last = tf.concat([steps[:1, :, 0], reached], axis=0)[-1]
    return tf.reduce_logsumexp(last, axis=-1)


def decode(potentials, mask):
    """Return the most probable tags of each sequence as a whole, and the probability of each tag by itself.

    Two loops of operators that TFLite and ONNX have, without a TensorArray: the first one goes forward and
    keeps for each tag the best score of a way there (Viterbi) and the sum over all ways; the second one goes
    back.

    Args:
        potentials: (B, T, K, K), float32.
        mask: (B, T), bool.

    Returns:
        Tags (B, T), int32, 0 to K - 1, and probabilities (B, T, K), float32; neither means anything where
        masked.
    """
    steps, valid = tf.transpose(potentials, (1, 0, 2, 3)), tf.transpose(mask)[:, :, None]
    fixed, size, batch = steps.shape[0], steps.shape[-1], tf.shape(steps)[1]
    count = tf.reduce_max(tf.reduce_sum(tf.cast(mask, tf.int32), axis=1))  # what follows is padding
    begun = steps[0][:, 0]  # (B, K)
    kept = tf.zeros((tf.shape(steps)[0] if fixed is None else fixed, batch, size), tf.float32)
    kept = tf.tensor_scatter_nd_update(kept, [[0]], begun[None])

    def forward(t, best, total, bests, totals):
        potential, here = tf.gather(steps, t), tf.gather(valid, t)
        best = tf.where(here, _level(tf.reduce_max(best[:, :, None] + potential, axis=1)), best)
        total = tf.where(here, _level(_log_sum(total[:, :, None] + potential, axis=1)), total)
        return (
            best,
            total,
            *(
                tf.tensor_scatter_nd_update(all_of, [[t]], one[None])
                for all_of, one in ((bests, best), (totals, total))
            ),
        )

    def backward(t, follow, ahead, tags, shares):
        potential, here = tf.gather(steps, t), tf.gather(valid, t)
        tag = tf.argmax(tf.gather(bests, t) + follow, axis=-1, output_type=tf.int32)  # (B,)
        chosen = tf.one_hot(tag, size, dtype=tf.float32)
        share = tf.nn.softmax(tf.gather(totals, t) + ahead)
        follow = tf.where(here, tf.reduce_sum(potential * chosen[:, None, :], axis=-1), follow)
        ahead = tf.where(here, _level(_log_sum(potential + ahead[:, None, :], axis=2)), ahead)
        tags = tf.tensor_scatter_nd_update(tags, [[t]], chosen[None])
        return follow, ahead, tags, tf.tensor_scatter_nd_update(shares, [[t]], share[None])

    nothing, empty = tf.zeros_like(begun), tf.zeros_like(kept)
    _, _, bests, totals = _loop(
        forward, range(1, fixed) if fixed else None, count, (begun, begun, kept, kept)
    )
    order = range(fixed - 1, -1, -1) if fixed else None
    _, _, tags, shares = _loop(backward, order, count, (nothing, nothing, empty, empty), backwards=True)
    found = tf.argmax(tf.transpose(tags, (1, 0, 2)), axis=-1, output_type=tf.int32)
    return found, tf.transpose(shares, (1, 0, 2))


def _loop(body: Callable, order: Sequence[int] | None, count, state: tuple, backwards: bool = False) -> tuple:
    """Run `body` at each step: from step 1 on, or back from the last one to step 0."""
    if order is not None and export_mode.unrolls():
        for t in order:
            state = body(tf.constant(t), *state)
        return state
    first = count - 1 if backwards else tf.constant(1)
    found = tf.while_loop(
        (lambda t, *_: t >= 0) if backwards else (lambda t, *_: t < count),
        lambda t, *state: (t - 1 if backwards else t + 1, *body(t, *state)),
        (first, *state),
        shape_invariants=(tf.TensorShape(()), *(part.shape for part in state)),
    )
    return found[1:]


def _log_sum(scores, axis: int):
    """Return the logarithm of the sum of e to some scores, in operators that every format has."""
    highest = tf.reduce_max(scores, axis=axis, keepdims=True)
    return tf.squeeze(highest, axis) + tf.math.log(tf.reduce_sum(tf.exp(scores - highest), axis=axis))


def _level(scores):
    """Shift scores (B, K) so that the highest is 0: they would grow with the length of a sequence."""
    return scores - tf.reduce_max(scores, axis=-1, keepdims=True)
