"""Kernel distance of two sets of images in a classifier's features (KID): unbiased at any number."""

import numpy as np

_SUBSETS = 50
_SIZE = 1000  # examples of a subset


def distance(
    first: np.ndarray, second: np.ndarray, *, subsets: int = _SUBSETS, size: int = _SIZE, seed: int = 0
) -> tuple[float, float]:
    """Return the squared maximum mean discrepancy of a cubic kernel, and its standard error.

    Reference: Binkowski et al., "Demystifying MMD GANs", 2018, https://arxiv.org/abs/1801.01401: the kernel
    (x y / D + 1)^3, its unbiased estimate on random subsets, and their mean. Unlike the Frechet distance it
    does not depend on the number of examples, and can lie below 0 by chance.

    Args:
        first: features (N, D).
        second: features (M, D).
        subsets: number of random subsets.
        size: examples of each, drawn without replacement; fewer where a set has not as many.
        seed: seed of the draws.

    Returns:
        (mean over the subsets, standard error of it).

    Raises:
        ValueError: for fewer than two examples in a set.
    """
    size = min(size, len(first), len(second))
    if size < 2:
        raise ValueError("a kernel distance needs two examples of each set")
    random = np.random.default_rng(seed)
    found = [
        _unbiased(*(part[random.choice(len(part), size, replace=False)] for part in (first, second)))
        for _ in range(subsets)
    ]
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(subsets))


def _unbiased(first: np.ndarray, second: np.ndarray) -> float:
    count = len(first)
    first, second = _extended(first), _extended(second)
    own = sum(float(((part * part).sum(axis=1) ** 3).sum()) for part in (first, second))
    within = _sum_of_cubes(first, first) + _sum_of_cubes(second, second) - own
    return within / (count * (count - 1)) - 2 * _sum_of_cubes(first, second) / count**2


def _extended(features: np.ndarray) -> np.ndarray:
    """Return float64 vectors whose products are x y / D + 1."""
    scaled = features.astype(np.float64) / np.sqrt(features.shape[1])
    return np.concatenate([scaled, np.ones((len(features), 1))], axis=1)


def _sum_of_cubes(first: np.ndarray, second: np.ndarray) -> float:
    products = first @ second.T
    return float((products * products).ravel() @ products.ravel())
