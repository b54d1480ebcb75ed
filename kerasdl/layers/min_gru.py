"""The minimal gated recurrent unit, whose states of all steps are computed at the same time."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from kerasdl.layers.config import config_of


@keras.saving.register_keras_serializable("kerasdl")
class MinGRU(keras.layers.Layer):
    """A recurrent layer whose gate and candidate depend on the input alone: h' = (1 - z) h + z c.

    So all gates are one matrix product, and the states a linear recurrence, which a scan computes for all
    steps in log2(T) passes. What a layer keeps does not depend on what it knows already: it takes several.

    Reference: Feng et al., "Were RNNs all we needed?", 2024, https://arxiv.org/abs/2410.01201.

    Differences from the paper: a Hillis-Steele scan of the recurrence itself instead of a scan of logarithms,
    which as 0 < 1 - z < 1 needs none; so candidates may be of either sign, as in its equation (4).

    Args:
        units: size of the state. Defaults to 64.
        **kwargs: arguments of `keras.Layer`.

    Input: x (B, T, D), float; states, a list with h (B, units), None for zeros.
    Output: outputs (B, T, units); states after the last step, a list with h (B, units).
    """

    def __init__(self, *, units: int = 64, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.both = keras.layers.Dense(2 * units, dtype=self.dtype_policy)

    @property
    def state_shapes(self) -> list[tuple[int]]:
        """Shape of each state, without the batch axis."""
        return [(self.units,)]

    def build(self, input_shape):
        self.both.build(input_shape)

    def call(self, x, states=None, training=False):
        """Return the outputs of all steps, and the state after the last."""
        kept, added = self._gates(x)
        if states is not None:
            first = added[:, :1] + kept[:, :1] * tf.cast(states[0], added.dtype)[:, None]
            added = tf.concat([first, added[:, 1:]], axis=1)
        outputs = _scanned(kept, added)
        return outputs, [outputs[:, -1]]

    def step(self, x, states: Sequence):
        """Return the output (B, units) and the state after one step of inputs (B, D)."""
        kept, added = self._gates(x)
        output = kept * tf.cast(states[0], added.dtype) + added
        return output, [output]

    def compute_output_spec(self, x, states=None, training=False):
        outputs = keras.KerasTensor((*x.shape[:-1], self.units), self.compute_dtype)
        return outputs, [keras.KerasTensor((x.shape[0], self.units), self.compute_dtype)]

    def get_config(self):
        return {**super().get_config(), **config_of(self, "units")}

    def _gates(self, x):
        """Return what each step keeps of the state, 0 to 1, and what it adds (..., units)."""
        gate, candidate = tf.split(self.both(x), 2, axis=-1)
        update = tf.sigmoid(gate)
        return 1 - update, update * candidate


def _scanned(kept, added):
    """Return the states h[t] = kept[t] h[t - 1] + added[t] (B, T, units), from zeros on."""
    steps = tf.shape(added)[1]

    def joined(distance, kept, added):
        """Let each place span twice as many steps: those before it come in `distance` places earlier."""
        none = tf.zeros_like(added[:, :distance])
        before = tf.concat([none, added[:, : steps - distance]], axis=1)
        spans = tf.concat([none, kept[:, : steps - distance]], axis=1)
        return 2 * distance, kept * spans, added + kept * before

    if added.shape[1] is not None:
        distance = 1
        while distance < added.shape[1]:
            distance, kept, added = joined(distance, kept, added)
        return added
    open_steps = tf.TensorShape((None, None, added.shape[-1]))
    found = tf.while_loop(
        lambda distance, *_: distance < steps,
        joined,
        (tf.constant(1), kept, added),
        shape_invariants=(tf.TensorShape(()), open_steps, open_steps),
    )
    return found[2]
