"""Losses that Keras lacks, and a metric, of labels that may be mixed.

Mixed labels are (batch_size, 3): a class, another one, and the share of the first, 0 to 1
(`kerasdl.data.images.augment`).
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerasdl")
class SparseCrossentropy(keras.losses.Loss):
    """Cross-entropy in nats between integer or mixed labels and logits, with label smoothing.

    Reference of the smoothing: Szegedy et al., "Rethinking the Inception architecture", 2015, section 7.

    Args:
        label_smoothing: part of the target given to all classes alike, 0 to 1. Defaults to 0.0.
        **kwargs: those of `keras.losses.Loss`.
    """

    def __init__(self, *, label_smoothing: float = 0.0, name: str = "crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        """Return the loss of each example, (batch_size,), from labels, (batch_size[, 3]), and logits."""
        num_classes = y_pred.shape[-1]
        log_probabilities = ops.log_softmax(y_pred)  # (B, num_classes)
        if _are_mixed(y_true):
            share = y_true[:, 2:]
            first, second = (ops.one_hot(ops.cast(y_true[:, k], "int32"), num_classes) for k in (0, 1))
            targets = share * first + (1 - share) * second
        else:
            targets = ops.one_hot(ops.cast(y_true, "int32"), num_classes)
        targets = targets * (1 - self.label_smoothing) + self.label_smoothing / num_classes
        return -ops.sum(targets * log_probabilities, axis=-1)

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable("kerasdl")
class Accuracy(keras.metrics.SparseCategoricalAccuracy):
    """Share of examples whose largest logit is the label's class; of mixed labels the larger part's."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch: labels (batch_size[, 3]), logits (batch_size, num_classes)."""
        if _are_mixed(y_true):
            y_true = ops.where(y_true[:, 2] >= 0.5, y_true[:, 0], y_true[:, 1])
        return super().update_state(y_true, y_pred, sample_weight)


@keras.saving.register_keras_serializable("kerasdl")
class BalancedAccuracy(keras.metrics.Metric):
    """Mean over classes of the share of their examples that are recognised: their recalls.

    Classes without an example do not count. Sums over replicas and batches are exact.

    Args:
        num_classes: number of classes.
        name: name of the metric.
        **kwargs: those of `keras.metrics.Metric`.
    """

    def __init__(self, *, num_classes: int, name: str = "balanced_accuracy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.num_classes = num_classes
        self.right = self.add_variable((num_classes,), "zeros", name="right")
        self.total = self.add_variable((num_classes,), "zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch: labels (batch_size[, 3]), logits (batch_size, num_classes)."""
        if _are_mixed(y_true):
            y_true = ops.where(y_true[:, 2] >= 0.5, y_true[:, 0], y_true[:, 1])
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        of_class = ops.one_hot(labels, self.num_classes, dtype=self.dtype)  # (B, num_classes)
        hit = ops.cast(ops.equal(ops.argmax(y_pred, axis=-1), ops.cast(labels, "int32")), self.dtype)
        self.total.assign_add(ops.sum(of_class, axis=0))
        self.right.assign_add(ops.sum(of_class * hit[:, None], axis=0))

    def result(self):
        present = ops.cast(self.total > 0, self.dtype)
        recalls = self.right / ops.maximum(self.total, 1)
        return ops.sum(recalls) / ops.maximum(ops.sum(present), 1)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


def _are_mixed(labels) -> bool:
    return len(labels.shape) == 2 and labels.shape[-1] == 3
