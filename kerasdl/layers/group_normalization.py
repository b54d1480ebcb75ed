"""Group normalisation, with a scale and a shift that may differ by example."""

import keras
import tensorflow as tf
from keras import ops

from kerasdl.layers.config import config_of


@keras.saving.register_keras_serializable("kerasdl")
class GroupNormalization(keras.layers.Layer):
    """Normalise each group of channels of each example over its pixels.

    Values are those of Keras's layer, to rounding. It differs in how they are computed: mean and variance of
    each channel are taken first, those of a group follow from them, and all factors come together in one
    multiplication and one addition to the image. Statistics are float32, whatever the inputs are. A factor
    and a shift that another network computes, such as from a time or a class, cost nothing more (feature-wise
    linear modulation).

    References: Wu, He, "Group normalization", 2018, https://arxiv.org/abs/1803.08494; Perez et al., "FiLM:
    visual reasoning with a general conditioning layer", 2017, https://arxiv.org/abs/1709.07871.

    Args:
        groups: number of groups; has to divide the channels. Defaults to 8.
        epsilon: number added to the variance. Defaults to 1e-5.
        **kwargs: arguments of `keras.Layer`.

    Input: x (B, H, W, C), float; scale and shift (B, C), float, or None: x is multiplied by 1 + scale.
    Output: (B, H, W, C), float.
    """

    def __init__(self, *, groups: int = 8, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.groups = groups
        self.epsilon = epsilon

    def build(self, input_shape, *others):
        channels = input_shape[-1]
        self.gamma = self.add_weight(shape=(channels,), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(channels,), initializer="zeros", name="beta")

    def call(self, x, scale=None, shift=None):
        """Return the normalised images."""
        channels = x.shape[-1]
        mean, variance = tf.nn.moments(tf.cast(x, tf.float32), [1, 2])  # (B, C)
        size = channels // self.groups
        grouped = tf.reshape(mean, (-1, self.groups, size))
        middle = tf.reduce_mean(grouped, 2, keepdims=True)  # (B, G, 1)
        variance = tf.reshape(variance, (-1, self.groups, size)) + tf.square(grouped - middle)
        deviation = tf.math.rsqrt(tf.reduce_mean(variance, 2, keepdims=True) + self.epsilon)
        ones = tf.ones((1, 1, size))
        middle, deviation = (tf.reshape(part * ones, (-1, channels)) for part in (middle, deviation))
        factor, offset = ops.cast(self.gamma, "float32"), ops.cast(self.beta, "float32")
        if scale is not None:
            scale = 1 + tf.cast(scale, tf.float32)
            factor, offset = factor * scale, offset * scale + tf.cast(shift, tf.float32)
        factor *= deviation
        offset -= middle * factor
        factor, offset = (tf.cast(part, x.dtype)[:, None, None] for part in (factor, offset))
        return x * factor + offset

    def compute_output_spec(self, x, scale=None, shift=None):
        return keras.KerasTensor(x.shape, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "groups", "epsilon")}
