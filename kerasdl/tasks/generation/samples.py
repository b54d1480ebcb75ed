"""Samples of a generative network: raw images made of noise that a seed decides."""

from collections.abc import Callable, Mapping

import numpy as np

from kerasdl.data.passes import split_batches
from kerasdl.data.splits import Split
from kerasdl.inference.endpoint import Arrays
from kerasdl.inference.predictor import InputSpec

_BATCH = 250

#: Takes inputs by name, returns outputs by name.
Make = Callable[[Mapping[str, np.ndarray]], Arrays]


def draw(make: Make, inputs: Mapping[str, InputSpec], labels: np.ndarray, seed: int) -> np.ndarray:
    """Let a network make images.

    Args:
        make: calls the endpoint.
        inputs: shape and dtype of each of its inputs by name: `labels`, and noise under any other name.
        labels: class (N,) that is asked for in each image, where the network is conditional.
        seed: seed of the noise.

    Returns:
        Raw images (N, H, W, C), uint8.
    """
    random, parts = np.random.default_rng(seed), []
    for start in range(0, len(labels), _BATCH):
        asked = labels[start : start + _BATCH].astype(np.int32)
        given = {
            name: asked if name == "labels" else random.standard_normal((len(asked), *shape[1:]), np.float32)
            for name, (shape, _) in inputs.items()
        }
        parts.append(raw(make(given)["images"]))
    return np.concatenate(parts)


def spread(total: int, most: int) -> np.ndarray:
    """Return `most` places spread evenly over `total`: a folder of images is in order of its classes."""
    return np.linspace(0, total - 1, min(total, most)).round().astype(int)


def asked(classes: np.ndarray, count: int) -> np.ndarray:
    """Return classes (count,) in the shares of those of a split (N,), in whatever order these are."""
    return classes[np.arange(count) * len(classes) // count]


def raw(images: np.ndarray) -> np.ndarray:
    """Return images of 0 to 1 as raw ones, uint8: what is not a number becomes black."""
    return np.rint(np.clip(np.nan_to_num(images), 0, 1) * 255).astype(np.uint8)


def real(split: Split, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images and classes of a split, spread evenly over it.

    Args:
        split: the examples.
        most: number of images, at most.

    Returns:
        Raw images (N, H, W, C) uint8, and classes (N,) int32.
    """
    if len(split) > most:
        split = split.select(spread(len(split), most))
    images = [np.asarray(features) for features, *_ in split_batches(split)()]
    return np.concatenate(images), np.asarray(split.targets, np.int32)
