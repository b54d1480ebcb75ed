"""Decoding of pictures in TensorFlow's graph, the same for folders, `predict` and `serving_bytes`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasdl.preprocessing import exif
from kerasdl.preprocessing.image import to_channels
from kerasdl.preprocessing.picture import AS_BEFORE, Picture

_PLAIN = Picture()
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


@tf.autograph.experimental.do_not_convert
def decode_image(
    encoded,
    height: int,
    width: int,
    channels: int,
    *,
    picture: Picture = _PLAIN,
    others: Callable[[Any], Any] | None = None,
):
    """Decode one picture as people see it, and bring it to the trained size.

    The same function reads training folders, `kerasdl predict` and the `serving_bytes` endpoint, so that
    a picture gives the same answer everywhere.

    Args:
        encoded: scalar string tensor, the file's bytes.
        height: height in pixels of the result.
        width: width in pixels of the result.
        channels: 1 (grey) or 3 (RGB).
        picture: how the picture is read.
        others: reads what is neither JPEG nor PNG: takes `encoded`, returns (H, W, 4) uint8 RGBA, upright.
            Defaults to None: TensorFlow's reader of BMP, GIF and WebP, as far as it reads them rightly (no
            palettes of BMP, no animated WebP; EXIF of WebP is ignored, transparent GIFs are on black).

    Returns:
        uint8 tensor of shape (height, width, channels).
    """
    if dataclasses.replace(picture, fit="squeeze") == AS_BEFORE:
        with tf.control_dependencies([_check_animation(encoded)]):
            image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    else:
        read = others or _read_other
        image = tf.case(
            [
                (_starts(encoded, _JPEG), lambda: _read_jpeg(encoded, picture)),
                (_starts(encoded, _PNG), lambda: _read_png(encoded, picture)),
            ],
            default=lambda: _on_background(read(encoded), 255, picture),
        )
    image.set_shape((None, None, 3))
    image = to_channels(_fitted(image, height, width, picture), channels)
    return tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)


def _starts(encoded, signature: bytes):
    return tf.strings.substr(encoded, 0, len(signature)) == signature


def _read_jpeg(encoded, picture: Picture):
    """Return (H, W, 3) uint8, upright."""
    image = tf.io.decode_jpeg(encoded, channels=3)
    if picture.orientation == "exif":
        image = exif.turned(image, exif.of_jpeg(encoded))
    return image


def _read_png(encoded, picture: Picture):
    """Return (H, W, 3) uint8, upright."""

    def read(dtype, channels: int, white: int):
        image = tf.io.decode_png(encoded, channels=channels, dtype=dtype)  # palettes become colours
        if picture.orientation == "exif":
            image = exif.turned(image, exif.of_png(encoded))
        return _on_background(image, white, picture) if channels == 4 else image

    padded = encoded + b"\0" * 32
    is_deep = tf.strings.substr(padded, 24, 1) == b"\x10"  # bits of a channel
    kind = tf.strings.substr(padded, 25, 1)
    # Four channels of what has no alpha are slower, and below 8 bits TensorFlow 2.21 fills in a wrong alpha.
    has_alpha = (kind == b"\x04") | (kind == b"\x06") | exif.has_png_part(encoded, "tRNS")
    return tf.case(
        [
            (is_deep, lambda: read(tf.uint16, 4, 2**picture.bits - 1)),
            (has_alpha, lambda: read(tf.uint8, 4, 255)),
        ],
        default=lambda: read(tf.uint8, 3, 255),
    )


def _read_other(encoded):
    """Read a BMP, GIF or WebP by TensorFlow: (H, W, 4) uint8."""
    with tf.control_dependencies([_check_animation(encoded), _check_palette(encoded)]):
        image = tf.io.decode_image(encoded, expand_animations=False)
    channels = tf.shape(image)[-1]
    colours = tf.cond(channels == 1, lambda: tf.repeat(image, 3, axis=-1), lambda: image[..., :3])
    opaque = tf.fill(tf.concat([tf.shape(image)[:2], [1]], 0), tf.constant(255, tf.uint8))
    alpha = tf.cond(channels == 4, lambda: image[..., 3:], lambda: opaque)
    return tf.concat([colours, alpha], -1)


def _check_animation(encoded):
    """Refuse an animated WebP: TensorFlow 2.21 writes outside its memory when it reads one."""
    animated = tf.bitwise.bitwise_and(_byte(encoded, 20), tf.constant(2, tf.uint8)) > 0
    is_webp = tf.strings.substr(encoded + b"\0" * 32, 8, 8) == b"WEBPVP8X"
    return _refuse(is_webp & animated, "An animated WebP cannot be read here: send one frame of it.")


def _check_palette(encoded):
    """Refuse a BMP with a palette: TensorFlow 2.21 takes the numbers of its colours for pixels."""
    is_indexed = _starts(encoded, b"BM") & (_byte(encoded, 28) <= 8)
    return _refuse(is_indexed, "A BMP with a palette cannot be read here: send it as PNG.")


def _byte(encoded, place: int):
    return tf.io.decode_raw(tf.strings.substr(encoded + b"\0" * 32, place, 1), tf.uint8)[0]


def _refuse(condition, message: str):
    checked = tf.debugging.Assert(~condition, [message])
    return tf.no_op() if checked is None else checked


def _on_background(image, white: int, picture: Picture):
    """Return RGB as uint8 of RGBA, whose colours go up to `white` and whose opacity has the whole dtype."""
    image.set_shape((None, None, 4))
    opaque = image.dtype.max

    def colours():
        return tf.minimum(tf.cast(image[..., :3], tf.float32) * (255 / white), 255.0)

    def scaled():
        return image[..., :3] if white == opaque == 255 else tf.cast(tf.round(colours()), tf.uint8)

    def composited():
        behind = 255.0 if picture.background == "white" else 0.0
        share = tf.cast(image[..., 3:], tf.float32) / opaque
        return tf.cast(tf.round(behind + (colours() - behind) * share), tf.uint8)

    if picture.background == "ignored":
        return scaled()
    return tf.cond(tf.reduce_all(image[..., 3] == opaque), scaled, composited)


def _fitted(image, height: int, width: int, picture: Picture):
    """Bring (H, W, 3) uint8 to a size, float32."""
    sizes = tf.cast(tf.shape(image)[:2], tf.float32)
    wanted = tf.constant([height, width], tf.float32)
    if picture.fit == "crop":
        cut = tf.cast(tf.round(wanted * tf.reduce_min(sizes / wanted)), tf.int32)
        cut = tf.clip_by_value(cut, 1, tf.shape(image)[:2])
        top, left = tf.unstack((tf.shape(image)[:2] - cut) // 2)
        image = image[top : top + cut[0], left : left + cut[1]]
    if picture.fit != "letterbox":
        return _resize(image, (height, width))
    inner = tf.cast(tf.round(sizes * tf.reduce_min(wanted / sizes)), tf.int32)
    inner = tf.clip_by_value(inner, 1, tf.constant([height, width]))
    before = (tf.constant([height, width]) - inner) // 2
    sides = tf.stack([before, tf.constant([height, width]) - inner - before], axis=1)
    image = tf.pad(_resize(image, inner), tf.pad(sides, [[0, 1], [0, 0]]), constant_values=picture.bar)
    return tf.ensure_shape(image, (height, width, 3))


def _resize(image, size):
    return tf.image.resize(image, size, method="bilinear", antialias=True)
