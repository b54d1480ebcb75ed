"""From an encoded picture or raw pixels to what a network sees; part of the run and of every export."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops


def decode_image(encoded, height: int, width: int, channels: int):
    """Decode one JPEG, PNG, BMP or GIF (first frame) and bring it to the trained size.

    The same function reads training folders, `kerasdl predict` and the `serving_bytes` endpoint, so that
    a picture gives the same answer everywhere. Pictures are squeezed to the size (no crop, no padding).

    Args:
        encoded: scalar string tensor, the file's bytes.
        height: height in pixels of the result.
        width: width in pixels of the result.
        channels: 1 (grey) or 3 (RGB).

    Returns:
        uint8 tensor of shape (height, width, channels).
    """
    image = tf.io.decode_image(encoded, channels=channels, expand_animations=False)
    image.set_shape((None, None, channels))
    image = tf.image.resize(image, (height, width), method="bilinear", antialias=True)  # float32, 0..255
    return tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)


@keras.saving.register_keras_serializable("kerasdl")
class ImagePreprocessing(keras.layers.Layer):
    """Raw pixels of any numeric dtype, 0..255, to the floats a network was trained on.

    In order: cast to float32, resize (bilinear), convert channels, rescale, standardise.

    Args:
        size: (height, width) in pixels that the network takes. Defaults to None: the size of the data.
        channels: 1 (grey) or 3 (RGB) that the network takes. Defaults to None: those of the data.
        scale: factor on pixel values before standardising. Defaults to 1/255 (0..1).
        mean: mean per channel after scaling, subtracted. Defaults to (0.0,).
        std: standard deviation per channel after scaling, divided by. Defaults to (1.0,).
        standardize: take `mean` and `std` from the training images (`fit`). Defaults to False.

    Input: (batch_size, height, width, channels), uint8 or float, 0..255.
    Output: (batch_size, *size, channels), float.
    """

    def __init__(
        self,
        *,
        size: tuple[int, int] | None = None,
        channels: int | None = None,
        scale: float = 1 / 255,
        mean: tuple[float, ...] = (0.0,),
        std: tuple[float, ...] = (1.0,),
        standardize: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.size = None if size is None else tuple(size)
        self.channels = channels
        self.scale = scale
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.standardize = standardize
