"""The acquisition function of a trial, and its maximisation.

References:
    S. Ament, S. Daulton, D. Eriksson, M. Balandat, E. Bakshy, "Unexpected Improvements to Expected
    Improvement for Bayesian Optimization", NeurIPS 2023: the logarithm of the expected improvement.
    M. A. Gelbart, J. Snoek, R. P. Adams, "Bayesian Optimization with Unknown Constraints", UAI 2014.
"""

import dataclasses
import math

import numpy as np
from scipy import optimize, special

from kerasdl.search.bayesian.encoding import Encoding
from kerasdl.search.bayesian.gaussian_process import GaussianProcess

_LOG_ROOT_2_PI = 0.5 * math.log(2.0 * math.pi)
_SAMPLES = 1024  # a power of two, as a Sobol sequence wants
_PERTURBED = 512
_CLIMBS = 6
_ROUNDS = 3
_CAUTION = 4.0  # squared distance to a failed trial over that to a good one, below which points are avoided
_PENALTY = 10.0  # subtracted from the logarithm at such points
_FEW = 16  # largest number of values that are all tried; a parameter with more is first taken as continuous


def log_improvement(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log(pdf(z) + z cdf(z)) of the standard normal and its derivative, exact far into the tail."""
    z = np.asarray(z, float)
    near, far = np.maximum(z, -1.0), np.minimum(z, -1.0)
    value_near = np.log(np.exp(-0.5 * near**2 - _LOG_ROOT_2_PI) + near * special.ndtr(near))
    # pdf + z cdf = pdf (1 - |z| cdf / pdf), and cdf / pdf = sqrt(pi / 2) erfcx(|z| / sqrt(2))
    ratio = -far * math.sqrt(math.pi / 2.0) * special.erfcx(-far / math.sqrt(2.0))
    rest = np.where(far > -1e4, np.log1p(-np.minimum(ratio, 1.0 - 1e-16)), -2.0 * np.log(-far))
    value_far = -0.5 * far**2 - _LOG_ROOT_2_PI + rest
    value = np.where(z > -1.0, value_near, value_far)
    return value, np.exp(special.log_ndtr(z) - value)


def log_probability(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log cdf(z) of the standard normal and its derivative."""
    value = special.log_ndtr(z)
    return value, np.exp(-0.5 * np.square(z) - _LOG_ROOT_2_PI - value)


@dataclasses.dataclass(frozen=True)
class Acquisition:
    """The log expected improvement, weighted with the probability that all limits are satisfied.

    Attributes:
        objective: model of the objective, which is minimised.
        best: value to improve on; None where no trial satisfies the limits and only the probability counts.
        limited: models of the constrained metrics, each with its upper limit.
        failed: mask of the trials of `objective` that failed.
    """

    objective: GaussianProcess
    best: float | None
    limited: tuple[tuple[GaussianProcess, float], ...] = ()
    failed: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, bool))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the value at points, (points,)."""
        worth = np.zeros(len(features))
        for process, limit, function in self._parts():
            mean, deviation = process.predict(features)
            worth += function((limit - mean) / deviation)[0]
            if process is self.objective:
                worth += np.log(deviation)
        if self.failed.any():
            distances = self.objective.squared_distances(features)[:, : len(self.failed)]
            worth -= _PENALTY * near_failed(distances, self.failed)
        return worth

    def with_gradient(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the value at points, (points,), and its gradient, (points, features).

        The penalty near failed trials is left out: it is a step.
        """
        worth, gradient = np.zeros(len(features)), np.zeros(features.shape)
        for process, limit, function in self._parts():
            mean, deviation, by_mean, by_deviation = process.predict_with_gradients(features)
            z = (limit - mean) / deviation
            value, slope = function(z)
            worth += value
            gradient -= (slope / deviation)[:, None] * (by_mean + z[:, None] * by_deviation)
            if process is self.objective:
                worth += np.log(deviation)
                gradient += by_deviation / deviation[:, None]
        return worth, gradient

    def _parts(self):
        if self.best is not None:
            yield self.objective, self.best, log_improvement
        for process, limit in self.limited:
            yield process, limit, log_probability


def near_failed(squared_distances: np.ndarray, failed: np.ndarray) -> np.ndarray:
    """Tell which points are about as near to a failed trial as to a good one.

    Args:
        squared_distances: squared distances, (points, trials).
        failed: mask of failed trials, (trials,).
    """
    if not failed.any() or failed.all():
        return np.zeros(len(squared_distances), bool)
    from_failed, from_good = squared_distances[:, failed].min(1), squared_distances[:, ~failed].min(1)
    return from_failed < _CAUTION * from_good


def maximise(
    acquisition: Acquisition, encoding: Encoding, good: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return positions of real values, those with the highest acquisition first.

    Args:
        acquisition: function to maximise.
        encoding: encoding of the space.
        good: positions of the best trials, whose neighbourhood is sampled more densely.
        rng: generator of the candidates.
    """
    pool = np.concatenate([sobol(encoding, _SAMPLES, rng), _perturb(encoding, good, rng)])
    worth = acquisition(encoding.features(pool))
    order = np.argsort(-worth, kind="stable")
    climbed = [_climb(acquisition, encoding, start) for start in _apart(pool[order], _CLIMBS)]
    pool = np.concatenate([[position for position, _ in climbed], pool[order]])
    worth = np.concatenate([[value for _, value in climbed], worth[order]])
    return pool[np.argsort(-worth, kind="stable")]


def sobol(encoding: Encoding, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw positions that fill the space evenly; `count` is a power of two."""
    from scipy.stats import qmc  # takes a tenth of a second

    return encoding.sample(qmc.Sobol(len(encoding.axes), rng=rng).random(count))


def _perturb(encoding: Encoding, good: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change some coordinates of good positions, by small and large steps."""
    parents = np.clip(np.nan_to_num(good[rng.integers(len(good), size=_PERTURBED)], nan=0.5), 0.0, 1.0)
    size = parents.shape
    redrawn = encoding.sample(rng.random(size))
    reach = 10.0 ** rng.uniform(-3.0, -0.5, (len(parents), 1))
    moved = parents + reach * rng.normal(size=size)
    moved = np.where(moved < 0.0, -moved, moved)
    moved = np.clip(np.where(moved > 1.0, 2.0 - moved, moved), 0.0, 1.0)
    numbers = np.array([axis.ordinal for axis in encoding.axes])
    changed = np.where(numbers & (rng.random(size) < 0.8), moved, redrawn)
    often = np.minimum(1.0, 10.0 ** rng.uniform(-1.0, 0.0, (len(parents), 1)))
    return encoding.snap(np.where(rng.random(size) < often, changed, parents))


def _apart(ranked: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the first points that are apart from each other."""
    chosen = [ranked[0]]
    for point in ranked[1:]:
        if len(chosen) == count:
            break
        if min(np.abs(point - other).max() for other in chosen) > 0.1:
            chosen.append(point)
    return chosen


def _climb(acquisition: Acquisition, encoding: Encoding, start: np.ndarray) -> tuple[np.ndarray, float]:
    """Maximise by gradients along numbers and value by value along the rest, in turns."""
    position, worth = start, float(acquisition(encoding.features(start[None]))[0])
    for _ in range(_ROUNDS):
        before = worth
        position, worth = _climb_numbers(acquisition, encoding, position, worth)
        position, worth = _climb_values(acquisition, encoding, position, worth)
        if worth <= before + 1e-6:
            break
    return position, worth


def _climb_numbers(
    acquisition: Acquisition, encoding: Encoding, position: np.ndarray, worth: float
) -> tuple[np.ndarray, float]:
    active = encoding.active(position[None])
    free = [
        i
        for i, axis in enumerate(encoding.axes)
        if active[0, i] and axis.ordinal and (axis.values is None or len(axis.values) > _FEW)
    ]
    if not free:
        return position, worth
    columns = encoding.columns[free]

    def descend(numbers):
        moved = position[None].copy()
        moved[0, free] = numbers
        value, gradient = acquisition.with_gradient(encoding.features(moved, active))
        return -value[0], -gradient[0, columns]

    bounds = [(0.0, 1.0)] * len(free)
    found = optimize.minimize(
        descend, position[free], jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 50}
    )
    moved = position[None].copy()
    moved[0, free] = found.x
    moved = encoding.snap(moved)
    value = float(acquisition(encoding.features(moved))[0])
    return (moved[0], value) if value > worth else (position, worth)


def _climb_values(
    acquisition: Acquisition, encoding: Encoding, position: np.ndarray, worth: float
) -> tuple[np.ndarray, float]:
    for _ in range(2 * len(encoding.axes)):
        active, others = encoding.active(position[None])[0], []
        for i, axis in enumerate(encoding.axes):
            if not active[i] or axis.values is None:
                continue
            here, count = int(axis.index(position[i])), len(axis.values)
            tried = range(count) if count <= _FEW else {here - 1, here + 1, *range(0, count, count // 8)}
            for k in sorted(set(tried) - {here, -1, count}):
                others.append(position.copy())
                others[-1][i] = axis.positions[k]
        if not others:
            break
        values = acquisition(encoding.features(np.array(others)))
        if values.max() <= worth:
            break
        position, worth = others[int(values.argmax())], float(values.max())
    return position, worth
