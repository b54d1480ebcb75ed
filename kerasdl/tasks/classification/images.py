"""Endpoints of a classifier of images: raw pixels, and encoded files."""

import dataclasses
import functools
from pathlib import Path

import numpy as np

from kerasdl.data.dataset import Spec, Tree
from kerasdl.errors import UsageError
from kerasdl.inference.endpoint import Arrays, Endpoint


def are(inputs: Tree) -> bool:
    """Tell whether examples are images: (height, width, 1 or 3) uint8."""
    return (
        isinstance(inputs, Spec)
        and inputs.dtype == "uint8"
        and len(inputs.shape) == 3
        and inputs.shape[-1] in (1, 3)
        and None not in inputs.shape
    )


def endpoints(default: Endpoint, inputs: Spec) -> tuple[Endpoint, Endpoint]:
    """Return an endpoint of raw pixels, and one beside it that takes encoded files.

    Args:
        default: takes raw images (batch_size, height, width, channels).
        inputs: spec of one of them.
    """
    import tensorflow as tf

    from kerasdl.preprocessing.image import decode_image

    def decode(encoded):
        return decode_image(encoded, *inputs.shape)

    def classify_bytes(image_bytes):
        return default.function(tf.map_fn(decode, image_bytes, fn_output_signature=tf.uint8))

    read = functools.partial(read_image, inputs)
    from_bytes = dataclasses.replace(
        default,
        name="serving_bytes",
        function=classify_bytes,
        inputs={"image_bytes": tf.TensorSpec((None,), tf.string, "image_bytes")},
        formats=("saved_model",),
        inputs_of=_encoded,
        judge=None,
    )
    return dataclasses.replace(default, reads=read, reads_what="an image file"), from_bytes


def read_image(inputs: Spec, file: str) -> np.ndarray:
    """Read a JPEG, PNG, BMP or GIF file, brought to the trained size.

    Raises:
        UsageError: when there is no such image.
    """
    import tensorflow as tf

    from kerasdl.preprocessing.image import decode_image

    path = Path(file)
    if not path.is_file():
        raise UsageError(f"There is no image {file}.")
    try:
        return decode_image(path.read_bytes(), *inputs.shape).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise UsageError(f"{file} is not a readable image. Give a JPEG, PNG, BMP or GIF.") from error


def _encoded(features: np.ndarray, seed: int) -> Arrays:
    import tensorflow as tf

    return {"image_bytes": np.array([tf.io.encode_png(image).numpy() for image in features], object)}
