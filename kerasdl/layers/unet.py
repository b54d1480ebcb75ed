"""U-Net: an image to an image of the same size, seen at several sizes."""

from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import ops

from kerasdl.errors import UsageError
from kerasdl.layers.config import config_of
from kerasdl.layers.convolution import Conv2D
from kerasdl.layers.dropout import Dropout
from kerasdl.layers.group_normalization import GroupNormalization

_SMALL = 1e-2  # variance of what a correction is at first, as a fraction of its usual one: near the identity


def _last(filters: int, size: int, **kwargs) -> Conv2D:
    """Make a convolution whose outputs are small at first."""
    initializer = keras.initializers.VarianceScaling(_SMALL, "fan_avg", "uniform")
    return Conv2D(filters, size, padding="same", kernel_initializer=initializer, **kwargs)


@keras.saving.register_keras_serializable("kerasdl")
class ConditionedBlock(keras.layers.Layer):
    """Two convolutions that learn a correction to their input, steered by a vector.

    Args:
        filters: channels of the output.
        groups: groups of the normalisation. Defaults to 8.
        dropout: fraction left out in training before the second convolution, 0 to 1. Defaults to 0.0.
        **kwargs: arguments of `keras.Layer`.

    Input: x (B, H, W, C), float; condition (B, D), float.
    Output: (B, H, W, filters), float.
    """

    def __init__(self, *, filters: int, groups: int = 8, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.groups = groups
        self.dropout = dropout
        self.normalizations = [GroupNormalization(groups=groups) for _ in range(2)]
        self.first = Conv2D(filters, 3, padding="same")
        self.modulation = keras.layers.Dense(2 * filters)
        self.drop = Dropout(dropout)
        self.second = _last(filters, 3)
        self.shortcut = None

    def build(self, x_shape, condition_shape):
        if x_shape[-1] != self.filters:
            self.shortcut = Conv2D(self.filters, 1)
            self.shortcut.build(x_shape)
        inner = (*x_shape[:-1], self.filters)
        for layer, shape in zip(self.normalizations, (x_shape, inner), strict=True):
            layer.build(shape)
        self.first.build(x_shape)
        self.modulation.build(condition_shape)
        self.second.build(inner)

    def call(self, x, condition, training=False):
        """Return the input plus the correction."""
        scale, shift = tf.split(self.modulation(condition), 2, axis=-1)  # (B, filters)
        y = self.first(tf.nn.silu(self.normalizations[0](x)))
        y = tf.nn.silu(self.normalizations[1](y, scale, shift))
        y = self.second(self.drop(y, training=training))
        return y + (x if self.shortcut is None else self.shortcut(x))

    def get_config(self):
        return {**super().get_config(), **config_of(self, "filters", "groups", "dropout")}


@keras.saving.register_keras_serializable("kerasdl")
class PixelAttention(keras.layers.Layer):
    """Self-attention over all pixels of an image, added to it.

    Reference: Vaswani et al., "Attention is all you need", 2017, https://arxiv.org/abs/1706.03762.

    Args:
        groups: groups of the normalisation. Defaults to 8.
        **kwargs: arguments of `keras.Layer`.

    Input and output: (B, H, W, C), float.
    """

    def __init__(self, *, groups: int = 8, **kwargs):
        super().__init__(**kwargs)
        self.groups = groups
        self.normalization = GroupNormalization(groups=groups)

    def build(self, input_shape):
        channels = input_shape[-1]
        self.normalization.build(input_shape)
        self.project = keras.layers.Dense(3 * channels)
        self.project.build((None, None, channels))
        self.answer = keras.layers.Dense(channels)
        self.answer.build((None, None, channels))

    def call(self, x):
        """Return the images plus what each pixel gathered from the others."""
        _, height, width, channels = x.shape
        pixels = tf.reshape(self.normalization(x), (-1, height * width, channels))  # (B, HW, C)
        query, key, value = tf.split(self.project(pixels), 3, axis=-1)
        scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32) * channels**-0.5
        gathered = tf.matmul(tf.cast(tf.nn.softmax(scores), value.dtype), value)  # (B, HW, C)
        return x + tf.reshape(self.answer(gathered), (-1, height, width, channels))

    def get_config(self):
        return {**super().get_config(), **config_of(self, "groups")}


@keras.saving.register_keras_serializable("kerasdl")
class UNet(keras.layers.Layer):
    """Map an image to one of the same size, with blocks at each of several sizes.

    On the way down an image is halved at each level, on the way up doubled again, and what a level saw on the
    way down is put beside what comes up to it. Images whose sides the halving does not divide get zeros at
    their right and lower edge, which are cut off again.

    References: Ronneberger, Fischer, Brox, "U-Net: convolutional networks for biomedical image
    segmentation", 2015, https://arxiv.org/abs/1505.04597; Ho, Jain, Abbeel, "Denoising diffusion
    probabilistic models", 2020, https://arxiv.org/abs/2006.11239 (residual blocks, group normalisation,
    attention, conditions).

    Differences from the papers: levels change their size by strided convolutions and by pixel shuffling, and
    the first level may already see patches of pixels.

    Args:
        channels: channels of the output.
        widths: channels of each level, the full size first.
        num_blocks: blocks of a level on each way. Defaults to 1.
        patch_size: height and width of the patch that is one place of the first level. Defaults to 1.
        attention: whether the lowest level has self-attention. Defaults to False.
        groups: groups of the normalisations; has to divide each width. Defaults to 8.
        dropout: fraction left out within each block in training, 0 to 1. Defaults to 0.0.
        **kwargs: arguments of `keras.Layer`.

    Raises:
        UsageError: for sizes that fit no image.

    Input: x (B, H, W, C), float; condition (B, D), float.
    Output: (B, H, W, channels), float32.
    """

    def __init__(
        self,
        *,
        channels: int,
        widths: Sequence[int],
        num_blocks: int = 1,
        patch_size: int = 1,
        attention: bool = False,
        groups: int = 8,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not widths or any(width < 1 or width % groups for width in widths) or patch_size < 1:
            raise UsageError(
                f"widths is {tuple(widths)}, groups {groups} and patch_size {patch_size}, but there has to "
                "be a width, each a multiple of groups, and a patch_size of 1 or more."
            )
        self.channels = channels
        self.widths = tuple(widths)
        self.num_blocks = num_blocks
        self.patch_size = patch_size
        self.attention = attention
        self.groups = groups
        self.dropout = dropout
        self.stem = Conv2D(self.widths[0], patch_size + 2, patch_size, "same")
        self.down = [self._blocks(width) for width in self.widths[:-1]]
        self.halve = [Conv2D(width, 3, 2, "same") for width in self.widths[1:]]
        self.lowest = self._blocks(self.widths[-1], 2 * num_blocks)
        self.attend = PixelAttention(groups=groups) if attention else None
        self.double = [Conv2D(4 * width, 1) for width in self.widths[:-1]]
        self.up = [self._blocks(width) for width in self.widths[:-1]]
        self.normalization = GroupNormalization(groups=groups)
        self.head = _last(patch_size**2 * channels, 3, name="head", dtype="float32")

    def _blocks(self, width: int, count: int | None = None) -> list[ConditionedBlock]:
        kwargs = {"filters": width, "groups": self.groups, "dropout": self.dropout}
        return [ConditionedBlock(**kwargs) for _ in range(count or self.num_blocks)]

    def build(self, x_shape, condition_shape):
        """Make all weights; `call` would be traced several times for that."""

        def build_blocks(blocks, width, first):
            for block in blocks:
                block.build(_images(first if block is blocks[0] else width), condition_shape)

        self.stem.build(_images(x_shape[-1]))
        for level, width in enumerate(self.widths[:-1]):
            build_blocks(self.down[level], width, width)
            self.halve[level].build(_images(width))
            self.double[level].build(_images(self.widths[level + 1]))
            build_blocks(self.up[level], width, 2 * width)
        build_blocks(self.lowest, self.widths[-1], self.widths[-1])
        if self.attend is not None:
            self.attend.build(_images(self.widths[-1]))
        for layer in (self.normalization, self.head):
            layer.build(_images(self.widths[0]))

    def call(self, x, condition, training=False):
        """Return what the network makes of images, under a condition."""
        height, width = x.shape[1:3]
        step = self.patch_size * 2 ** (len(self.widths) - 1)
        if height % step or width % step:
            x = tf.pad(x, ((0, 0), (0, -height % step), (0, -width % step), (0, 0)))
        x, beside = self.stem(x), []
        for blocks, halve in zip(self.down, self.halve, strict=True):
            x = _through(blocks, x, condition, training)
            beside.append(x)
            x = halve(x)
        x = _through(self.lowest[: self.num_blocks], x, condition, training)
        if self.attend is not None:
            x = self.attend(x)
        x = _through(self.lowest[self.num_blocks :], x, condition, training)
        for blocks, double in zip(reversed(self.up), reversed(self.double), strict=True):
            x = ops.concatenate([tf.nn.depth_to_space(double(x), 2), beside.pop()], axis=-1)
            x = _through(blocks, x, condition, training)
        x = self.head(tf.nn.silu(self.normalization(x)))
        if self.patch_size > 1:
            x = tf.nn.depth_to_space(x, self.patch_size)
        return x[:, :height, :width]

    def get_config(self):
        names = ("channels", "widths", "num_blocks", "patch_size", "attention", "groups", "dropout")
        return {**super().get_config(), **config_of(self, *names)}


def _images(channels: int) -> tuple[int | None, ...]:
    """Return the shape of images of any size."""
    return None, None, None, channels


def _through(blocks: Sequence[ConditionedBlock], x, condition, training):
    for block in blocks:
        x = block(x, condition, training=training)
    return x
