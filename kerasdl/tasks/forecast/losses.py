"""Errors between raw targets and forecasts in standard deviations around the mean."""

from collections.abc import Sequence

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerasdl")
class ForecastLoss(keras.losses.Loss):
    """Mean error of each window over its rows and columns, after the targets were centred and scaled.

    With quantiles it is the pinball loss, whose minimum they are: Koenker, Bassett, "Regression quantiles",
    1978.

    Args:
        error: "mse", "mae" or "huber" (linear from one standard deviation on); not used with quantiles.
        quantiles: quantiles that are forecast, 0 to 1.
        mean: subtracted from targets, one number for each column.
        std: targets are divided by it, one number for each column.
        **kwargs: those of `keras.losses.Loss`.
    """

    def __init__(
        self,
        *,
        error: str = "mse",
        quantiles: Sequence[float] = (),
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.error, self.quantiles = error, list(quantiles)
        self.mean, self.std = list(mean), list(std)

    def call(self, y_true, y_pred):
        """Return the loss of each window, (B,).

        Args:
            y_true: (B, horizon, K) raw targets.
            y_pred: (B, horizon, K), or (B, horizon, K, Q) with quantiles, in standard deviations.
        """
        apart = scaled(y_true, self.mean, self.std)
        if self.quantiles:
            apart = apart[..., None] - y_pred
            levels = ops.convert_to_tensor(self.quantiles, "float32")
            return ops.mean(ops.maximum(levels * apart, (levels - 1) * apart), axis=(1, 2, 3))
        size = ops.abs(apart - y_pred)
        if self.error == "huber":
            size = ops.where(size <= 1, 0.5 * ops.square(size), size - 0.5)
        elif self.error == "mse":
            size = ops.square(size)
        return ops.mean(size, axis=(1, 2))

    def get_config(self):
        names = ("error", "quantiles", "mean", "std")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("kerasdl")
class ForecastError(keras.metrics.Mean):
    """Mean squared or absolute error in standard deviations, of the median where quantiles are forecast.

    Args:
        error: "mse" or "mae".
        middle: number of the quantile that is judged; None without quantiles.
        mean: mean of the targets, one number for each column.
        std: standard deviation of the targets, one number for each column.
        **kwargs: those of `keras.metrics.Metric`.
    """

    def __init__(
        self,
        *,
        error: str = "mse",
        middle: int | None = None,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.error, self.middle = error, middle
        self.mean, self.std = list(mean), list(std)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch: targets (B, horizon, K), outputs (B, horizon, K[, Q])."""
        if self.middle is not None:
            y_pred = y_pred[..., self.middle]
        apart = scaled(y_true, self.mean, self.std) - ops.cast(y_pred, "float32")
        size = ops.square(apart) if self.error == "mse" else ops.abs(apart)
        return super().update_state(ops.mean(size, axis=(1, 2)), sample_weight)

    def get_config(self):
        names = ("error", "middle", "mean", "std")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def scaled(targets, mean: Sequence[float], std: Sequence[float]):
    """Return raw targets (B, horizon, K) in standard deviations around the mean, float32."""
    mean, std = (ops.convert_to_tensor(part, "float32") for part in (mean, std))
    return (ops.cast(targets, "float32") - mean) / std
