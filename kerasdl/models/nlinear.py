"""NLinear: one linear map from the past to the future, over changes from the last value."""

import keras

from kerasdl.errors import UsageError
from kerasdl.layers import channels
from kerasdl.layers.config import config_of
from kerasdl.network.network import Network


@keras.saving.register_keras_serializable("kerasdl")
class NLinear(Network):
    """The last value is subtracted, a linear layer maps past rows to future rows, and it is added again.

    All targets share the layer. It trains in seconds and is hard to beat.

    Reference: Zeng et al., "Are transformers effective for time series forecasting?", 2023,
    https://arxiv.org/abs/2205.13504.

    Args:
        horizon: rows to forecast. Defaults to 24.
        num_targets: columns to forecast. Defaults to 1.
        num_quantiles: quantiles to forecast of each value; 0 for the values alone. Defaults to 0.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.

    Input: (batch_size, context, num_targets), float32.
    Output: (batch_size, horizon, num_targets), float32; with quantiles (batch_size, horizon, num_targets,
    num_quantiles).

    Parameters: 2,328 for 96 rows of the past and 24 of the future.

    Example:
        >>> NLinear(horizon=24)(windows).shape  # (B, 96, 1), standardised
        (B, 24, 1)
    """

    def __init__(self, *, horizon: int = 24, num_targets: int = 1, num_quantiles: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.autocast = False  # raw values come as they are
        self.horizon = horizon
        self.num_targets = num_targets
        self.num_quantiles = num_quantiles
        self.head = keras.layers.Dense(horizon * max(1, num_quantiles), name="head", dtype="float32")

    def forward(self, x, training=False):
        """Return the forecasts for standardised windows."""
        targets, quantiles = self.num_targets, self.num_quantiles
        if x.shape[-1] != targets:
            raise UsageError(
                "NLinear sees the past of the targets alone. Leave --features out, or train `forecast`."
            )
        past = channels.apart(channels.without_last(x, targets), targets)[..., 0]  # (B * K, T)
        y = channels.together(self.head(past), targets, self.horizon, quantiles)
        return y + channels.last_values(x, targets, quantiles)  # (B, horizon, K[, Q])

    def get_config(self):
        return {**super().get_config(), **config_of(self, "horizon", "num_targets", "num_quantiles")}
