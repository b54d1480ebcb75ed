"""Layers that mean the same thing in several networks."""

import functools
import math
from typing import Literal

import keras
import tensorflow as tf
from keras import ops
from tensorflow.python.framework.config import is_op_determinism_enabled  # it has no public name

from kerasdl import noise

#: Elements from which a training step gains by the fused kernel; below, its fixed cost of 0.2 to 0.4 ms
#: (forward
#: and backward, 2 cores) is more than it saves: benchmarks/normalization.py --small.
_FUSED_FROM = 2**17
_UNKNOWN_SIZE = 32  # what an axis of unknown size counts for: Keras's own batch size
_FUSED_DTYPES = ("float32", "float16", "bfloat16")
#: Places of an image up to which a product of matrices is the faster gradient of a bfloat16 kernel.
_PRODUCT_TO = 16
#: Ways to make one value of those of a small square.
POOLS = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}


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
class Conv2D(keras.layers.Conv2D):
    """A convolution whose kernel learns faster where images are small and numbers bfloat16.

    Weights, configuration, files and values are those of Keras's layer; only how the kernel's gradient is
    computed differs. oneDNN's own way falls to 60 and 170 GFLOP/s on images of 2x2 and 4x4 pixels, where a
    product of matrices runs at 220 and 310 (benchmarks/convolution.py): there the gradient is the product of
    the patches under the kernel and what comes back for them.

    Args:
        **kwargs: those of `keras.layers.Conv2D`.

    Input: (batch_size, height, width, channels), float.
    Output: (batch_size, new height, new width, filters), float.
    """

    def convolution_op(self, inputs, kernel):
        """Return the convolution of inputs, without bias."""
        if self._learns_by_product(inputs):
            return _convolution_with_product(inputs, tf.identity(kernel))  # a value: no variable is taken
        return super().convolution_op(inputs, kernel)

    def _learns_by_product(self, inputs) -> bool:
        height, width = inputs.shape[1:3]
        return (
            inputs.dtype == "bfloat16"  # never an exported network's
            and self.data_format == "channels_last"
            and None not in (height, width)
            and height * width <= _PRODUCT_TO
            and self.padding == "same"
            and (*self.strides, *self.dilation_rate, self.groups) == (1, 1, 1, 1, 1)
            and all(size % 2 for size in self.kernel_size)
            and not tf.config.list_physical_devices("GPU")  # cuDNN is quick there too
        )


@tf.custom_gradient
def _convolution_with_product(inputs, kernel):
    """Convolve (B, H, W, C) with (h, w, C, K), at a stride of 1, zeros around it."""
    _, height, width, _ = inputs.shape
    rows, columns, channels, filters = kernel.shape

    def gradient(upstream):
        of_inputs = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(inputs),
            filter=kernel,
            out_backprop=upstream,
            strides=[1] * 4,
            padding="SAME",
        )
        padded = tf.pad(inputs, ((0, 0), *(((size // 2,) * 2) for size in (rows, columns)), (0, 0)))
        shifted = [
            padded[:, row : row + height, column : column + width]
            for row in range(rows)
            for column in range(columns)
        ]
        patches = tf.reshape(tf.concat(shifted, -1), (-1, rows * columns * channels))
        of_kernel = tf.matmul(patches, tf.reshape(upstream, (-1, filters)), transpose_a=True)
        return of_inputs, tf.reshape(of_kernel, kernel.shape)

    return tf.nn.conv2d(inputs, kernel, 1, "SAME"), gradient


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
        **kwargs: those of `keras.layers.BatchNormalization`. `synchronized` defaults to whether the layer
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
        """Return what the kernel makes of (B, H, W, C), and the batch's mean and corrected variance, (C,)."""
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
    """Divide each value by what its neighbours, the channels beside it at the same place, answer there.

    y = x / (bias + alpha * sum of x**2 over 2 radius + 1 channels) ** beta, computed in float32.

    Reference: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
    networks", 2012, section 3.3; the defaults are its values.

    Args:
        radius: channels on either side that count. Defaults to 2.
        bias: what is added to the sum. Defaults to 2.0.
        alpha: factor of the sum. Defaults to 1e-4.
        beta: exponent. Defaults to 0.75.
        **kwargs: those of `keras.Layer`.

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
        names = ("radius", "bias", "alpha", "beta")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("kerasdl")
class Maxout(keras.layers.Layer):
    """The largest of several linear answers: an activation that is learned, convex and piecewise linear.

    Reference: Goodfellow, Warde-Farley, Mirza, Courville, Bengio, "Maxout networks", 2013,
    https://arxiv.org/abs/1302.4389.

    Args:
        pieces: answers that compete for each channel of the output, 1 or more. Defaults to 2.
        **kwargs: those of `keras.Layer`.

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


@keras.saving.register_keras_serializable("kerasdl")
class ConvolutionBlock(keras.layers.Layer):
    """A convolution, batch normalisation where it is asked for, and an activation.

    Kernels are initialised as in He et al. 2015 where a relative of ReLU follows, else as in Glorot and
    Bengio 2010.

    Args:
        filters: channels of the output.
        kernel_size: height and width of the kernel in pixels.
        strides: pixels from one place of the kernel to the next. Defaults to 1.
        padding: "same" (zeros at the border) or "valid" (none). Defaults to "same".
        pooling: "max" or "average" of 2x2 between the convolution and what follows. Defaults to None.
        activation: name of a Keras activation, or "maxout", before which the convolution has twice the
            filters. Defaults to "relu".
        batch_normalization: normalise what the activation gets. Defaults to True.
        use_bias: add a bias to the convolution. Defaults to None: only without normalisation, which would
            take it away again.
        normalization_momentum: of the moving statistics, 0 to less than 1. Defaults to 0.99.
        **kwargs: those of `keras.Layer`.

    Raises:
        ValueError: for a momentum outside its range.

    Input: (batch_size, height, width, channels), float.
    Output: (batch_size, new height, new width, filters), float.
    """

    def __init__(
        self,
        *,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        padding: str = "same",
        pooling: Literal["max", "average"] | None = None,
        activation: str = "relu",
        batch_normalization: bool = True,
        use_bias: bool | None = None,
        normalization_momentum: float = 0.99,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0 <= normalization_momentum < 1:
            raise ValueError(
                f"normalization_momentum is {normalization_momentum}, but it has to lie in 0 <= x < 1."
            )
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        self.pooling = pooling
        self.activation = activation
        self.batch_normalization = batch_normalization
        self.use_bias = use_bias
        self.normalization_momentum = normalization_momentum
        self.convolution = Conv2D(
            filters * 2 if activation == "maxout" else filters,
            kernel_size,
            strides,
            padding,
            use_bias=not batch_normalization if use_bias is None else use_bias,
            kernel_initializer="he_normal" if activation.endswith("lu") else "glorot_uniform",
            name="convolution",
        )
        self.pool = None if pooling is None else POOLS[pooling](2)
        self.normalization = None
        if batch_normalization:
            self.normalization = BatchNormalization(momentum=normalization_momentum, name="normalization")
        self.activate = Maxout() if activation == "maxout" else keras.layers.Activation(activation)

    def call(self, inputs, training=False):
        x = self.convolution(inputs)
        if self.pool is not None:
            x = self.pool(x)
        if self.normalization is not None:
            x = self.normalization(x, training=training)
        return self.activate(x)

    def get_config(self):
        names = ("filters", "kernel_size", "strides", "padding", "pooling", "activation")
        names += ("batch_normalization", "use_bias", "normalization_momentum")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
