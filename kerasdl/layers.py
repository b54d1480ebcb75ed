"""Layers that mean the same thing in several networks."""

import keras
import tensorflow as tf
from keras import ops

from kerasdl import noise


@keras.saving.register_keras_serializable("kerasdl")
class Dropout(keras.layers.Dropout):
    """Dropout whose mask depends on seed, step and the sample's place in the global batch.

    Inside a training step of `kerasdl.step.Network` the mask is that of `kerasdl.noise`; elsewhere (a plain
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


@keras.saving.register_keras_serializable("kerasdl")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation over the global batch: synchronised where there is more than one replica.

    Keras's default takes the statistics of each replica's part of the batch, which trains another network
    on two devices than on one.

    Reference: Ioffe and Szegedy, "Batch normalization", 2015.

    Args:
        **kwargs: those of `keras.layers.BatchNormalization`. `synchronized` defaults to whether the layer
            is made in the scope of a strategy with several replicas.

    Input and output: (batch_size, ..., channels), float.
    """

    def __init__(self, *, synchronized: bool | None = None, **kwargs):
        if synchronized is None:
            synchronized = tf.distribute.get_strategy().num_replicas_in_sync > 1
        super().__init__(synchronized=synchronized, **kwargs)

    def get_config(self):
        config = super().get_config()
        del config["synchronized"]  # a matter of the devices, not of the network
        return config
