"""Loss and metrics of taggers; steps behind the end of a sentence never count."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from kerasdl.layers import linear_chain
from kerasdl.layers.config import config_of
from kerasdl.tasks.tagging.decoding import aligned, is_chain, tags_of
from kerasdl.tasks.tagging.entities import Scheme


@keras.saving.register_keras_serializable("kerasdl")
class TagLoss(keras.losses.Loss):
    """Minus the logarithm of the probability of a sentence's tags, in nats a sentence.

    Of logits it is the sum of the cross-entropies of the tokens, of potentials that of the chain as a whole.

    Args:
        **kwargs: those of `keras.Loss`.
    """

    def call(self, y_true, y_pred):
        """Return (B,) of numbers of tags (B, L), 0 behind the end, and logits or potentials (B, T, ...)."""
        y_pred = tf.cast(y_pred, tf.float32)
        targets = aligned(y_true, y_pred)
        mask, tags = targets > 0, tf.maximum(targets - 1, 0)
        if is_chain(y_pred):
            return -linear_chain.log_likelihood(y_pred, tags, mask)
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tags, logits=y_pred)
        return tf.reduce_sum(tf.where(mask, nats, tf.zeros_like(nats)), axis=1)


@keras.saving.register_keras_serializable("kerasdl")
class TokenAccuracy(keras.metrics.Metric):
    """Part of the tokens with the right tag, 0 to 1.

    Args:
        **kwargs: those of `keras.metrics.Metric`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.right = self.add_weight(name="right", initializer="zeros")
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch: numbers of tags (B, L), logits or potentials (B, T, ...)."""
        targets = aligned(y_true, y_pred)
        tags, _ = tags_of(y_pred, targets > 0)
        self.right.assign_add(_count((tags == targets) & (targets > 0)))
        self.total.assign_add(_count(targets > 0))

    def result(self):
        """Return the part."""
        return self.right / tf.maximum(self.total, 1.0)


@keras.saving.register_keras_serializable("kerasdl")
class TagF1(keras.metrics.Metric):
    """F1 of entities, where the tags mark any, else the mean F1 of the tags, 0 to 1.

    An entity is found where its type, first and last token are right; see `kerasdl.tasks.tagging.entities`.
    The mean is over tags that a token has or got.

    Args:
        tags: names of the tags, from number 1 on.
        **kwargs: those of `keras.metrics.Metric`.
    """

    def __init__(self, *, tags: Sequence[str], **kwargs):
        super().__init__(**kwargs)
        self.tags = tuple(tags)
        self._scheme = Scheme.of(self.tags)
        size = 1 if self._scheme.types else len(self.tags)
        names = ("found", "given", "true")
        self.found, self.given, self.true = (
            self.add_weight(name=name, shape=(size,), initializer="zeros") for name in names
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch: numbers of tags (B, L), logits or potentials (B, T, ...)."""
        targets = aligned(y_true, y_pred)
        given, _ = tags_of(y_pred, targets > 0)
        count = self._entities if self._scheme.types else self._tokens
        for weight, number in zip((self.found, self.given, self.true), count(given, targets), strict=True):
            weight.assign_add(number)

    def _tokens(self, given, targets):
        """Return for each tag how many tokens are right, got it, and have it."""
        got, has = (tf.one_hot(tags - 1, len(self.tags)) for tags in (given, targets))
        return [tf.reduce_sum(part, axis=(0, 1)) for part in (got * has, got, has)]

    def _entities(self, given, targets):
        """Return how many entities are found, given, and true, each (1,)."""
        types, starts, ends = zip(*(self._bounds(tags) for tags in (given, targets)), strict=True)
        same = starts[0] & starts[1] & (types[0] == types[1]) & (ends[0] == ends[1])
        return [_count(part)[None] for part in (same, *starts)]

    def _bounds(self, tags):
        """Return the type of each token, whether it begins an entity, and the step behind its entity."""
        scheme = self._scheme
        before = tf.concat([tf.zeros_like(tags[:, :1]), tags[:, :-1]], axis=1)
        types = tf.gather(scheme.type_of, tags)
        apart = tf.gather(scheme.begins, tags) | tf.gather(scheme.ends, before)
        starts = (types > 0) & (apart | (types != tf.gather(scheme.type_of, before)))
        goes_on = (types > 0) & ~starts
        steps = tf.range(tf.shape(tags)[1])
        stops = tf.where(goes_on, tf.shape(tags)[1], steps)  # (B, T)
        behind = tf.concat([stops[:, 1:], tf.fill([tf.shape(tags)[0], 1], tf.shape(tags)[1])], axis=1)
        later = steps[None, :] >= steps[:, None]  # (T, T): the first stop behind each step
        ends = tf.reduce_min(tf.where(later, behind[:, None, :], tf.shape(tags)[1]), axis=-1)
        return types, starts, ends

    def result(self):
        """Return F1."""
        f1 = 2 * self.found / tf.maximum(self.given + self.true, 1.0)
        present = tf.cast(self.given + self.true > 0, tf.float32)
        return tf.reduce_sum(f1 * present) / tf.maximum(tf.reduce_sum(present), 1.0)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "tags")}


def _count(condition):
    return tf.reduce_sum(tf.cast(condition, tf.float32))
