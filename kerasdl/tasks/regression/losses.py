"""Errors between targets in their own units and outputs in standard deviations around the mean."""

from collections.abc import Sequence

import keras
from keras import ops


def _columns(targets):
    """Return targets (B,) as (B, 1), and (B, num_outputs) as they are, float32."""
    targets = ops.cast(targets, "float32")
    return targets[:, None] if len(targets.shape) == 1 else targets


@keras.saving.register_keras_serializable("kerasdl")
class ScaledError(keras.losses.Loss):
    """Mean error of each example over its outputs, after the targets were centred and scaled.

    Args:
        error: "mse", "mae" or "huber" (Huber, "Robust estimation of a location parameter", 1964).
        delta: error above which huber grows linearly, in units of the outputs.
        mean: subtracted from targets, one number for each output.
        std: targets are divided by it, one number for each output.
        **kwargs: those of `keras.losses.Loss`.
    """

    def __init__(
        self,
        *,
        error: str = "mse",
        delta: float = 1.0,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        name: str = "error",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.error, self.delta, self.mean, self.std = error, delta, list(mean), list(std)

    def call(self, y_true, y_pred):
        """Return the loss of each example, (batch_size,)."""
        scaled = (_columns(y_true) - ops.convert_to_tensor(self.mean)) / ops.convert_to_tensor(self.std)
        size = ops.abs(scaled - ops.cast(y_pred, "float32"))
        if self.error == "mae":
            return ops.mean(size, axis=-1)
        squared = ops.square(size)
        if self.error == "huber":
            linear = self.delta * (size - 0.5 * self.delta)
            return ops.mean(ops.where(size <= self.delta, 0.5 * squared, linear), axis=-1)
        return ops.mean(squared, axis=-1)

    def get_config(self):
        names = ("error", "delta", "mean", "std")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("kerasdl")
class MeanAbsoluteError(keras.metrics.Mean):
    """Mean absolute error in the targets' own units.

    Args:
        mean: mean of the targets, one number for each output.
        std: standard deviation of the targets, one number for each output.
        **kwargs: those of `keras.metrics.Metric`.
    """

    def __init__(self, *, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,), **kwargs):
        super().__init__(**kwargs)
        self.mean, self.std = list(mean), list(std)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch: targets (batch_size[, num_outputs]), outputs (batch_size, num_outputs)."""
        raw = ops.cast(y_pred, "float32") * ops.convert_to_tensor(self.std) + ops.convert_to_tensor(self.mean)
        return super().update_state(ops.mean(ops.abs(_columns(y_true) - raw), axis=-1), sample_weight)

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "std": self.std}
