"""Frechet distance: how far apart two sets of images lie, as Gaussians of a classifier's features (FID)."""

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Mean and covariance of features, float64.

    Attributes:
        mean: (D,).
        covariance: (D, D), of n - 1.
        count: number of examples, n.
    """

    mean: np.ndarray
    covariance: np.ndarray
    count: int


def least_samples(num_features: int) -> int:
    """Return the fewest examples of which a covariance of features can be trusted: two for each feature."""
    return 2 * num_features


def moments(features: np.ndarray) -> Moments:
    """Return the mean and covariance of features (N, D), worked out in float64.

    Raises:
        ValueError: for fewer than two examples for each feature.
    """
    count, num_features = features.shape
    if count < least_samples(num_features):
        raise ValueError(
            f"{count} examples are too few for a covariance of {num_features} features: "
            f"{least_samples(num_features)} are needed"
        )
    values = features.astype(np.float64)
    mean = values.mean(axis=0)
    centred = values - mean
    return Moments(mean, centred.T @ centred / (count - 1), count)


def distance(first: Moments, second: Moments) -> float:
    """Return the squared Frechet distance of two Gaussians, 0 or more.

    The trace of the square root of C1 C2 is that of the symmetric S C2 S, where S is the square root of C1:
    eigenvalues of symmetric matrices alone, which no rounding turns complex.

    Reference: Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash
    equilibrium", 2017, https://arxiv.org/abs/1706.08500. The distance falls with the number of examples, so
    that only figures of equal numbers can be compared.
    """
    if all(np.array_equal(one, other) for one, other in zip(first[:2], second[:2], strict=True)):
        return 0.0
    difference = first.mean - second.mean
    root = _square_root(first.covariance)
    product = root @ second.covariance @ root
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh((product + product.T) / 2), 0)).sum()
    spread = np.trace(first.covariance) + np.trace(second.covariance) - 2 * shared
    return float(max(difference @ difference + spread, 0.0))


def _square_root(matrix: np.ndarray) -> np.ndarray:
    """Return the symmetric square root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
