"""Noise that images are made from, ways through it, and the images that an endpoint makes of it."""

from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np

from kerasdl.errors import RunFailedError
from kerasdl.inference.endpoint import Arrays
from kerasdl.inference.predictor import InputSpec

#: Endpoints that make images of noise, the one that is preferred first.
MAKING = ("generate", "decode")


def making(names: Collection[str]) -> str | None:
    """Return which of some endpoints makes images of noise; None where none does."""
    return next((name for name in MAKING if name in names), None)


_BATCH = 64
_COUNT, _EACH, _FEW = 64, 8, 16
_PARALLEL = 1e-4  # sine of the angle below which two directions are one


def normal(seed: int, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Draw standard normal noise (count, *shape), float32; a larger count begins with the same rows."""
    return np.random.default_rng(seed).standard_normal((count, *shape), np.float32)


def default_count(num_classes: int) -> int:
    """Return how many images to make: 64, or 8 of each class where there are a few.

    Args:
        num_classes: classes that are asked for in turn; 0 for none.
    """
    return _EACH * num_classes if 1 < num_classes <= _FEW else _COUNT


def in_turn(count: int, num_classes: int) -> np.ndarray:
    """Return classes (count,), int32: each as often as the others, give or take one, in ascending order."""
    return np.sort(np.arange(count) % num_classes).astype(np.int32)


def spherical(first: np.ndarray, second: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return points on the arc from one point to another; on the line where both lie in one direction.

    In many dimensions normal noise lies near a sphere, and the line between two points leaves it. Reference:
    White, "Sampling generative networks", 2016, https://arxiv.org/abs/1609.04468.

    Args:
        first: (*shape).
        second: (*shape).
        shares: of the way, 0..1, (K,).

    Returns:
        (K, *shape) float32.
    """
    start, end = (np.asarray(point, np.float64) for point in (first, second))
    lengths = np.linalg.norm(start) * np.linalg.norm(end)
    angle = np.arccos(np.clip(np.vdot(start, end) / lengths, -1, 1)) if lengths > 0 else 0.0
    shares = np.asarray(shares, np.float64).reshape(-1, *[1] * start.ndim)
    if np.sin(angle) < _PARALLEL:
        weights = 1 - shares, shares
    else:
        weights = np.sin((1 - shares) * angle) / np.sin(angle), np.sin(shares * angle) / np.sin(angle)
    return (weights[0] * start + weights[1] * end).astype(np.float32)


def walk(points: np.ndarray, count: int) -> np.ndarray:
    """Return a closed way on arcs through points (K, *shape): (count, *shape) float32."""
    places = np.arange(count) * len(points) / count
    legs = places.astype(int)
    parts = [
        spherical(points[leg], points[(leg + 1) % len(points)], places[legs == leg] - leg)
        for leg in np.unique(legs)
    ]
    return np.concatenate(parts)


def noise_input(specs: Mapping[str, InputSpec]) -> tuple[str, tuple[int, ...]]:
    """Return name and shape of the noise among the inputs of an endpoint of `MAKING`."""
    name = next(name for name in specs if name != "labels")
    return name, tuple(int(size) for size in specs[name][0][1:])


def images_of(
    call: Callable[[Arrays], Arrays], name: str, noise: np.ndarray, labels: np.ndarray | None
) -> Iterator[np.ndarray]:
    """Yield images (B, height, width, channels), float32 0..1, in batches.

    Args:
        call: calls an endpoint of `MAKING`.
        name: the input that takes the noise.
        noise: (N, *shape).
        labels: classes (N,), where the endpoint takes any.

    Raises:
        RunFailedError: when they hold what is no number.
    """
    for start in range(0, len(noise), _BATCH):
        part = slice(start, start + _BATCH)
        given = {name: noise[part], **({} if labels is None else {"labels": labels[part]})}
        images = call(given)["images"]
        if not np.isfinite(images).all():
            raise RunFailedError("The images hold what is no number: the network is broken. Train it again.")
        yield images
