"""Kernel distance of two sets of images in a classifier's features (KID): unbiased at any number."""

import numpy as np

_MOST = 10_000  # examples of each set that count
_PARTS = 10


def distance(first: np.ndarray, second: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """Return the squared maximum mean discrepancy of a cubic kernel, and its standard error.

    Reference: Binkowski et al., "Demystifying MMD GANs", 2018, https://arxiv.org/abs/1801.01401: the kernel
    (x y / D + 1)^3 and its unbiased estimate. Unlike the Frechet distance it does not depend on the number of
    examples, and can lie below 0 by chance. The estimate is of all examples, and its error that of the
    jackknife, which leaves out a tenth of both sets at a time: subsets as in the paper share most examples
    where sets are small, and then differ far less than new sets would.

    Args:
        first: features (N, D); 10,000 of them count, drawn at random.
        second: features (M, D), likewise.
        seed: seed of the draws.

    Returns:
        (distance, standard error of it).

    Raises:
        ValueError: for fewer than four examples in a set.
    """
    fewest = min(len(first), len(second))
    if fewest < 4:
        raise ValueError("a kernel distance with its error needs four examples of each set")
    random, count = np.random.default_rng(seed), min(_PARTS, fewest)
    sets = [_extended(part[random.permutation(len(part))[:_MOST]]) for part in (first, second)]
    parts = [np.array_split(whole, count) for whole in sets]
    sizes = [np.array([len(part) for part in of_set]) for of_set in parts]
    between = _sums_of_cubes(*parts)
    within = [
        _sums_of_cubes(of_set, of_set) - np.diag([((part * part).sum(axis=1) ** 3).sum() for part in of_set])
        for of_set in parts
    ]

    def unbiased(kept: np.ndarray) -> float:
        pairs, (n, m) = np.ix_(kept, kept), (of_set[kept].sum() for of_set in sizes)
        own = sum(sums[pairs].sum() / (size * (size - 1)) for sums, size in zip(within, (n, m), strict=True))
        return float(own - 2 * between[pairs].sum() / (n * m))

    every = np.arange(count)
    without = [unbiased(np.delete(every, one)) for one in every]
    return unbiased(every), float(np.sqrt(count - 1) * np.std(without))


def _extended(features: np.ndarray) -> np.ndarray:
    """Return float64 vectors whose products are x y / D + 1."""
    scaled = features.astype(np.float64) / np.sqrt(features.shape[1])
    return np.concatenate([scaled, np.ones((len(features), 1))], axis=1)


def _sums_of_cubes(first: list[np.ndarray], second: list[np.ndarray]) -> np.ndarray:
    """Return the sum of the cubes of all products of each pair of parts."""
    found = np.zeros((len(first), len(second)))
    for row, one in enumerate(first):
        for column, other in enumerate(second):
            products = one @ other.T
            found[row, column] = (products * products).ravel() @ products.ravel()
    return found
