"""The two players of a deep convolutional GAN, for images of any size.

Reference: Radford et al., "Unsupervised representation learning with deep convolutional generative
adversarial networks", 2015, https://arxiv.org/abs/1511.06434.
"""

import math
from typing import Literal

import keras
from keras import ops

from kerasdl.layers.config import config_of
from kerasdl.layers.convolution import Conv2D
from kerasdl.layers.normalization import BatchNormalization
from kerasdl.layers.spectral import SpectralConv2D, SpectralDense


def halving_filters(image_shape: tuple[int, int, int], width: int) -> tuple[int, ...]:
    """Return the channels of the convolutions that halve images of (H, W, C) until 4 pixels are left.

    `width` channels in the first convolution, twice as many in each further one, at most 512. The shorter
    side counts; one of 4 pixels or fewer has one convolution. With a width of 32: (32, 64, 128) for 28x28,
    (32,) for 8x8.
    """
    halvings = max(1, math.ceil(math.log2(min(image_shape[:2]) / 4)))
    return tuple(min(width * 2**number, max(width, 512)) for number in range(halvings))


@keras.saving.register_keras_serializable("kerasdl")
class Generator(keras.layers.Layer):
    """Makes images of noise: a dense layer, then transposed convolutions that double the sides.

    Sides that are not multiples of 2 ** len(filters) are made larger, and the border is cut off.

    Args:
        image_shape: (H, W, C).
        filters: channels before each transposed convolution.
        kernel_size: side of the kernels.
        momentum: momentum of batch normalisation; None for none.
        **kwargs: arguments of `keras.Layer`.

    Input: noise (B, Z), and the classes (B, K) as one-hot vectors or None.
    Output: images (B, H, W, C), float32 between -1 and 1.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        filters: tuple[int, ...],
        kernel_size: int,
        momentum: float | None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.filters = tuple(filters)
        self.kernel_size = kernel_size
        self.momentum = momentum
        height, width, channels = image_shape
        sides = [math.ceil(side / 2 ** len(filters)) for side in (height, width)]
        self.dense = keras.layers.Dense(math.prod(sides) * filters[0], use_bias=momentum is None)
        self.to_map = keras.layers.Reshape((*sides, filters[0]))
        self.norms = [None if momentum is None else BatchNormalization(momentum=momentum) for _ in filters]
        self.doublings = [
            keras.layers.Conv2DTranspose(size, kernel_size, 2, "same", use_bias=momentum is None)
            for size in filters[1:]
        ]
        self.to_image = keras.layers.Conv2DTranspose(
            channels, kernel_size, 2, "same", activation="tanh", dtype="float32", name="to_image"
        )

    def call(self, latents, classes=None, training=False):
        x = latents if classes is None else ops.concatenate([latents, classes], -1)
        x = self.to_map(self.dense(x))  # (B, H/2**n, W/2**n, filters[0])
        for norm, double in zip(self.norms, [*self.doublings, self.to_image], strict=True):
            x = ops.relu(x if norm is None else norm(x, training=training))
            x = double(x)  # sides doubled
        height, width, _ = self.image_shape
        top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
        return x[:, top : top + height, left : left + width]

    def get_config(self):
        names = ("image_shape", "filters", "kernel_size", "momentum")
        return {**super().get_config(), **config_of(self, *names)}


@keras.saving.register_keras_serializable("kerasdl")
class Discriminator(keras.layers.Layer):
    """Scores images: convolutions that halve the sides, then a dense layer.

    Where classes are given, the score has a further part that depends on them: the projection of the
    features onto a vector of the class (Miyato and Koyama, "cGANs with projection discriminator", 2018,
    https://arxiv.org/abs/1802.05637). The paper sums the features over all places, each of which sees the
    whole image in a network of its depth. With two or three convolutions a place sees a part of it: their
    sum tells strokes, and not digits, apart.

    Args:
        image_shape: (H, W, C).
        filters: channels of the convolutions.
        kernel_size: side of the kernels.
        normalization: "batch", "layer", "spectral" or "none"; the first convolution has no other than the
            spectral one.
        projection: what is projected onto the vector of a class: the "mean" of the features over all places,
            or the "map" of them as it is; None where there are no classes.
        **kwargs: arguments of `keras.Layer`.

    Input: images (B, H, W, C), float, and the classes (B, K) as one-hot vectors or None.
    Output: scores (B,), float32.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        filters: tuple[int, ...],
        kernel_size: int,
        normalization: Literal["batch", "layer", "spectral", "none"],
        projection: Literal["mean", "map"] | None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.filters = tuple(filters)
        self.kernel_size = kernel_size
        self.normalization = normalization
        self.projection = projection
        convolution, dense = (
            (SpectralConv2D, SpectralDense) if normalization == "spectral" else (Conv2D, keras.layers.Dense)
        )
        norm = {
            "batch": lambda: BatchNormalization(momentum=0.9),
            "layer": lambda: keras.layers.LayerNormalization(axis=(1, 2, 3)),
        }.get(normalization, lambda: None)
        self.halvings = [
            convolution(
                size, kernel_size, strides=2, padding="same",
                use_bias=number == 0 or normalization != "batch",  # which would take it away again
            )
            for number, size in enumerate(filters)
        ]  # fmt: skip
        self.norms = [None, *(norm() for _ in filters[1:])]
        self.flatten = keras.layers.Flatten()
        self.head = dense(1, dtype="float32", name="head")
        self.of_class = None
        if projection:
            self.features, places = keras.layers.GlobalAveragePooling2D(), 1
            if projection == "map":
                self.features = self.flatten
                places = math.prod(math.ceil(side / 2 ** len(filters)) for side in image_shape[:2])
            self.of_class = dense(filters[-1] * places, use_bias=False, dtype="float32", name="of_class")

    def call(self, images, classes=None, training=False):
        x = ops.cast(images, self.compute_dtype)
        for halve, norm in zip(self.halvings, self.norms, strict=True):
            x = halve(x)  # (B, H/2, W/2, filters)
            x = ops.leaky_relu(x if norm is None else norm(x, training=training), 0.2)
        score = self.head(self.flatten(x))[:, 0]
        if classes is not None:
            features = ops.cast(self.features(x), "float32")
            score += ops.sum(features * self.of_class(classes), -1)
        return score

    def get_config(self):
        names = ("image_shape", "filters", "kernel_size", "normalization", "projection")
        return {**super().get_config(), **config_of(self, *names)}
