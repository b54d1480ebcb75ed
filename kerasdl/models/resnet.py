"""ResNet, the networks that made depth trainable."""

from typing import Literal

import keras
import numpy as np
from keras import ops

from kerasdl.layers import BatchNormalization, Conv2D, Dropout
from kerasdl.layers.config import config_of
from kerasdl.network.network import Network

#: Depth -> kind of block, and the blocks of each stage. The first five are table 1 of the paper, the others
#: section 4.2: 6 n + 2 layers for CIFAR-10.
STAGES = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
    20: ("basic", (3, 3, 3)),
    32: ("basic", (5, 5, 5)),
    44: ("basic", (7, 7, 7)),
    56: ("basic", (9, 9, 9)),
    110: ("basic", (18, 18, 18)),
}
#: Kind of block -> size of each convolution's kernel, and its filters as a multiple of the block's.
_CONVOLUTIONS = {"basic": ((3, 1), (3, 1)), "bottleneck": ((1, 1), (3, 1), (1, 4))}


def _convolution(filters: int, size: int, strides: int = 1) -> Conv2D:
    """Make a convolution that batch normalisation follows; initialised as in He et al. 2015."""
    # With a stride "same" would pad images of even size at their end only: `_padded` does it on both sides.
    padding = "same" if strides == 1 else "valid"
    return Conv2D(filters, size, strides, padding, use_bias=False, kernel_initializer="he_normal")


def _padded(x, convolution: Conv2D):
    """Pad by half a kernel on each side where the convolution does not pad itself."""
    half = convolution.kernel_size[0] // 2
    if convolution.padding == "same" or half == 0:
        return x
    return ops.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))


def _identity(channels: int, filters: int, dtype):
    """Return the kernel of shortcut A, (1, 1, channels, filters): each channel as it is, zeros around them.

    One convolution with it is exact, and faster than slicing and padding: in training, and in XNNPACK, which
    knows no slices with a step and would leave them to another kernel.
    """
    kernel = np.eye(channels, filters, (filters - channels) // 2, np.float32)
    return ops.convert_to_tensor(kernel[None, None], dtype)


@keras.saving.register_keras_serializable("kerasdl")
class ResidualBlock(keras.layers.Layer):
    """Two or three convolutions that learn a correction to their input.

    Args:
        filters: channels within the block; a bottleneck puts out four times as many.
        strides: factor by which height and width shrink. Defaults to 1.
        kind: "basic" (3x3, 3x3) or "bottleneck" (1x1, 3x3, 1x1). Defaults to "basic".
        version: "v1", "v1.5" or "v2", as in `ResNet`. Defaults to "v1.5".
        shortcut: "identity", "A" (every other pixel, zeros as new channels) or "B" (1x1 convolution).
            Defaults to "identity".

    Input: (batch_size, height, width, channels), float.
    Output: (batch_size, height / strides, width / strides, filters or 4 filters), float.
    """

    def __init__(
        self,
        *,
        filters: int,
        strides: int = 1,
        kind: Literal["basic", "bottleneck"] = "basic",
        version: Literal["v1", "v1.5", "v2"] = "v1.5",
        shortcut: Literal["identity", "A", "B"] = "identity",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.strides = strides
        self.kind = kind
        self.version = version
        self.shortcut = shortcut
        shapes = [(factor * filters, size) for size, factor in _CONVOLUTIONS[kind]]
        strided = 0 if kind == "basic" or version == "v1" else 1  # which convolution shrinks the image
        self.convolutions = [
            _convolution(*shape, strides if number == strided else 1) for number, shape in enumerate(shapes)
        ]
        self.normalizations = [BatchNormalization() for _ in shapes]
        self.projection = self.projection_normalization = None
        if shortcut == "B":
            self.projection = _convolution(shapes[-1][0], 1, strides)
            if version != "v2":
                self.projection_normalization = BatchNormalization()

    def call(self, inputs, training=False):
        """Return the input plus the correction."""
        return (self._pre_activated if self.version == "v2" else self._original)(inputs, training)

    def _original(self, inputs, training):
        x = inputs
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=True):
            x = normalization(convolution(_padded(x, convolution)), training=training)
            if convolution is not self.convolutions[-1]:
                x = ops.relu(x)
        return ops.relu(x + self._shortcut(inputs, training))

    def _pre_activated(self, inputs, training):
        x = inputs
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=True):
            x = ops.relu(normalization(x, training=training))
            if convolution is self.convolutions[0]:
                inputs = inputs if self.projection is None else x
            x = convolution(_padded(x, convolution))
        return x + self._shortcut(inputs, training)

    def _shortcut(self, x, training):
        if self.shortcut == "A":
            return ops.conv(x, _identity(x.shape[-1], self.convolutions[-1].filters, x.dtype), self.strides)
        if self.projection is not None:
            x = self.projection(x)
        if self.projection_normalization is not None:
            x = self.projection_normalization(x, training=training)
        return x

    def get_config(self):
        names = ("filters", "strides", "kind", "version", "shortcut")
        return {**super().get_config(), **config_of(self, *names)}


@keras.saving.register_keras_serializable("kerasdl")
class ResNet(Network):
    """ResNet: stages of blocks, each of which adds a correction to what it was given.

    A plain deep network gets worse with depth even on its training data. When a block has only to learn the
    difference from the identity, doing nothing is easy, gradients pass unchanged, and depth helps.

    Reference: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2015,
    https://arxiv.org/abs/1512.03385, table 1 and section 4.2; v2: the same, "Identity mappings in deep
    residual networks", 2016, https://arxiv.org/abs/1603.05027, figure 4e.

    Differences from the paper: the default is v1.5, which shrinks the image in the 3x3 convolution of a
    bottleneck and not in the 1x1 before it (basic blocks are the same); there is dropout before the head, off
    by default. v2 keeps the stem's normalisation and ReLU, and its first block normalises again. The stem
    "cifar", one 3x3 convolution, is the paper's for the CIFAR depths; with the others it suits images of
    about 32x32, of which the ImageNet stem would leave 8x8.

    Args:
        num_classes: number of classes, 1 or more. Defaults to 1000.
        depth: 18, 34, 50, 101, 152 (four stages), or 20, 32, 44, 56, 110 (three, for CIFAR with width 16).
            Defaults to 50.
        width: filters of the first stage; each stage has twice those of the one before. Defaults to 64.
        stem: "imagenet" (7x7 with stride 2, max pooling with stride 2) or "cifar" (3x3). Defaults to
            "imagenet".
        shortcut: where the shape changes: "A" (no weights: every other pixel, zeros as new channels) or "B"
            (1x1 convolution). Defaults to "B".
        version: "v1" (the paper's), "v1.5" or "v2" (normalisation and ReLU before each convolution). Defaults
            to "v1.5".
        dropout: fraction of the features left out in training, 0 to 1. Defaults to 0.0.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.

    Input: (batch_size, height, width, channels), float32, standardised per channel; height and width of 32 or
        more with the ImageNet stem.
    Output: logits (batch_size, num_classes), float32.

    Parameters: trainable, without the moving statistics of batch normalisation, at 224x224x3 with 1000
    classes: 11,689,512 (18), 21,797,672 (34), 25,557,032 (50, the default), 44,549,160 (101), 60,192,808
    (152). ResNet-20 with width 16, stem "cifar" and 10 classes: 269,722 with shortcut A, 272,474 with B.

    Example:
        >>> network = ResNet(depth=20, width=16, stem="cifar", shortcut="A", num_classes=10)
        >>> logits = network(images)  # (B, 32, 32, 3)
        >>> logits.shape
        (B, 10)
    """

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        depth: Literal[18, 34, 50, 101, 152, 20, 32, 44, 56, 110] = 50,
        width: int = 64,
        stem: Literal["imagenet", "cifar"] = "imagenet",
        shortcut: Literal["A", "B"] = "B",
        version: Literal["v1", "v1.5", "v2"] = "v1.5",
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.depth = depth
        self.width = width
        self.stem = stem
        self.shortcut = shortcut
        self.version = version
        self.dropout = dropout
        self.convolution = _convolution(width, 7, 2) if stem == "imagenet" else _convolution(width, 3)
        self.normalization = BatchNormalization()
        self.pool = keras.layers.MaxPooling2D(3, 2) if stem == "imagenet" else None
        self.blocks = self._make_blocks(*STAGES[depth])
        self.last_normalization = BatchNormalization() if version == "v2" else None
        self.mean = keras.layers.GlobalAveragePooling2D()
        self.drop = Dropout(dropout)
        self.head = keras.layers.Dense(num_classes, name="head", dtype="float32")

    def _make_blocks(self, kind: str, num_blocks: tuple[int, ...]) -> list[ResidualBlock]:
        blocks, channels = [], self.width
        for stage, count in enumerate(num_blocks):
            filters = self.width * 2**stage
            for number in range(count):
                strides = 2 if stage > 0 and number == 0 else 1
                out = filters * _CONVOLUTIONS[kind][-1][1]
                shortcut = "identity" if strides == 1 and out == channels else self.shortcut
                blocks.append(
                    ResidualBlock(
                        filters=filters, strides=strides, kind=kind, version=self.version, shortcut=shortcut
                    )
                )
                channels = out
        return blocks

    def forward(self, x, training=False):
        """Return the logits of preprocessed inputs."""
        return self.head(self.forward_features(x, training=training))  # (B, num_classes)

    def forward_features(self, x, training=False):
        """Return the inputs of the head, (batch_size, channels of the last block), float."""
        x = self.convolution(_padded(x, self.convolution))  # (B, H/2, W/2, width), or as large as the image
        x = ops.relu(self.normalization(x, training=training))
        if self.pool is not None:
            x = self.pool(ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))  # after ReLU zeros win nothing
        for block in self.blocks:
            x = block(x, training=training)  # (B, H/2**stage, W/2**stage, width 2**stage)
        if self.last_normalization is not None:
            x = ops.relu(self.last_normalization(x, training=training))
        return self.drop(self.mean(x), training=training)

    def get_config(self):
        names = ("num_classes", "depth", "width", "stem", "shortcut", "version", "dropout")
        return {**super().get_config(), **config_of(self, *names)}
