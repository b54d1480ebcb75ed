"""A small convolutional network, to learn on and for quick work."""

from typing import Literal

import keras

from kerasdl.layers import POOLS, ConvolutionBlock, Dropout
from kerasdl.layers.config import config_of
from kerasdl.network.network import Network


@keras.saving.register_keras_serializable("kerasdl")
class ConvNet(Network):
    """Stages of convolution, batch normalisation, activation and pooling, then the mean over all places.

    Each stage halves the image and looks for more kinds of things in it; what is left at the end is how much
    of each there is, wherever it is. Every choice that a course on such networks discusses is an argument.

    References: Goodfellow et al., "Maxout networks", 2013; Springenberg, Dosovitskiy, Brox, Riedmiller,
    "Striving for simplicity: the all convolutional net", 2014, https://arxiv.org/abs/1412.6806 (strides in
    place of pooling); Lin, Chen, Yan, "Network in network", 2013, https://arxiv.org/abs/1312.4400 (the mean
    over all places in place of dense layers).

    Differences from the papers: it is none of their networks, but what they have in common.

    Args:
        num_classes: number of classes, 1 or more. Defaults to 10.
        filters: channels of each stage. Defaults to (32, 64, 128).
        convolutions: convolutions of each stage, 1 or more. Defaults to 1.
        kernel_size: height and width of the kernels in pixels. Defaults to 3.
        activation: "relu", "leaky_relu", "elu", "maxout", "tanh" or "sigmoid". Defaults to "relu".
        batch_normalization: normalise the inputs of the activations. Defaults to True.
        normalization_momentum: momentum of the moving statistics of batch normalisation, 0 to less than 1;
            short training runs need a lower one. Defaults to 0.99.
        pooling: how a stage ends: "max" or "average" of 2x2, or "stride" (its last convolution moves by 2).
            Defaults to "max".
        early_pooling: halve the image right after a stage's first convolution, not at its end: all that
            follows works on a quarter of the places. Defaults to False.
        padding: "same" (zeros at the border) or "valid" (none; the images have to be large enough).
            Defaults to "same".
        dropout: fraction of the features left out in training, 0 to 1. Defaults to 0.0.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.

    Input: (batch_size, height, width, channels), float32; height and width of 2 ** stages or more.
    Output: logits (batch_size, num_classes), float32.

    Parameters: 94,762 trainable with 3 channels and 10 classes, at any size.

    Example:
        >>> network = ConvNet(filters=(64, 128, 256), convolutions=2, dropout=0.3)
        >>> logits = network(images)  # (B, 32, 32, 3)
        >>> logits.shape
        (B, 10)
    """

    def __init__(
        self,
        *,
        num_classes: int = 10,
        filters: tuple[int, ...] = (32, 64, 128),
        convolutions: int = 1,
        kernel_size: int = 3,
        activation: Literal["relu", "leaky_relu", "elu", "maxout", "tanh", "sigmoid"] = "relu",
        batch_normalization: bool = True,
        normalization_momentum: float = 0.99,
        pooling: Literal["max", "average", "stride"] = "max",
        early_pooling: bool = False,
        padding: Literal["same", "valid"] = "same",
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.filters = tuple(filters)
        self.convolutions = convolutions
        self.kernel_size = kernel_size
        self.activation = activation
        self.batch_normalization = batch_normalization
        self.normalization_momentum = normalization_momentum
        self.pooling = pooling
        self.early_pooling = early_pooling
        self.padding = padding
        self.dropout = dropout
        halving = 1 if early_pooling else convolutions  # which convolution of a stage halves the image
        self.blocks = [
            ConvolutionBlock(
                filters=channels,
                kernel_size=kernel_size,
                strides=2 if pooling == "stride" and number == halving else 1,
                padding=padding,
                pooling=pooling if early_pooling and pooling != "stride" and number == halving else None,
                activation=activation,
                batch_normalization=batch_normalization,
                normalization_momentum=normalization_momentum,
                name=f"stage_{stage}_{number}",
            )
            for stage, channels in enumerate(self.filters, 1)
            for number in range(1, convolutions + 1)
        ]
        self.pool = None if early_pooling or pooling == "stride" else POOLS[pooling](2)
        self.mean = keras.layers.GlobalAveragePooling2D()
        self.drop = Dropout(dropout)
        self.head = keras.layers.Dense(num_classes, name="head", dtype="float32")

    def forward(self, x, training=False):
        """Return the logits of preprocessed inputs."""
        return self.head(self.forward_features(x, training=training))  # (B, num_classes)

    def forward_features(self, x, training=False):
        """Return the inputs of the head, (batch_size, last of filters), float."""
        for number, block in enumerate(self.blocks, 1):
            x = block(x, training=training)  # (B, H, W, filters)
            if self.pool is not None and number % self.convolutions == 0:
                x = self.pool(x)  # (B, H/2**stage, W/2**stage, filters)
        return self.drop(self.mean(x), training=training)

    def get_config(self):
        names = (
            "num_classes", "filters", "convolutions", "kernel_size", "activation", "batch_normalization",
            "normalization_momentum", "pooling", "early_pooling", "padding", "dropout",
        )  # fmt: skip
        return {**super().get_config(), **config_of(self, *names)}
