"""Reading of image files: sizes and colours, checks of every file, and decoding as in the exports."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data import memory
from kerasdl.data.labelled.assemble import digest
from kerasdl.errors import UsageError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
_PARALLEL_CALLS = 4
_NUM_LOOKED_AT = 200
_NUM_NAMED = 5


@dataclasses.dataclass(frozen=True)
class Look:
    """Sizes (height, width) of some of the images, the first one's first, and whether all are grey."""

    sizes: tuple[tuple[int, int], ...]
    grey: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """Indices of the readable ones among some files, their pixels if asked for, and their digests."""

    good: np.ndarray  # (N,) int
    pixels: np.ndarray | None  # (N, H, W, C) uint8
    digests: np.ndarray  # (N, 32) uint8, of the files' bytes


def look(paths: Sequence[Path], *, skip_bad: bool) -> Look:
    """Decode the first and up to 200 of `paths`, evenly spread, at the size and colours they have.

    Raises:
        UsageError: names the first bad image, unless `skip_bad`; or when all that were looked at are bad.
    """
    import tensorflow as tf

    sizes: dict[tuple[int, int], None] = {}
    grey = True
    for path in paths[:: max(1, len(paths) // _NUM_LOOKED_AT)]:
        try:
            image = tf.io.decode_image(tf.io.read_file(str(path)), expand_animations=False).numpy()
        except tf.errors.OpError as error:
            if not skip_bad:
                raise _bad_image(path) from error
            continue
        sizes.setdefault(image.shape[:2])
        # Grey, grey with alpha, or colours that are all equal, as GIF and palette files store grey.
        grey &= image.shape[2] <= 2 or bool((image[..., :3] == image[..., :1]).all())
    if not sizes:
        raise UsageError(f"No image that was looked at can be decoded, {paths[0]} among them.")
    return Look(tuple(sizes), grey)


def reader(shape: tuple[int, int, int]) -> Callable[[Any], Any]:
    """Return the TensorFlow function from a scalar path to (height, width, channels) uint8 pixels."""
    import tensorflow as tf

    from kerasdl.preprocessing.image import decode_image

    return lambda path: decode_image(tf.io.read_file(path), *shape)


def read(paths: Sequence[Path], shape: tuple[int, int, int], *, keep: bool, skip_bad: bool) -> Reading:
    """Read and decode every file once, in parallel; the order is that of `paths`.

    Args:
        paths: the files.
        shape: (height, width, channels) to bring the images to.
        keep: return the pixels, and not only whether the images are good.
        skip_bad: leave bad images out.

    Raises:
        UsageError: names the first bad image, unless `skip_bad`.
    """
    import tensorflow as tf

    from kerasdl.preprocessing.image import decode_image

    def decode(path):
        encoded = tf.io.read_file(path)
        return encoded, decode_image(encoded, *shape)

    dataset = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    iterator = iter(dataset.map(decode, num_parallel_calls=_PARALLEL_CALLS, deterministic=True).prefetch(8))
    pixels = memory.empty((len(paths), *shape), np.uint8) if keep else None
    good, digests = [], []
    for index, path in enumerate(paths):
        # An element that fails is passed over by the iterator: the next call gives the next file.
        try:
            encoded, image = next(iterator)
        except tf.errors.OpError as error:
            if not skip_bad:
                raise _bad_image(path) from error
            continue
        if keep:
            pixels[len(good)] = image.numpy()
        good.append(index)
        digests.append(digest([encoded.numpy()]))
    return Reading(
        good=np.array(good, int),
        pixels=None if pixels is None else pixels[: len(good)],
        digests=np.concatenate(digests) if digests else np.zeros((0, 32), np.uint8),
    )


def bad_images_note(bad: Sequence[Path]) -> tuple[str, ...]:
    """Return the sentence that counts the skipped images and names the first of them; none if none was."""
    if not bad:
        return ()
    named = ", ".join(map(str, bad[:_NUM_NAMED])) + (", ..." if len(bad) > _NUM_NAMED else "")
    noun = "image was" if len(bad) == 1 else "images were"
    return (f"{len(bad)} bad {noun} skipped: {named}",)


def _bad_image(path: Path) -> UsageError:
    return UsageError(
        f"The image {path} cannot be read: it is corrupt, cut short, or no JPEG, PNG, BMP or GIF. Replace or "
        "remove it, or add --skip-bad-images to leave such files out."
    )
