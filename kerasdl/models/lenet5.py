"""LeNet-5, the convolutional network that read bank cheques."""

from typing import Literal

import keras
from keras import ops

from kerasdl.layers import Dropout
from kerasdl.layers.config import config_of
from kerasdl.network.network import Network


@keras.saving.register_keras_serializable("kerasdl")
class LeNet5(Network):
    """LeNet-5: two convolutions with pooling, then three dense layers.

    Each unit sees a small patch, all patches share one set of weights, and pooling keeps what was found
    while it forgets exactly where: that is why few weights read digits in any place.

    Reference: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
    1998, http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf, figure 2.

    Differences from the paper: C3 sees all six maps of S2 (the paper's table I leaves some out); pooling has
    no weights; the output layer is dense and gives logits, not distances to fixed bitmaps; C5 is written as a
    dense layer, the same thing at 32x32.

    Args:
        num_classes: number of classes, 1 or more. Defaults to 10.
        activation: name of a Keras activation; the paper uses "tanh", most use "relu" today.
            Defaults to "tanh".
        pooling: "average" as in the paper, or "max". Defaults to "average".
        dropout: fraction of C5's and F6's units left out in training, 0 to 1. Defaults to 0.0.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.

    Input: (batch_size, height, width, channels), float32; images under 32x32 are centred in zeros, as the
        paper does with its 28x28 digits.
    Output: logits (batch_size, num_classes), float32.

    Parameters: 61,706 at 32x32x1 or 28x28x1 with 10 classes.

    Example:
        >>> network = LeNet5(activation="relu", pooling="max")
        >>> logits = network(images)  # (B, 28, 28, 1), 0..1
        >>> logits.shape
        (B, 10)
    """

    def __init__(
        self,
        *,
        num_classes: int = 10,
        activation: str = "tanh",
        pooling: Literal["average", "max"] = "average",
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.activation = activation
        self.pooling = pooling
        self.dropout = dropout
        pool = {"average": keras.layers.AveragePooling2D, "max": keras.layers.MaxPooling2D}[pooling]
        self.c1 = keras.layers.Conv2D(6, 5, activation=activation, name="c1")
        self.s2 = pool(2, name="s2")
        self.c3 = keras.layers.Conv2D(16, 5, activation=activation, name="c3")
        self.s4 = pool(2, name="s4")
        self.flatten = keras.layers.Flatten()
        self.c5 = keras.layers.Dense(120, activation=activation, name="c5")
        self.f6 = keras.layers.Dense(84, activation=activation, name="f6")
        self.drop5 = Dropout(dropout)
        self.drop6 = Dropout(dropout)
        self.head = keras.layers.Dense(num_classes, name="head", dtype="float32")

    def forward(self, x, training=False):
        """Return the logits of preprocessed inputs."""
        return self.head(self.forward_features(x, training=training))  # (B, num_classes)

    def forward_features(self, x, training=False):
        """Return the inputs of the head, (batch_size, 84), float."""
        x = _centre(x, 32)  # (B, 32, 32, C)
        x = self.s2(self.c1(x))  # (B, 14, 14, 6)
        x = self.s4(self.c3(x))  # (B, 5, 5, 16)
        x = self.flatten(x)  # (B, 400)
        x = self.drop5(self.c5(x), training=training)  # (B, 120)
        return self.drop6(self.f6(x), training=training)  # (B, 84)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "num_classes", "activation", "pooling", "dropout")}


def _centre(images, size: int):
    """Put images that are smaller than size x size into the middle of zeros."""
    height, width = max(size - images.shape[1], 0), max(size - images.shape[2], 0)
    if not height and not width:
        return images
    return ops.pad(
        images, ((0, 0), (height // 2, height - height // 2), (width // 2, width - width // 2), (0, 0))
    )
