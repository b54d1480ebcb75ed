"""Explanations by occlusion: how the logit falls when a patch is covered."""

import keras
import numpy as np

from kerasdl.explain.gradients import BATCH, floats, logits_of


def occlusion(
    network: keras.Model,
    images: np.ndarray,
    class_ids: np.ndarray,
    *,
    part: float = 0.125,
    fill: float = 127.5,
) -> np.ndarray:
    """Return how far the logit falls when a patch of the image is grey, averaged over the patches of a pixel.

    Reference: Zeiler, Fergus, "Visualizing and understanding convolutional networks", 2013,
    https://arxiv.org/abs/1311.2901, section 4.2 (there: of the probability).

    Args:
        network: any network.
        images: raw.
        class_ids: class to explain for each image, (N,).
        part: side of a patch as a part of the image's longer side; it moves by half of its side.
            Defaults to 0.125.
        fill: value in the patch, 0..255. Defaults to 127.5.

    Returns:
        (N, height, width); below 0 where the patch makes the class more likely.
    """
    size = patch_size(images.shape[1:3], part)
    places = [
        (slice(row, row + size), slice(column, column + size))
        for row in _starts(images.shape[1], size)
        for column in _starts(images.shape[2], size)
    ]
    count = np.zeros(images.shape[1:3], np.float32)
    for place in places:
        count[place] += 1
    maps = []
    for image, class_id in zip(floats(images), class_ids, strict=True):
        falls = np.zeros_like(count)
        whole = logits_of(network, image[None])[0, class_id]
        for start in range(0, len(places), BATCH):
            some = places[start : start + BATCH]
            covered = np.repeat(image[None], len(some), axis=0)
            for copy, place in zip(covered, some, strict=True):
                copy[place] = fill
            for place, logit in zip(some, logits_of(network, covered)[:, class_id], strict=True):
                falls[place] += whole - logit
        maps.append(falls / count)
    return np.stack(maps)


def patch_size(extent: tuple[int, int], part: float = 0.125) -> int:
    """Return the side in pixels of a patch, for a part of the longer side: 2 or more where there is room."""
    return min(max(round(part * max(extent)), 2), *extent)


def _starts(length: int, size: int) -> list[int]:
    return [*range(0, length - size, max(size // 2, 1)), length - size]
