"""A recurrent network that forecasts all steps at once."""

import keras
from keras import ops

from kerasdl.layers import Dropout, Recurrent, channels
from kerasdl.layers.config import config_of
from kerasdl.layers.recurrent import CellName
from kerasdl.network.network import Network


@keras.saving.register_keras_serializable("kerasdl")
class Forecaster(Network):
    """A recurrent network over the past; one layer gives all future steps from its last state.

    The last value is subtracted before and added after, so that the network forecasts changes: levels that
    training never saw are no trouble then. Several targets are forecast by the same weights, each from its
    own past (and from the further columns).

    References: Hochreiter, Schmidhuber, "Long short-term memory", 1997; Zeng et al., "Are transformers
    effective for time series forecasting?", 2023, https://arxiv.org/abs/2205.13504 (the last value).

    Args:
        horizon: rows to forecast. Defaults to 24.
        num_targets: columns to forecast, the first of the input. Defaults to 1.
        num_quantiles: quantiles to forecast of each value; 0 for the values alone. Defaults to 0.
        cell: "lstm", "gru" or "simple_rnn". Defaults to "lstm".
        units: size of the state. Defaults to 32.
        num_layers: number of recurrent layers. Defaults to 1.
        subtract_last: forecast changes from the last value. Defaults to True.
        dropout: fraction of the last state that is left out in training, 0 to 1. Defaults to 0.0.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.

    Input: (batch_size, context, columns), float32, the targets first.
    Output: (batch_size, horizon, num_targets), float32; with quantiles (batch_size, horizon, num_targets,
    num_quantiles).

    Parameters: 5,144 for one column (LSTM of 32 units, 24 rows ahead).

    Example:
        >>> network = Forecaster(horizon=24, cell="gru")
        >>> network(windows).shape  # (B, 96, 1), standardised
        (B, 24, 1)
    """

    def __init__(
        self,
        *,
        horizon: int = 24,
        num_targets: int = 1,
        num_quantiles: int = 0,
        cell: CellName = "lstm",
        units: int = 32,
        num_layers: int = 1,
        subtract_last: bool = True,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.autocast = False  # raw values come as they are
        self.horizon = horizon
        self.num_targets = num_targets
        self.num_quantiles = num_quantiles
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.subtract_last = subtract_last
        self.dropout = dropout
        self.recurrent = [Recurrent(cell=cell, units=units) for _ in range(num_layers)]
        self.drop = Dropout(dropout)
        self.head = keras.layers.Dense(horizon * max(1, num_quantiles), name="head", dtype="float32")

    def forward(self, x, training=False):
        """Return the forecasts for standardised windows."""
        targets, quantiles = self.num_targets, self.num_quantiles
        seen = channels.without_last(x, targets) if self.subtract_last else x  # (B, T, C)
        y = self.head(self._last_states(seen, training=training))  # (B * K, horizon * Q)
        y = channels.together(y, targets, self.horizon, quantiles)  # (B, horizon, K[, Q])
        return y + channels.last_values(x, targets, quantiles) if self.subtract_last else y

    def _last_states(self, x, training=False):
        """Return the last states of each target, (batch_size * num_targets, units)."""
        x = channels.apart(x, self.num_targets)  # (B * K, T, 1 + further columns)
        for layer in self.recurrent:
            x, _ = layer(x, training=training)
        last = ops.reshape(x[:, -1], (-1, self.num_targets * self.units))  # a sample is a row of its noise
        return ops.reshape(self.drop(last, training=training), (-1, self.units))

    def get_config(self):
        names = ("horizon", "num_targets", "num_quantiles", "cell", "units", "num_layers", "subtract_last")
        return {**super().get_config(), **config_of(self, *names, "dropout")}
