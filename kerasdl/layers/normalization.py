"""Normalisation layers."""

import math

import keras
import tensorflow as tf
from keras import ops

from kerasdl.layers.config import config_of
from kerasdl.private.tensorflow import is_op_determinism_enabled

#: Elements from which a training step gains by the fused kernel; below, its fixed cost of 0.2 to 0.4 ms
#: (forward and backward, 2 cores) is more than it saves: benchmarks/normalization.py --small.
_FUSED_FROM = 2**17
_UNKNOWN_SIZE = 32  # assumed length of an axis of unknown size: Keras's default batch size
_FUSED_DTYPES = ("float32", "float16", "bfloat16")


@keras.saving.register_keras_serializable("kerasdl")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation over the global batch, by TensorFlow's fused kernel where that is faster.

    Weights, configuration, files and, to rounding, values are those of Keras's layer. Two things differ:

    * It is synchronised where there is more than one replica. Keras's default takes the statistics of each
      replica's part of the batch, which trains another network on two devices than on one.
    * One kernel (`FusedBatchNormV3`, by oneDNN on CPUs) computes what Keras leaves to a dozen operators. In
      training it serves inputs of 2**17 elements or more (an axis of unknown size counts as 32), in
      inference those of rank 4: there TensorFlow folds the layer into the convolution before it. Statistics
      are float32, whatever the inputs are.

    Keras's own operators compute the rest: smaller batches, several replicas, masks, `renorm`, another axis
    than the last, float64, and training with `trainable=False`, which takes the moving statistics.

    Reference: Ioffe and Szegedy, "Batch normalization", 2015.

    Args:
        **kwargs: arguments of `keras.layers.BatchNormalization`. `synchronized` defaults to whether the layer
            is made in the scope of a strategy with several replicas.

    Input and output: (batch_size, ..., channels), float. As with Keras's layer an empty batch in training
        makes the moving statistics NaN.
    """

    def __init__(self, *, synchronized: bool | None = None, **kwargs):
        if synchronized is None:
            synchronized = tf.distribute.get_strategy().num_replicas_in_sync > 1
        super().__init__(synchronized=synchronized, **kwargs)

    def call(self, inputs, training=None, mask=None):
        if training and self.trainable and mask is None and self._trains_fused(inputs):
            return self._train_fused(inputs)
        if not training and self._infers_fused(inputs):
            return self._fused(inputs, mean=self.moving_mean, variance=self.moving_variance)[0]
        return super().call(inputs, training=training, mask=mask)

    def get_config(self):
        config = super().get_config()
        del config["synchronized"]  # a matter of the devices, not of the network
        return config

    def _suits_kernel(self, inputs) -> bool:
        is_last = self.axis in (-1, len(inputs.shape) - 1)
        return is_last and not self.renorm and inputs.dtype.name in _FUSED_DTYPES

    def _trains_fused(self, inputs) -> bool:
        if self.synchronized and tf.distribute.get_strategy().num_replicas_in_sync > 1:
            return False
        size = math.prod(_UNKNOWN_SIZE if axis is None else axis for axis in inputs.shape)
        return size >= _FUSED_FROM and self._suits_kernel(inputs)

    def _infers_fused(self, inputs) -> bool:
        # Of the kernel with given statistics there is no deterministic gradient on GPUs: TensorFlow raises.
        if is_op_determinism_enabled() and tf.config.list_physical_devices("GPU"):
            return False
        return len(inputs.shape) == 4 and self._suits_kernel(inputs)

    def _train_fused(self, inputs):
        channels = inputs.shape[-1]
        # The kernel takes 4 axes; reduced to 2, other ranks are the same sums.
        images = inputs if len(inputs.shape) == 4 else tf.reshape(inputs, [1, 1, -1, channels])
        outputs, mean, variance = self._fused(images, is_training=True)
        # The kernel divides by N - 1 (Bessel), Keras by N. One value per channel, N = 1, has a variance of 0.
        ratio = 1 - channels / tf.cast(tf.size(inputs, tf.int64), tf.float32)  # (N - 1) / N
        variance = tf.math.multiply_no_nan(variance, ratio)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            before = ops.cast(moving, "float32")
            moving.assign(before * self.momentum + batch * (1 - self.momentum))
        return outputs if images is inputs else tf.reshape(outputs, tf.shape(inputs))

    def _fused(self, images, *, mean=None, variance=None, is_training=False):
        """Return the normalised (B, H, W, C), and the batch's mean and unbiased variance, (C,)."""
        channels = images.shape[-1]
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            images,
            scale=ops.cast(self.gamma, "float32") if self.scale else tf.ones(channels),
            offset=ops.cast(self.beta, "float32") if self.center else tf.zeros(channels),
            mean=None if mean is None else ops.cast(mean, "float32"),
            variance=None if variance is None else ops.cast(variance, "float32"),
            epsilon=self.epsilon,
            is_training=is_training,
        )
        return ops.cast(outputs, self.compute_dtype), mean, variance


@keras.saving.register_keras_serializable("kerasdl")
class LocalResponseNormalization(keras.layers.Layer):
    """Divide each value by the energy of the neighbouring channels at the same pixel.

    y = x / (bias + alpha * sum of x**2 over 2 radius + 1 channels) ** beta, computed in float32.

    Reference: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
    networks", 2012, section 3.3; the defaults are its values.

    Args:
        radius: number of neighbouring channels on either side. Defaults to 2.
        bias: number added to the sum. Defaults to 2.0.
        alpha: factor of the sum. Defaults to 1e-4.
        beta: exponent. Defaults to 0.75.
        **kwargs: arguments of `keras.Layer`.

    Input and output: (batch_size, height, width, channels), float.
    """

    def __init__(
        self, *, radius: int = 2, bias: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, **kwargs
    ):
        super().__init__(**kwargs)
        self.radius = radius
        self.bias = bias
        self.alpha = alpha
        self.beta = beta

    def call(self, inputs):
        # One operator in TFLite and in ONNX; integer TFLite files compute it in float32.
        outputs = tf.nn.local_response_normalization(
            ops.cast(inputs, "float32"), self.radius, self.bias, self.alpha, self.beta
        )
        return ops.cast(outputs, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "radius", "bias", "alpha", "beta")}
