"""Encoders and decoders of images: convolutions that halve or double the sides, and dense layers."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from kerasdl.layers.config import config_of


@keras.saving.register_keras_serializable("kerasdl")
class Encoder(keras.layers.Layer):
    """Describes an image by a vector: convolutions that halve the sides, then dense layers.

    Args:
        filters: channels of the convolutions; empty for dense layers alone.
        units: sizes of the dense layers.
        activation: activation of all layers.
        size: length of the vector.
        **kwargs: arguments of `keras.Layer`.

    Input: pixels (B, H, W, C), 0 to 1, and the classes (B, K) as one-hot vectors or None.
    Output: (B, size), float32.
    """

    def __init__(self, *, filters: Sequence[int], units: Sequence[int], activation: str, size: int, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.units, self.activation, self.size = filters, units, activation, size
        self.convolutions = [
            keras.layers.Conv2D(number, 3, strides=2, padding="same", activation=activation)
            for number in filters
        ]
        self.flatten = keras.layers.Flatten()
        self.dense = [keras.layers.Dense(number, activation=activation) for number in units]
        self.head = keras.layers.Dense(size, name="head", dtype="float32")

    def call(self, pixels, classes=None):
        """Return the description of pixels."""
        x = ops.cast(pixels, self.compute_dtype)
        for layer in self.convolutions:
            x = layer(x)  # (B, H/2, W/2, channels)
        x = self.flatten(x)
        if classes is not None:
            x = ops.concatenate([x, classes], axis=-1)
        for layer in self.dense:
            x = layer(x)
        return self.head(x)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "filters", "units", "activation", "size")}


@keras.saving.register_keras_serializable("kerasdl")
class Decoder(keras.layers.Layer):
    """Makes an image out of a latent vector: dense layers, then convolutions that double the sides.

    Args:
        image_shape: (H, W, C).
        filters: channels of the transposed convolutions before the last; empty for dense layers alone.
        units: sizes of the dense layers.
        activation: activation of all layers but the last.
        **kwargs: arguments of `keras.Layer`.

    Input: latents (B, Z), and the classes (B, K) as one-hot vectors or None.
    Output: logits of the pixels (B, H, W, C), float32.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        filters: Sequence[int],
        units: Sequence[int],
        activation: str,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.filters = image_shape, filters
        self.units, self.activation = units, activation
        height, width, channels = image_shape
        self.dense = [keras.layers.Dense(size, activation=activation) for size in units]
        sides = [-(-side // 2 ** len(filters)) for side in (height, width)]
        self.map_shape = (*sides, *filters[:1])
        self.project, self.convolutions = None, []
        if filters:
            self.project = keras.layers.Dense(math.prod(self.map_shape), activation=activation)
            self.convolutions = [
                keras.layers.Conv2DTranspose(size, 3, strides=2, padding="same", activation=activation)
                for size in filters[1:]
            ]
            self.head = keras.layers.Conv2DTranspose(
                channels, 3, strides=2, padding="same", name="head", dtype="float32"
            )
        else:
            self.head = keras.layers.Dense(math.prod(image_shape), name="head", dtype="float32")

    def call(self, latents, classes=None):
        """Return the logits of the pixels."""
        height, width, _ = self.image_shape
        x = ops.cast(latents, self.compute_dtype)
        if classes is not None:
            x = ops.concatenate([x, classes], axis=-1)
        for layer in self.dense:
            x = layer(x)
        if self.project is None:
            return ops.reshape(self.head(x), (-1, *self.image_shape))
        x = ops.reshape(self.project(x), (-1, *self.map_shape))
        for layer in self.convolutions:
            x = layer(x)  # (B, 2H, 2W, channels)
        return self.head(x)[:, :height, :width]  # sides that do not halve evenly become larger, and are cut

    def get_config(self):
        return {**super().get_config(), **config_of(self, "image_shape", "filters", "units", "activation")}
