"""The orientation in the EXIF data of JPEG and PNG files, read in TensorFlow's graph.

Reference: CIPA DC-008, "Exchangeable image file format for digital still cameras: Exif 2.32", 2019.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

_HEAD = 2**18  # bytes of a file that are looked at; EXIF data comes first, and has at most 64 KB
_PNG_HEAD = 2**14
_TAG = 0x0112


def of_jpeg(encoded):
    """Return the orientation of a JPEG as a scalar int32, 1 to 8; 1 where it says none."""
    head = _padded(encoded)

    def parse(place):  # marker (2 bytes), length (2, itself included), content
        marker, high, low = tf.unstack(_numbers(head, place + 1, 3))
        is_exif = (marker == 0xE1) & (tf.strings.substr(head, place + 4, 6) == b"Exif\0\0")
        is_last = (_numbers(head, place, 1)[0] != 0xFF) | (marker == 0xDA)
        return is_exif, is_last, place + 10, place + 2 + high * 256 + low

    return _orientation(head, _find(head, tf.constant(2), parse))


def of_png(encoded):
    """Return the orientation of a PNG as a scalar int32, 1 to 8; 1 where it says none before its pixels."""

    def read():
        head = _padded(encoded)

        def parse(place):  # length (4), name (4), content, checksum (4)
            length = tf.minimum(tf.reduce_sum(_numbers(head, place + 1, 3) * [65536, 256, 1]), _HEAD)
            name = tf.strings.substr(head, place + 4, 4)
            is_last = (name == b"IDAT") | (name == b"\0\0\0\0")
            return name == b"eXIf", is_last, place + 8, place + 12 + length

        return _orientation(head, _find(head, tf.constant(8), parse))

    return tf.cond(has_png_part(encoded, "eXIf"), read, lambda: tf.constant(1))


def has_png_part(encoded, name: str):
    """Tell whether the name of a part stands in the beginning of a PNG, by chance or not."""
    head = tf.strings.substr(encoded, 0, _PNG_HEAD)
    return tf.strings.regex_full_match(head, rf"\C*{name}\C*")


def turned(image, orientation):
    """Return an image (H, W, C) as it is seen: transposed and mirrored as the orientation says."""

    def turn():
        x = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
        to_the_left = tf.reduce_any(orientation == [2, 3, 6, 7])
        upside_down = tf.reduce_any(orientation == [3, 4, 7, 8])
        x = tf.cond(to_the_left, lambda: x[:, ::-1], lambda: x)
        return tf.cond(upside_down, lambda: x[::-1], lambda: x)

    return tf.cond(orientation == 1, lambda: image, turn)


def _padded(encoded):
    """Return the first bytes of a file with zeros behind them, so that no place near the end is outside."""
    return tf.strings.substr(encoded, 0, _HEAD) + b"\0" * 64


def _numbers(text, place, count: int):
    """Return bytes of a text as (count,) int32."""
    data = tf.io.decode_raw(tf.strings.substr(text, place, count), tf.uint8)
    return tf.cast(tf.reshape(data, (count,)), tf.int32)


def _find(head, start, parse: Callable[[Any], tuple]):
    """Return where the EXIF data begins, walking from part to part of a file; 0 where there is none."""
    end = tf.strings.length(head) - 64

    def step(place, found):
        is_exif, is_last, content, following = parse(place)
        return tf.where(is_last | is_exif, end, following), tf.where(is_exif, content, found)

    return tf.while_loop(lambda place, found: place < end, step, (start, tf.constant(0)))[1]


def _orientation(head, start):
    """Return the orientation in EXIF data that begins at `start`."""

    def read():
        data = tf.cast(tf.io.decode_raw(tf.strings.substr(head, start, 2**16), tf.uint8), tf.int32)
        last, little = tf.size(data) - 1, data[0] == ord("I")

        def number(place):  # two bytes
            first, second = (tf.gather(data, tf.clip_by_value(place + shift, 0, last)) for shift in (0, 1))
            return tf.where(little, first + 256 * second, 256 * first + second)

        directory = tf.where(little, number(4), number(6))  # the lower half of an offset of four bytes
        entries = directory + 2 + 12 * tf.range(tf.minimum(number(directory), 1000))
        values = tf.where(number(entries) == _TAG, number(entries + 8), 0)
        value = tf.reduce_max(tf.pad(values, [[0, 1]]))
        return tf.where((value >= 1) & (value <= 8), value, 1)

    return tf.cond(start > 0, read, lambda: tf.constant(1))
