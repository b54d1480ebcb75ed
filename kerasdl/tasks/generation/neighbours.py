"""Nearest neighbours: how many samples look real, how much of the data is covered, what was memorised."""

from collections.abc import Iterable

import numpy as np

_ROWS = 1024  # examples whose distances to all others are in memory at once
_MOST = 5000  # examples of each set whose neighbours are looked for
_NEIGHBOURS = 3
_CLOSEST = 0.05  # part of unseen images that counts as unusually close to a training image


def precision_recall(
    real: np.ndarray, generated: np.ndarray, neighbours: int = _NEIGHBOURS
) -> tuple[float, float]:
    """Return improved precision and recall, 0 to 1.

    Precision is the share of samples that lie among the real images: within the distance of a real image to
    its third neighbour. Recall is the share of real images that lie among the samples, likewise.

    Both depend on the number of examples: of each set at most 5,000 count, spread evenly over it.

    Reference: Kynkaanniemi et al., "Improved precision and recall metric for assessing generative models",
    2019, https://arxiv.org/abs/1904.06991.

    Args:
        real: features (N, D) of real images.
        generated: features (M, D) of samples.
        neighbours: number of neighbours that tell a radius; N and M are larger.
    """
    real, generated = (
        part[np.linspace(0, len(part) - 1, min(len(part), _MOST)).round().astype(int)]
        for part in (real, generated)
    )
    return (
        _covered(generated, real, _radii(real, neighbours)),
        _covered(real, generated, _radii(generated, neighbours)),
    )


def nearest(queries: np.ndarray, parts: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest of many vectors for each query.

    Args:
        queries: (Q, D).
        parts: arrays (B, D), one after the other, so that they need not be in memory together.

    Returns:
        (distances, indices): (Q,) Euclidean distances, and (Q,) places among all parts together.
    """
    best, place = np.full(len(queries), np.inf), np.zeros(len(queries), np.int64)
    kept, start = np.zeros_like(queries), 0
    for part in parts:
        for first in range(0, len(part), _ROWS):
            squares = _squares(queries, part[first : first + _ROWS])
            at = squares.argmin(axis=1)
            found = squares[np.arange(len(queries)), at]
            closer = found < best
            best[closer], place[closer] = found[closer], start + first + at[closer]
            kept[closer] = part[first + at[closer]]
        start += len(part)
    return np.linalg.norm(queries.astype(np.float64) - kept, axis=1), place


def memorised(of_samples: np.ndarray, of_unseen: np.ndarray) -> float:
    """Return the share of samples that are as close to a training image as few unseen images are.

    Of images that were never seen 5 % are so close; more says that a network repeats training images (or that
    it blurs: a blurred image is close to many).

    Args:
        of_samples: (N,) distances of samples to their nearest training images.
        of_unseen: (M,) those of real images that no training saw.
    """
    return float((of_samples <= np.quantile(of_unseen, _CLOSEST)).mean())


def _squares(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the squared distances (N, M) of all pairs, float32."""
    centre = second[:1].astype(np.float32)  # smaller numbers are rounded less
    first, second = first - centre, second - centre
    ones = np.ones((len(first), 1), np.float32), np.ones((len(second), 1), np.float32)
    sizes = [(part * part).sum(axis=1, keepdims=True) for part in (first, second)]
    rows = np.concatenate([-2 * first, sizes[0], ones[0]], axis=1)
    found = rows @ np.concatenate([second, ones[1], sizes[1]], axis=1).T  # one product makes all of it
    return np.maximum(found, 0, out=found)


def _radii(features: np.ndarray, neighbours: int) -> np.ndarray:
    """Return the squared distance (N,) of each example to its k-th neighbour; it is not its own."""
    found = [
        np.partition(_squares(features[start : start + _ROWS], features), neighbours, axis=1)[:, neighbours]
        for start in range(0, len(features), _ROWS)
    ]
    return np.concatenate(found)


def _covered(queries: np.ndarray, features: np.ndarray, radii: np.ndarray) -> float:
    """Return the share of queries that lie within the radius of one of the features."""
    found = [
        (_squares(queries[start : start + _ROWS], features) <= radii).any(axis=1)
        for start in range(0, len(queries), _ROWS)
    ]
    return float(np.concatenate(found).mean())
