"""Layers whose kernel has a largest singular value of 1: spectral normalisation."""

import keras
import tensorflow as tf
from keras import ops

from kerasdl.layers.convolution import Conv2D


@keras.saving.register_keras_serializable("kerasdl")
class SpectralNorm(keras.layers.Layer):
    """Divide a kernel by its largest singular value.

    The value belongs to a direction that is kept as a weight. `follow` improves it by one step of power
    iteration; a training step calls it once before each update of the kernel. So a call changes nothing: it
    gives the same in training and in inference, on any number of replicas and micro-batches. (Keras's
    `SpectralNormalization` overwrites the kernel in each call, and the gradient leaves the division out.)

    Reference: Miyato et al., "Spectral normalization for generative adversarial networks", 2018,
    https://arxiv.org/abs/1802.05957, algorithm 1.

    Input and output: a kernel (..., outputs); all but the last axis count as one.
    """

    def build(self, kernel_shape):
        self.direction = self.add_weight(
            shape=(kernel_shape[-1],),
            initializer="random_normal",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",  # all replicas have the same kernel
            name="direction",
        )

    def call(self, kernel):
        """Return the kernel divided by its largest singular value."""
        across, along = self._directions(kernel)
        matrix = ops.cast(_matrix(kernel), "float32")
        largest = tf.reduce_sum(across * tf.linalg.matvec(matrix, along))
        return kernel / ops.cast(largest, kernel.dtype)

    def follow(self, kernel) -> None:
        """Bring the direction closer to that of the largest singular value."""
        across, _ = self._directions(kernel)
        matrix = tf.stop_gradient(_matrix(tf.convert_to_tensor(kernel)))
        self.direction.assign(tf.linalg.matvec(matrix, across, transpose_a=True))

    def _directions(self, kernel):
        """Return unit vectors (inputs,) and (outputs,), without gradients."""
        matrix = ops.cast(tf.stop_gradient(_matrix(tf.convert_to_tensor(kernel))), "float32")
        along = tf.math.l2_normalize(tf.convert_to_tensor(self.direction))
        return tf.math.l2_normalize(tf.linalg.matvec(matrix, along)), along


def _matrix(kernel):
    """Return a kernel as a matrix (inputs, outputs)."""
    return tf.reshape(kernel, (-1, kernel.shape[-1]))


@keras.saving.register_keras_serializable("kerasdl")
class SpectralConv2D(Conv2D):
    """A convolution whose kernel is divided by its largest singular value (`SpectralNorm`).

    Args:
        **kwargs: arguments of `keras.layers.Conv2D`.

    Input and output: as of `keras.layers.Conv2D`.
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.norm = SpectralNorm()
        self.norm.build(self.kernel.shape)

    def convolution_op(self, inputs, kernel):
        """Return the convolution of inputs, without bias."""
        return super().convolution_op(inputs, self.norm(ops.convert_to_tensor(kernel)))


@keras.saving.register_keras_serializable("kerasdl")
class SpectralDense(keras.layers.Dense):
    """A dense layer whose kernel is divided by its largest singular value (`SpectralNorm`).

    Args:
        **kwargs: arguments of `keras.layers.Dense`.

    Input and output: as of `keras.layers.Dense`.
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.norm = SpectralNorm()
        self.norm.build(self.kernel.shape)

    def call(self, inputs, training=None):
        x = ops.matmul(inputs, self.norm(ops.convert_to_tensor(self.kernel)))
        x = x if self.bias is None else x + self.bias
        return x if self.activation is None else self.activation(x)
