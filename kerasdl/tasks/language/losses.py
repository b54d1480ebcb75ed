"""Loss and metric of language models, in nats for each character."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerasdl")
class NextCharacter(keras.losses.Loss):
    """Cross-entropy of the next character, the mean over the characters of each text, in nats.

    Args:
        **kwargs: those of `keras.Loss`.
    """

    def call(self, y_true, y_pred):
        """Return (batch_size,) of targets (batch_size, T) and logits (batch_size, T, vocabulary_size)."""
        nats = keras.losses.sparse_categorical_crossentropy(
            y_true, ops.cast(y_pred, "float32"), from_logits=True
        )
        return ops.mean(nats, axis=-1)


@keras.saving.register_keras_serializable("kerasdl")
class Perplexity(keras.metrics.Mean):
    """Perplexity: of how many equally probable characters a network is as unsure; 1 is best.

    Args:
        **kwargs: those of `keras.metrics.Metric`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.nats = NextCharacter(reduction=None)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch: targets (batch_size, T), logits (batch_size, T, vocabulary_size)."""
        return super().update_state(self.nats(y_true, y_pred), sample_weight)

    def result(self):
        """Return e to the mean cross-entropy."""
        return ops.exp(super().result())
