"""Times as vectors: sines and cosines of several frequencies."""

import math

import keras
import tensorflow as tf

from kerasdl.layers.config import config_of

_FASTEST = 100.0  # angular frequency of the fastest wave


@keras.saving.register_keras_serializable("kerasdl")
class TimeEmbedding(keras.layers.Layer):
    """Turn times into sines and cosines of several frequencies.

    Reference: Vaswani et al., "Attention is all you need", 2017, https://arxiv.org/abs/1706.03762.

    Args:
        units: number of values, even. Defaults to 32.
        **kwargs: arguments of `keras.Layer`.

    Input: times (B,), float, 0 to 1.
    Output: (B, units), float, -1 to 1.
    """

    def __init__(self, *, units: int = 32, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def call(self, times):
        """Return the waves at these times."""
        frequencies = tf.exp(tf.linspace(0.0, math.log(_FASTEST), self.units // 2))
        angles = tf.cast(times, tf.float32)[:, None] * frequencies
        return tf.cast(tf.concat([tf.sin(angles), tf.cos(angles)], -1), self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "units")}
