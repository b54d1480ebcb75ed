"""Dropout that is the same on any number of replicas and micro-batches."""

import keras
import tensorflow as tf
from keras import ops

from kerasdl.layers import noise


@keras.saving.register_keras_serializable("kerasdl")
class Dropout(keras.layers.Dropout):
    """Dropout whose mask depends on seed, step and the sample's place in the global batch.

    Inside a training step of `kerasdl.Network` the mask is that of `kerasdl.layers.noise`; elsewhere (a plain
    call with `training=True`) it is Keras's own.

    Reference: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

    Args:
        rate: fraction of the inputs set to zero, 0 to 1; the others are divided by `1 - rate`.

    Input and output: (batch_size, ...), float.
    """

    def call(self, inputs, training=False):
        if not training or self.rate == 0 or not noise.is_keyed():
            return super().call(inputs, training=training)
        kept = noise.uniform(ops.shape(inputs)) >= self.rate
        return tf.where(kept, inputs / (1 - self.rate), tf.zeros_like(inputs))
