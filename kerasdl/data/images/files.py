"""Reading of image files: their headers, checks of every file, and decoding as in the exports."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data import memory
from kerasdl.data.labelled import listing
from kerasdl.data.labelled.assemble import digest
from kerasdl.errors import UsageError
from kerasdl.preprocessing import pillow
from kerasdl.preprocessing.picture import Orientation, Picture

KIND = listing.Kind("images", frozenset(pillow.SUFFIXES), pillow.NAMES)

_PARALLEL_CALLS = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """Indices of the readable ones among some files, their pixels if asked for, and their digests."""

    good: np.ndarray  # (N,) int
    pixels: np.ndarray | None  # (N, H, W, C) uint8
    digests: np.ndarray  # (N, 64) uint8, of the files' bytes and of the pixels
    grey: bool  # whether no pixel has a colour


def headers(paths: Sequence[Path], *, skip_bad: bool) -> dict[Path, pillow.Header]:
    """Read the headers of files; of bad ones there are none.

    Raises:
        UsageError: names the first bad image, unless `skip_bad`; or when all are bad.
    """

    def read(path: Path) -> pillow.Header | Exception:
        try:
            return pillow.header(path)
        except (OSError, ValueError) as error:
            return error

    with ThreadPoolExecutor(_PARALLEL_CALLS) as pool:
        found = dict(zip(paths, pool.map(read, paths), strict=True))
    good = {path: header for path, header in found.items() if isinstance(header, pillow.Header)}
    for path, error in found.items():
        if path not in good and not skip_bad:
            raise _bad_image(path, f"{error}" if type(error) is ValueError else "") from error
    if not good:
        raise UsageError(f"No image can be read, {paths[0]} among them.")
    return good


def most_common_size(found: dict[Path, pillow.Header], orientation: Orientation) -> tuple[int, int]:
    """Return the (height, width) that most images have, the larger of two that are as common."""
    counts = Counter(header.size(orientation) for header in found.values())
    return max(counts, key=lambda size: (counts[size], size))


def largest_values(found: dict[Path, pillow.Header]) -> list[int]:
    """Return the largest value in each 16-bit image; 0 for one that cannot be read."""
    deep = [path for path, header in found.items() if header.is_deep]

    def largest(path: Path) -> int:
        try:
            return int(pillow.deep_values(path).max())
        except Exception:
            return 0  # it is bad: `read` says so, or skips it

    with ThreadPoolExecutor(_PARALLEL_CALLS) as pool:
        return list(pool.map(largest, deep))


def bits_needed(found: dict[Path, pillow.Header]) -> int:
    """Return the bits that the largest value in the 16-bit images needs, 8 to 16; 16 without such images."""
    values = largest_values(found)
    return min(16, max(8, max(values).bit_length())) if values else 16


def decoder(
    shape: tuple[int, int, int], picture: Picture, found: dict[Path, pillow.Header]
) -> Callable[[Any], Any]:
    """Return the TensorFlow function from a file's bytes to (height, width, channels) uint8 pixels.

    Where all pixels are stored as they are seen, nothing else is looked for: that is faster.
    """
    from kerasdl.preprocessing.decoding import decode_image

    if all(header.is_plain for header in found.values()):
        picture = dataclasses.replace(picture, background="ignored", orientation="stored", bits=16)
        return lambda encoded: decode_image(encoded, *shape, picture=picture)
    others = pillow.reader(picture)
    return lambda encoded: decode_image(encoded, *shape, picture=picture, others=others)


def reader(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the TensorFlow function from a scalar path to pixels."""
    import tensorflow as tf

    return lambda path: decode(tf.io.read_file(path))


def read(
    paths: Sequence[Path],
    shape: tuple[int, int, int],
    decode: Callable[[Any], Any],
    *,
    keep: bool,
    skip_bad: bool,
) -> Reading:
    """Read and decode every file once, in parallel; the order is that of `paths`.

    Args:
        paths: the files.
        shape: (height, width, channels) of the pixels.
        decode: the result of `decoder`.
        keep: return the pixels, and not only whether the images are good.
        skip_bad: leave bad images out.

    Raises:
        UsageError: names the first bad image, unless `skip_bad`.
    """
    import tensorflow as tf

    def with_bytes(path):
        encoded = tf.io.read_file(path)
        return encoded, decode(encoded)

    dataset = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    iterator = iter(
        dataset.map(with_bytes, num_parallel_calls=_PARALLEL_CALLS, deterministic=True).prefetch(8)
    )
    pixels = memory.empty((len(paths), *shape), np.uint8) if keep else None
    good, digests, grey = [], [], True
    for index, path in enumerate(paths):
        # An element that fails is passed over by the iterator: the next call gives the next file.
        try:
            encoded, image = next(iterator)
        except tf.errors.OpError as error:
            if not skip_bad:
                raise _bad_image(path) from error
            continue
        image = image.numpy()
        if keep:
            pixels[len(good)] = image
        grey = grey and bool((image == image[..., :1]).all())
        good.append(index)
        digests.append(digest([encoded.numpy(), image.tobytes()]).reshape(1, -1))
    return Reading(
        good=np.array(good, int),
        pixels=None if pixels is None else pixels[: len(good)],
        digests=np.concatenate(digests) if digests else np.zeros((0, 64), np.uint8),
        grey=grey,
    )


def bad_images_note(bad: Sequence[Path]) -> tuple[str, ...]:
    """Return the sentence that counts the skipped images and names the first of them; none if none was."""
    if not bad:
        return ()
    noun = "image was" if len(bad) == 1 else "images were"
    return (f"{len(bad)} bad {noun} skipped: {listing.named(bad)}",)


def _bad_image(path: Path, reason: str = "") -> UsageError:
    what = reason or f"it is corrupt, cut short, or no {pillow.NAMES}"
    return UsageError(
        f"The image {path} cannot be read: {what}. Replace or remove it, or add --skip-bad-images to leave "
        "such files out."
    )
