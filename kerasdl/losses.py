"""Losses that Keras lacks."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerasdl")
class SparseCrossentropy(keras.losses.Loss):
    """Cross-entropy in nats between integer labels and logits, with label smoothing.

    Reference of the smoothing: Szegedy et al., "Rethinking the Inception architecture", 2015, section 7.

    Args:
        label_smoothing: part of the target given to all classes alike, 0 to 1. Defaults to 0.0.
        **kwargs: those of `keras.losses.Loss`.
    """

    def __init__(self, *, label_smoothing: float = 0.0, name: str = "crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        """Return the loss of each example, (batch_size,), from (batch_size,) labels and logits."""
        num_classes = y_pred.shape[-1]
        log_probabilities = ops.log_softmax(y_pred)  # (B, num_classes)
        targets = ops.one_hot(ops.cast(y_true, "int32"), num_classes)
        targets = targets * (1 - self.label_smoothing) + self.label_smoothing / num_classes
        return -ops.sum(targets * log_probabilities, axis=-1)

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}
