"""DLinear: one linear map for the trend of the past, another one for what is left of it."""

import keras
from keras import ops

from kerasdl.errors import UsageError
from kerasdl.layers import channels
from kerasdl.layers.config import config_of
from kerasdl.network.network import Network


@keras.saving.register_keras_serializable("kerasdl")
class DLinear(Network):
    """A moving average splits the past into trend and remainder; the forecasts of both are added.

    All targets share both layers.

    Reference: Zeng et al., "Are transformers effective for time series forecasting?", 2023,
    https://arxiv.org/abs/2205.13504.

    Args:
        horizon: rows to forecast. Defaults to 24.
        num_targets: columns to forecast. Defaults to 1.
        num_quantiles: quantiles to forecast of each value; 0 for the values alone. Defaults to 0.
        kernel_size: rows of the moving average, odd. Defaults to 25.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.

    Input: (batch_size, context, num_targets), float32.
    Output: (batch_size, horizon, num_targets), float32; with quantiles (batch_size, horizon, num_targets,
    num_quantiles).

    Parameters: 4,656 for 96 rows of the past and 24 of the future.

    Example:
        >>> DLinear(horizon=24)(windows).shape  # (B, 96, 1), standardised
        (B, 24, 1)
    """

    head_names = ("head", "trend")

    def __init__(
        self,
        *,
        horizon: int = 24,
        num_targets: int = 1,
        num_quantiles: int = 0,
        kernel_size: int = 25,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if kernel_size % 2 != 1:
            raise UsageError(f"kernel_size is {kernel_size}, but it has to be an odd number of rows.")
        self.autocast = False  # raw values come as they are
        self.horizon = horizon
        self.num_targets = num_targets
        self.num_quantiles = num_quantiles
        self.kernel_size = kernel_size
        size = horizon * max(1, num_quantiles)
        self.head = keras.layers.Dense(size, name="head", dtype="float32")
        self.trend = keras.layers.Dense(size, name="trend", dtype="float32")

    def forward(self, x, training=False):
        """Return the forecasts for standardised windows."""
        if x.shape[-1] != self.num_targets:
            raise UsageError(
                "DLinear sees the past of the targets alone. Leave --features out, or train `forecast`."
            )
        past = channels.apart(x, self.num_targets)  # (B * K, T, 1)
        beyond = self.kernel_size // 2  # the first and the last value go on, so that the average has all rows
        ends = [past[:, :1]] * beyond, [past[:, -1:]] * beyond
        longer = ops.concatenate([*ends[0], past, *ends[1]], axis=1)
        trend = ops.average_pool(longer, self.kernel_size, strides=1)  # (B * K, T, 1)
        y = self.trend(trend[..., 0]) + self.head((past - trend)[..., 0])  # (B * K, horizon * Q)
        return channels.together(y, self.num_targets, self.horizon, self.num_quantiles)

    def get_config(self):
        names = ("horizon", "num_targets", "num_quantiles", "kernel_size")
        return {**super().get_config(), **config_of(self, *names)}
