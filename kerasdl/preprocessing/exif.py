"""The orientation in the EXIF data of JPEG and PNG files, read in TensorFlow's graph.

Reference: CIPA DC-008, "Exchangeable image file format for digital still cameras: Exif 2.32", 2019.
"""

import tensorflow as tf

_HEAD = 2**17  # bytes of a file that are looked at: EXIF data comes first, and has at most 64 KB
_TAG = 0x0112


def orientation(encoded, is_png):
    """Return the orientation of a JPEG or PNG as a scalar int32, 1 to 8; 1 where it says none.

    Without loops and branches: these cost more than the rest, in each image and in tracing.

    Args:
        encoded: scalar string tensor, the file's bytes.
        is_png: scalar bool tensor, whether these are a PNG and not a JPEG.
    """
    name = tf.where(is_png, b"eXIf", b"Exif\0\0")
    head = tf.strings.substr(encoded, 0, _HEAD)
    parts = tf.raw_ops.StringSplitV2(input=[head], sep=name, maxsplit=1).values
    parts = tf.concat([parts, [b""]], 0)
    before, content = parts[0], parts[1]
    begins = tf.strings.substr(b"\0\0\0\0" + before, tf.strings.length(before), 2) == b"\xff\xe1"
    data = tf.cast(tf.io.decode_raw(tf.strings.substr(content, 0, 2**16) + b"\0" * 16, tf.uint8), tf.int32)
    last, little = tf.size(data) - 1, data[0] == ord("I")

    def number(place):  # two bytes
        first, second = (tf.gather(data, tf.clip_by_value(place + shift, 0, last)) for shift in (0, 1))
        return tf.where(little, first + 256 * second, 256 * first + second)

    directory = number(tf.where(little, 4, 6))  # the lower half of an offset of four bytes
    entries = directory + 2 + 12 * tf.range(tf.minimum(number(directory), 1000))
    values = tf.where(number(entries) == _TAG, number(entries + 8), 0)
    value = tf.reduce_max(tf.concat([values, [0]], 0))
    return tf.where((begins | is_png) & (value >= 1) & (value <= 8), value, 1)


def turned(image, value):
    """Return an image (H, W, C) as it is seen, where its orientation is `value`, a scalar int32."""

    def turn():
        axes = tf.where(value >= 5, [1, 0, 2], [0, 1, 2])
        upside_down, to_the_left = (tf.reduce_any(value == those) for those in ([3, 4, 7, 8], [2, 3, 6, 7]))
        return tf.raw_ops.Reverse(
            tensor=tf.transpose(image, axes), dims=tf.stack([upside_down, to_the_left, False])
        )

    return tf.cond(value == 1, lambda: image, turn)
