"""Endpoints of a classifier of images: raw pixels, and encoded files."""

import dataclasses

import numpy as np

from kerasdl.data.dataset import Spec
from kerasdl.inference.endpoint import Arrays, Endpoint


def endpoints(default: Endpoint, inputs: Spec) -> tuple[Endpoint, Endpoint]:
    """Return an endpoint of raw pixels, and one beside it that takes encoded files.

    Args:
        default: takes raw images (batch_size, height, width, channels).
        inputs: spec of one of them.
    """
    import tensorflow as tf

    from kerasdl.preprocessing.decoding import decode_image

    def decode(encoded):
        return decode_image(encoded, *inputs.shape, picture=inputs.picture)

    def classify_bytes(image_bytes):
        return default.function(tf.map_fn(decode, image_bytes, fn_output_signature=tf.uint8))

    from_bytes = dataclasses.replace(
        default,
        name="serving_bytes",
        function=classify_bytes,
        inputs={"image_bytes": tf.TensorSpec((None,), tf.string, "image_bytes")},
        formats=("saved_model",),
        inputs_of=_encoded,
        judge=None,
        reads=None,
    )
    return default, from_bytes


def _encoded(features: np.ndarray, seed: int) -> Arrays:
    import tensorflow as tf

    return {"image_bytes": np.array([tf.io.encode_png(image).numpy() for image in features], object)}
