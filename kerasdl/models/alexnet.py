"""AlexNet, the network that began the deep years of vision."""

from typing import Literal

import keras
from keras import ops

from kerasdl.layers import Dropout, LocalResponseNormalization
from kerasdl.layers.config import config_of
from kerasdl.network.network import Network


def _convolution(filters: int, size: int, name: str, strides: int = 1, padding: str = "same"):
    return keras.layers.Conv2D(
        filters, size, strides, padding, activation="relu", kernel_initializer="he_normal", name=name
    )


@keras.saving.register_keras_serializable("kerasdl")
class AlexNet(Network):
    """AlexNet: five convolutions, three of them with pooling, then three dense layers.

    LeNet-5's plan with a hundred times the channels, and what made that trainable: ReLU, which does not
    saturate, and dropout, without which the dense layers (nine tenths of the weights) would learn by heart.

    Reference: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
    networks", 2012, and the form with one tower: Krizhevsky, "One weird trick for parallelizing convolutional
    neural networks", 2014, https://arxiv.org/abs/1404.5997.

    Differences from the paper of 2012: one tower, with the channels of the form that most use (64, 192, 384,
    256, 256 on 224x224 images); local response normalisation, which that form drops, is off by default;
    dropout stands before the first two dense layers, not after them; He's initial weights. The stem "cifar",
    the 5x5 convolution with stride 1 of the authors' CIFAR networks, suits images of about 32x32, of which
    the paper's stem would leave nothing.

    Args:
        num_classes: number of classes, 1 or more. Defaults to 1000.
        width: filters of the first convolution; those of the others are 3, 6, 4 and 4 times as many.
            Defaults to 64.
        stem: "imagenet" (11x11 with stride 4, for 63x63 pixels or more) or "cifar" (5x5, for 15x15 or more).
            Defaults to "imagenet".
        head_units: units of the dense layers before the last. Defaults to (4096, 4096).
        response_normalization: normalise the outputs of the first two convolutions as in the paper of 2012.
            Defaults to False.
        dropout: fraction of the inputs of these dense layers left out in training, 0 to 1. Defaults to 0.5.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.

    Input: (batch_size, height, width, channels), float32, standardised per channel.
    Output: logits (batch_size, num_classes), float32.

    Parameters: 61,100,840 at 224x224x3 with 1000 classes.

    Example:
        >>> network = AlexNet(num_classes=10, stem="cifar", head_units=(1024, 1024))
        >>> logits = network(images)  # (B, 32, 32, 3)
        >>> logits.shape
        (B, 10)
    """

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        width: int = 64,
        stem: Literal["imagenet", "cifar"] = "imagenet",
        head_units: tuple[int, ...] = (4096, 4096),
        response_normalization: bool = False,
        dropout: float = 0.5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.width = width
        self.stem = stem
        self.head_units = tuple(head_units)
        self.response_normalization = response_normalization
        self.dropout = dropout
        if stem == "imagenet":
            self.conv1 = _convolution(width, 11, "conv1", strides=4, padding="valid")
        else:
            self.conv1 = _convolution(width, 5, "conv1")
        self.conv2 = _convolution(3 * width, 5, "conv2")
        self.conv3 = _convolution(6 * width, 3, "conv3")
        self.conv4 = _convolution(4 * width, 3, "conv4")
        self.conv5 = _convolution(4 * width, 3, "conv5")
        self.normalize = LocalResponseNormalization() if response_normalization else keras.layers.Identity()
        self.pool = keras.layers.MaxPooling2D(3, 2)
        self.flatten = keras.layers.Flatten()
        self.drops = [Dropout(dropout) for _ in self.head_units]
        self.dense = [
            keras.layers.Dense(units, "relu", kernel_initializer="he_normal", name=f"dense_{number}")
            for number, units in enumerate(self.head_units, 1)
        ]
        self.head = keras.layers.Dense(num_classes, name="head", dtype="float32")

    def forward(self, x, training=False):
        """Return the logits of preprocessed inputs."""
        return self.head(self.forward_features(x, training=training))  # (B, num_classes)

    def forward_features(self, x, training=False):
        """Return the inputs of the head, (batch_size, last of head_units), float."""
        if self.stem == "imagenet":
            x = ops.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))  # (B, 228, 228, C), and so below
        x = self.pool(self.normalize(self.conv1(x)))  # (B, 27, 27, 64)
        x = self.pool(self.normalize(self.conv2(x)))  # (B, 13, 13, 192)
        x = self.conv4(self.conv3(x))  # (B, 13, 13, 256)
        x = self.pool(self.conv5(x))  # (B, 6, 6, 256)
        x = self.flatten(x)  # (B, 9216)
        for drop, dense in zip(self.drops, self.dense, strict=True):
            x = dense(drop(x, training=training))  # (B, 4096)
        return x

    def get_config(self):
        names = ("num_classes", "width", "stem", "head_units", "response_normalization", "dropout")
        return {**super().get_config(), **config_of(self, *names)}
