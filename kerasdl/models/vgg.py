"""VGG, the network of nothing but 3x3 convolutions."""

from typing import Literal

import keras

from kerasdl.layers import ConvolutionBlock, Dropout
from kerasdl.layers.config import config_of
from kerasdl.network.network import Network

#: Depth -> convolutions of each of the five stages: columns A, B, D and E of the paper's table 1.
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
#: Filters of each stage, as multiples of the first stage's.
_FACTORS = (1, 2, 4, 8, 8)


@keras.saving.register_keras_serializable("kerasdl")
class VGG(Network):
    """VGG: five stages of 3x3 convolutions, each ended by pooling, then three dense layers.

    Two 3x3 convolutions see as far as one of 5x5 and three as far as one of 7x7, with fewer weights and a
    nonlinearity after each: depth is bought with small kernels, and one shape of layer does everything.

    Reference: Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition",
    2014, https://arxiv.org/abs/1409.1556, table 1.

    Differences from the paper: batch normalisation as an argument (2015; biases stay, as in the counts that
    are published for it), He's initial weights in place of a shallower network's, and the dense layers as an
    argument. `head_units=(512,)` or `()` makes a network for 32x32 images, of which the five poolings leave
    one place: the paper's two layers of 4096 would hold more weights than all convolutions.

    Args:
        num_classes: number of classes, 1 or more. Defaults to 1000.
        depth: layers with weights in the paper's form: 11, 13, 16 or 19. Defaults to 16.
        width: filters of the first stage; the others have 2, 4, 8 and 8 times as many. Defaults to 64.
        batch_normalization: normalise after each convolution. Defaults to False.
        head_units: units of the dense layers before the last. Defaults to (4096, 4096).
        dropout: fraction of the units of each of these layers left out in training, 0 to 1. Defaults to 0.5.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.

    Input: (batch_size, height, width, channels), float32, standardised per channel; height and width of 32 or
        more.
    Output: logits (batch_size, num_classes), float32.

    Parameters: trainable, at 224x224x3 with 1000 classes: 132,863,336 (11), 133,047,848 (13), 138,357,544
    (16, the default), 143,667,240 (19); 138,365,992 (16 with batch normalisation, without its moving
    statistics). Their order and shapes are those of `keras.applications`.

    Example:
        >>> network = VGG(num_classes=10, batch_normalization=True, head_units=(512,))
        >>> logits = network(images)  # (B, 32, 32, 3)
        >>> logits.shape
        (B, 10)
    """

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        depth: Literal[11, 13, 16, 19] = 16,
        width: int = 64,
        batch_normalization: bool = False,
        head_units: tuple[int, ...] = (4096, 4096),
        dropout: float = 0.5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.depth = depth
        self.width = width
        self.batch_normalization = batch_normalization
        self.head_units = tuple(head_units)
        self.dropout = dropout
        self.convolutions = [
            ConvolutionBlock(
                filters=width * factor,
                kernel_size=3,
                batch_normalization=batch_normalization,
                use_bias=True,
                name=f"stage_{stage}_{number}",
            )
            for stage, (count, factor) in enumerate(zip(STAGES[depth], _FACTORS, strict=True), 1)
            for number in range(1, count + 1)
        ]
        self.pool = keras.layers.MaxPooling2D(2)
        self.flatten = keras.layers.Flatten()
        self.dense = [
            keras.layers.Dense(units, "relu", kernel_initializer="he_normal", name=f"dense_{number}")
            for number, units in enumerate(self.head_units, 1)
        ]
        self.drops = [Dropout(dropout) for _ in self.head_units]
        self.head = keras.layers.Dense(num_classes, name="head", dtype="float32")

    def forward(self, x, training=False):
        """Return the logits of preprocessed inputs."""
        return self.head(self.forward_features(x, training=training))  # (B, num_classes)

    def forward_features(self, x, training=False):
        """Return the inputs of the head, (batch_size, last of head_units), float."""
        convolutions = iter(self.convolutions)
        for count in STAGES[self.depth]:
            for _ in range(count):
                x = next(convolutions)(x, training=training)
            x = self.pool(x)  # (B, H/2**stage, W/2**stage, filters)
        x = self.flatten(x)  # (B, H/32 * W/32 * 8 width)
        for dense, drop in zip(self.dense, self.drops, strict=True):
            x = drop(dense(x), training=training)
        return x

    def get_config(self):
        names = ("num_classes", "depth", "width", "batch_normalization", "head_units", "dropout")
        return {**super().get_config(), **config_of(self, *names)}
