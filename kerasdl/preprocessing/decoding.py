"""Decoding of pictures in TensorFlow's graph, the same for folders, `predict` and `serving_bytes`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasdl.preprocessing import exif
from kerasdl.preprocessing.image import to_channels
from kerasdl.preprocessing.picture import AS_BEFORE, Picture

_PLAIN = Picture()
_TIFF_HEADS = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]
_PNG_HEAD = 2**14  # bytes in which a PNG tells that a colour stands for transparency


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
        others: reads what is neither JPEG nor PNG: takes `encoded`, returns (H, W, 3 or 4) uint8, upright.
            Defaults to None: TensorFlow's reader of BMP, GIF and WebP, as far as it reads them rightly (no
            palettes of BMP, no animated WebP; EXIF of WebP is ignored, transparent GIFs are on black).

    Returns:
        uint8 tensor of shape (height, width, channels).
    """
    if dataclasses.replace(picture, fit="squeeze") == AS_BEFORE:
        image = _as_before(encoded, others)
    else:
        image = _as_seen(encoded, picture, others or _read_other)
    image.set_shape((None, None, 3))
    image = to_channels(_fitted(image, height, width, picture), channels)
    return tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)


def _as_before(encoded, others: Callable[[Any], Any] | None):
    """Return the pixels that version 0.1.0 read, (H, W, 3) uint8; those of a TIFF too, by `others`."""

    def by_tensorflow():
        with tf.control_dependencies([_check_animation(encoded)]):
            return tf.io.decode_image(encoded, channels=3, expand_animations=False)

    if others is None:
        return by_tensorflow()
    is_tiff = tf.reduce_any(tf.strings.substr(encoded + b"\0" * 4, 0, 4) == _TIFF_HEADS)
    return tf.cond(is_tiff, lambda: others(encoded)[..., :3], by_tensorflow)


def _as_seen(encoded, picture: Picture, others: Callable[[Any], Any]):
    """Return the pixels of a picture as people see it, (H, W, 3) uint8."""
    padded = encoded + b"\0" * 32
    is_jpeg = tf.strings.substr(padded, 0, 3) == b"\xff\xd8\xff"
    is_png = tf.strings.substr(padded, 0, 8) == b"\x89PNG\r\n\x1a\n"
    is_deep = tf.strings.substr(padded, 24, 1) == b"\x10"  # bits of a channel of a PNG
    colours = tf.strings.substr(padded, 25, 1)
    # Four channels of what has no alpha are slower, and below 8 bits TensorFlow 2.21 fills in a wrong alpha.
    has_alpha = (colours == b"\x04") | (colours == b"\x06")
    has_alpha |= tf.strings.regex_full_match(tf.strings.substr(encoded, 0, _PNG_HEAD), r"\C*tRNS\C*")
    png = tf.where(is_deep, 2, tf.where(has_alpha, 1, 0))
    image = tf.switch_case(
        tf.where(is_jpeg, 3, tf.where(is_png, png, 4)),
        [
            lambda: tf.io.decode_png(encoded, channels=3),
            lambda: tf.io.decode_png(encoded, channels=4),
            lambda: _read_deep_png(encoded, picture.bits),
            lambda: tf.io.decode_jpeg(encoded, channels=3),
            lambda: others(encoded),
        ],
    )
    if picture.orientation == "exif":
        value = tf.where(is_jpeg | is_png, exif.orientation(encoded, is_png), 1)
        image = exif.turned(image, value)
    return _on_background(image, picture)


def _read_deep_png(encoded, bits: int):
    """Read a PNG of 16 bits a channel: (H, W, 4) uint8."""
    image = tf.cast(tf.io.decode_png(encoded, channels=4, dtype=tf.uint16), tf.float32)
    scales = tf.constant([255 / (2**bits - 1)] * 3 + [255 / 65535])
    return tf.cast(tf.round(tf.minimum(image * scales, 255.0)), tf.uint8)


def _read_other(encoded):
    """Read a BMP, GIF or WebP by TensorFlow: (H, W, 3 or 4) uint8."""
    with tf.control_dependencies([_check_animation(encoded), _check_palette(encoded)]):
        image = tf.io.decode_image(encoded, expand_animations=False)
    return tf.repeat(image, tf.where(tf.shape(image)[-1] == 1, 3, 1), axis=-1)


def _check_animation(encoded):
    """Refuse an animated WebP: TensorFlow 2.21 writes outside its memory when it reads one."""
    animated = tf.bitwise.bitwise_and(_byte(encoded, 20), tf.constant(2, tf.uint8)) > 0
    is_webp = tf.strings.substr(encoded + b"\0" * 32, 8, 8) == b"WEBPVP8X"
    return _refuse(is_webp & animated, "An animated WebP cannot be read here: send one frame of it.")


def _check_palette(encoded):
    """Refuse a BMP with a palette: TensorFlow 2.21 takes the numbers of its colours for pixels."""
    is_indexed = (tf.strings.substr(encoded, 0, 2) == b"BM") & (_byte(encoded, 28) <= 8)
    return _refuse(is_indexed, "A BMP with a palette cannot be read here: send it as PNG.")


def _byte(encoded, place: int):
    return tf.io.decode_raw(tf.strings.substr(encoded + b"\0" * 32, place, 1), tf.uint8)[0]


def _refuse(condition, message: str):
    checked = tf.raw_ops.Assert(condition=~condition, data=[message])
    return tf.no_op() if checked is None else checked


def _on_background(image, picture: Picture):
    """Return (H, W, 3) uint8 of RGB, or of RGBA before what lies behind."""
    if picture.background == "ignored":
        return image[..., :3]

    def composited():
        behind = 255.0 if picture.background == "white" else 0.0
        x = tf.cast(image, tf.float32)
        return tf.cast(tf.round(behind + (x[..., :3] - behind) * (x[..., 3:] / 255.0)), tf.uint8)

    return tf.cond(tf.shape(image)[-1] == 4, composited, lambda: image)


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
