"""Convolutions, and blocks of convolution, normalisation and activation."""

from typing import Literal

import keras
import tensorflow as tf

from kerasdl.layers.config import config_of
from kerasdl.layers.maxout import Maxout
from kerasdl.layers.normalization import BatchNormalization

#: Places of an image up to which a product of matrices is the faster gradient of a bfloat16 kernel.
_PRODUCT_TO = 16
#: Pooling layers by name.
POOLS = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}


@keras.saving.register_keras_serializable("kerasdl")
class Conv2D(keras.layers.Conv2D):
    """A convolution with a faster kernel gradient for small images in bfloat16.

    Weights, configuration, files and values are those of Keras's layer; only how the kernel's gradient is
    computed differs. oneDNN's own way falls to 60 and 170 GFLOP/s on images of 2x2 and 4x4 pixels, where a
    product of matrices runs at 220 and 310 (benchmarks/convolution.py): there the gradient is the product of
    the patches under the kernel and what comes back for them.

    Args:
        **kwargs: arguments of `keras.layers.Conv2D`.

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
class ConvolutionBlock(keras.layers.Layer):
    """A convolution, optional batch normalisation, and an activation.

    Kernels are initialised as in He et al. 2015 where a relative of ReLU follows, else as in Glorot and
    Bengio 2010.

    Args:
        filters: channels of the output.
        kernel_size: height and width of the kernel in pixels.
        strides: pixels between neighbouring positions of the kernel. Defaults to 1.
        padding: "same" (zeros at the border) or "valid" (none). Defaults to "same".
        pooling: "max" or "average" of 2x2 right after the convolution. Defaults to None.
        activation: name of a Keras activation, or "maxout", before which the convolution has twice the
            filters. Defaults to "relu".
        batch_normalization: normalise the inputs of the activation. Defaults to True.
        use_bias: add a bias to the convolution. Defaults to None: only without normalisation, which would
            take it away again.
        normalization_momentum: momentum of the moving statistics, 0 to less than 1. Defaults to 0.99.
        **kwargs: arguments of `keras.Layer`.

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
        names = (
            "filters", "kernel_size", "strides", "padding", "pooling", "activation", "batch_normalization",
            "use_bias", "normalization_momentum",
        )  # fmt: skip
        return {**super().get_config(), **config_of(self, *names)}
