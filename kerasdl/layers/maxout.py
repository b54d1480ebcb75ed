"""An activation that is learned."""

import functools

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerasdl")
class Maxout(keras.layers.Layer):
    """The largest of several linear outputs: a learned, convex, piecewise linear activation.

    Reference: Goodfellow, Warde-Farley, Mirza, Courville, Bengio, "Maxout networks", 2013,
    https://arxiv.org/abs/1302.4389.

    Args:
        pieces: number of inputs that compete for each channel of the output, 1 or more. Defaults to 2.
        **kwargs: arguments of `keras.Layer`.

    Input: (batch_size, ..., pieces * channels), float; channel c competes with c + channels, and so on.
    Output: (batch_size, ..., channels), float.
    """

    def __init__(self, *, pieces: int = 2, **kwargs):
        super().__init__(**kwargs)
        self.pieces = pieces

    def call(self, inputs):
        return functools.reduce(ops.maximum, ops.split(inputs, self.pieces, axis=-1))

    def get_config(self):
        return {**super().get_config(), "pieces": self.pieces}
