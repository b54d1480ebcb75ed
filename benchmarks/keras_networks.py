"""The networks of kerasdl in Keras's own layers, as users of Keras write them: raw images in, logits out."""

import keras
import numpy as np
from keras import layers, ops
from networks import SPECS

_HE = {"kernel_initializer": "he_normal"}


def network(name: str, dropout: float) -> keras.Model:
    """Build a network of `networks.SPECS` under the dtype policy that is set.

    Args:
        name: of the network.
        dropout: fraction of units left out in training, where the network has any dropout.
    """
    spec = SPECS[name]
    inputs = keras.Input(spec.shape, dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    features = {"lenet5": lenet5, "mlp": mlp, "vgg16": vgg16, "resnet20": resnet20, "resnet50": resnet50}[
        name
    ]
    return keras.Model(inputs, layers.Dense(spec.num_classes, dtype="float32")(features(x, dropout)))


def flop_per_sample(network: keras.Model, *, training: bool) -> int:
    """Count the floating-point operations of a functional network's layers with a kernel, on one sample.

    A multiplication and an addition are two. In training the gradients of weights and of inputs cost as much
    as the forward pass each; the first layer's input needs none.
    """
    products = []
    for layer in network.layers:
        if hasattr(layer, "kernel"):
            places = int(np.prod(layer.output.shape[1:-1]))  # 1 for a dense layer
            products.append(places * int(np.prod(layer.kernel.shape)))
    return 2 * (3 * sum(products) - products[0] if training else sum(products))


def lenet5(x, dropout: float):
    """Return C5's and F6's answer to (B, 28, 28, 1)."""
    x = layers.Conv2D(6, 5, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(16, 5, activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    return _dense(x, (120, 84), dropout)


def mlp(x, dropout: float):
    """Return the answer of one hidden layer."""
    return _dense(x, (512,), dropout)


def vgg16(x, dropout: float):
    """Return the answer of one dense layer to (B, 32, 32, 3)."""
    for filters, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            x = layers.Conv2D(filters, 3, padding="same", **_HE)(x)
            x = layers.BatchNormalization()(x)
            x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x)
    return _dense(x, (512,), dropout, **_HE)


def resnet20(x, dropout: float):
    """Return the mean features of (B, 32, 32, 3); shortcuts without weights."""
    x = layers.ReLU()(_normalized(x, 16, 3))
    for filters in (16, 32, 64):
        for number in range(3):
            strides = 2 if filters > 16 and number == 0 else 1
            y = layers.ReLU()(_normalized(x, filters, 3, strides))
            y = _normalized(y, filters, 3)
            if strides == 2:
                more = filters // 4  # new channels on either side
                x = ops.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (more, more)))
            x = layers.ReLU()(layers.Add()([x, y]))
    return layers.GlobalAveragePooling2D()(x)


def resnet50(x, dropout: float):
    """Return the mean features of (B, 224, 224, 3); v1.5, the stride in the 3x3 convolution."""
    x = layers.ReLU()(_normalized(x, 64, 7, 2))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    for filters, count in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for number in range(count):
            strides = 2 if filters > 64 and number == 0 else 1
            y = layers.ReLU()(_normalized(x, filters, 1))
            y = layers.ReLU()(_normalized(y, filters, 3, strides))
            y = _normalized(y, 4 * filters, 1)
            if number == 0:
                x = _normalized(x, 4 * filters, 1, strides)
            x = layers.ReLU()(layers.Add()([x, y]))
    return layers.GlobalAveragePooling2D()(x)


def _normalized(x, filters: int, size: int, strides: int = 1):
    padding = "same" if strides == 1 else "valid"
    if strides > 1 and size > 1:
        x = layers.ZeroPadding2D(size // 2)(x)
    x = layers.Conv2D(filters, size, strides, padding, use_bias=False, **_HE)(x)
    return layers.BatchNormalization()(x)


def _dense(x, units: tuple[int, ...], dropout: float, **arguments):
    x = layers.Flatten()(x)
    for number in units:
        x = layers.Dense(number, activation="relu", **arguments)(x)
        x = layers.Dropout(dropout)(x)
    return x
