"""Gaussian process regression: a Matern 5/2 kernel with a length scale for each hyperparameter.

References:
    C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2, 4, 5.
    C. Hvarfner, E. O. Hellsten, L. Nardi, "Vanilla Bayesian Optimization Performs Great in High Dimensions",
    ICML 2024: the prior of the length scales grows with the root of the number of dimensions.
"""

import dataclasses
import math

import numpy as np
from scipy import linalg, optimize

_JITTER = 1e-8
_MAX_STEPS = 60
#: Means and standard deviations of the normal priors of logarithms.
_SCALE_PRIOR = (-1.2, 0.7)  # the mean, to which half the log of the dimensions is added
_VARIANCE_PRIOR = (0.0, 1.0)
_NOISE_PRIOR = (-6.0, 2.0)
_BOUNDS = ((-5.0, 6.0), (-4.0, 4.0), (-14.0, 1.0))  # of log length scales, variance, noise


@dataclasses.dataclass(frozen=True)
class Hyperparameters:
    """Length scale of each group of features, variance of the signal and of the noise."""

    scales: np.ndarray
    variance: float
    noise: float

    @classmethod
    def from_logs(cls, logs: np.ndarray) -> "Hyperparameters":
        """Read length scales, variance and noise from their logarithms."""
        return cls(np.exp(logs[:-2]), float(np.exp(logs[-2])), float(np.exp(logs[-1])))


def matern(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Matern 5/2 correlation at squared distances, and its derivative by them."""
    root = np.sqrt(5.0 * squared)
    decay = np.exp(-root)
    return (1.0 + root + 5.0 / 3.0 * squared) * decay, -5.0 / 6.0 * (1.0 + root) * decay


class GaussianProcess:
    """Posterior of a function, given noisy values with a mean of about 0 and a variance of about 1.

    Args:
        features: observed points, (points, features).
        targets: observed values, (points,).
        groups: index of the length scale of each feature, (features,).
        hyperparameters: hyperparameters of the kernel, as found by `fit`.
    """

    def __init__(
        self,
        features: np.ndarray,
        targets: np.ndarray,
        groups: np.ndarray,
        hyperparameters: Hyperparameters,
    ):
        self.features, self.targets, self.groups = features, targets, groups
        self.hyperparameters = hyperparameters
        self._weights = 1.0 / hyperparameters.scales[groups] ** 2
        covariance = hyperparameters.variance * matern(self.squared_distances(features))[0]
        covariance[np.diag_indices_from(covariance)] += hyperparameters.noise + _JITTER
        self._factor = linalg.cholesky(covariance, lower=True)
        self._alpha = linalg.cho_solve((self._factor, True), targets)

    def squared_distances(self, features: np.ndarray) -> np.ndarray:
        """Return squared distances to the observed points, in length scales, (points, observed)."""
        scaled, mine = features * np.sqrt(self._weights), self.features * np.sqrt(self._weights)
        squared = (scaled**2).sum(1)[:, None] + (mine**2).sum(1) - 2.0 * scaled @ mine.T
        return np.maximum(squared, 0.0)

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the noiseless function, (points,)."""
        cross = self.hyperparameters.variance * matern(self.squared_distances(features))[0]
        half = linalg.solve_triangular(self._factor, cross.T, lower=True, check_finite=False)
        variance = self.hyperparameters.variance - (half**2).sum(0)
        return cross @ self._alpha, np.sqrt(np.maximum(variance, 1e-12))

    def predict_with_gradients(self, features: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return mean, standard deviation, (points,), and their gradients, (points, features)."""
        correlation, slope = matern(self.squared_distances(features))
        cross, slope = (self.hyperparameters.variance * part for part in (correlation, slope))
        solved = linalg.cho_solve((self._factor, True), cross.T, check_finite=False).T
        variance = np.maximum(self.hyperparameters.variance - (cross * solved).sum(1), 1e-12)
        deviation = np.sqrt(variance)

        def gradient(by_cross):  # d squared distance / d feature = 2 weight (feature - observed feature)
            pull = by_cross * slope
            return 2.0 * self._weights * (features * pull.sum(1, keepdims=True) - pull @ self.features)

        return (
            cross @ self._alpha,
            deviation,
            gradient(self._alpha),
            gradient(-solved) / deviation[:, None],  # d sqrt(v) = dv / (2 sqrt(v)), and v has cross twice
        )

    def believe(self, features: np.ndarray) -> "GaussianProcess":
        """Return the process conditioned on its own means at points whose values are not known yet.

        Reference: D. Ginsbourger, R. Le Riche, L. Carraro, "Kriging Is Well-Suited to Parallelize
        Optimization", 2010 (the kriging believer).
        """
        if not len(features):
            return self
        targets = np.concatenate([self.targets, self.predict(features)[0]])
        return GaussianProcess(
            np.concatenate([self.features, features]), targets, self.groups, self.hyperparameters
        )


def fit(features: np.ndarray, targets: np.ndarray, groups: np.ndarray, num_groups: int) -> GaussianProcess:
    """Fit the hyperparameters (maximum a posteriori)."""
    objective = Evidence(features, targets, groups, num_groups)
    bounds = [_BOUNDS[0]] * num_groups + [*_BOUNDS[1:]]
    centre = objective.prior_means
    starts = [centre, np.concatenate([np.full(num_groups, math.log(0.5)), [0.0, -8.0]])]
    found = [
        optimize.minimize(
            objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _MAX_STEPS}
        )
        for start in starts
    ]
    best = min(found, key=lambda result: result.fun)
    return GaussianProcess(features, targets, groups, Hyperparameters.from_logs(best.x))


class Evidence:
    """The negative log of marginal likelihood times prior, by the logs of the hyperparameters."""

    def __init__(self, features: np.ndarray, targets: np.ndarray, groups: np.ndarray, num_groups: int):
        self.targets, self.num_groups = targets, num_groups
        self._rows, self._columns = np.tril_indices(len(features), -1)
        squared = np.zeros((num_groups, len(self._rows)))  # of each group, each pair of points once
        for feature, group in enumerate(groups):
            column = features[:, feature]
            squared[group] += (column[self._rows] - column[self._columns]) ** 2
        self._squared = squared
        shift, deviation = _SCALE_PRIOR
        scale_mean = shift + 0.5 * math.log(max(num_groups, 1))
        self.prior_means = np.array([scale_mean] * num_groups + [_VARIANCE_PRIOR[0], _NOISE_PRIOR[0]])
        self._deviations = np.array([deviation] * num_groups + [_VARIANCE_PRIOR[1], _NOISE_PRIOR[1]])

    def __call__(self, logs: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the value and its gradient."""
        weights, variance, noise = np.exp(-2.0 * logs[:-2]), np.exp(logs[-2]), np.exp(logs[-1])
        correlation, slope = matern(weights @ self._squared)
        count = len(self.targets)
        covariance = np.empty((count, count))
        covariance[self._rows, self._columns] = variance * correlation  # only this half is read
        covariance[np.diag_indices(count)] = variance + noise + _JITTER
        try:
            factor = linalg.cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        except linalg.LinAlgError:
            return 1e10, np.zeros_like(logs)
        alpha = linalg.cho_solve((factor, True), self.targets, check_finite=False)
        inverse = linalg.lapack.dpotri(factor, lower=True)[0]  # its lower half
        value = 0.5 * self.targets @ alpha + np.log(np.diag(factor)).sum()
        # d value / d covariance; pairs count twice, since the matrix is symmetric
        pairs = inverse[self._rows, self._columns] - alpha[self._rows] * alpha[self._columns]
        diagonal = 0.5 * (np.diag(inverse) - alpha**2)
        by_scales = -2.0 * weights * (self._squared @ (pairs * slope)) * variance
        by_variance = variance * (pairs @ correlation + diagonal.sum())
        gradient = np.concatenate([by_scales, [by_variance, noise * diagonal.sum()]])
        away = (logs - self.prior_means) / self._deviations
        return value + 0.5 * away @ away, gradient + away / self._deviations
