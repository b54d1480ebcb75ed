"""Bayesian optimisation of hyperparameters: the next values to try, given those that were tried.

A Gaussian process (`gaussian_process`) over an encoding of the conditional space (`encoding`) predicts how
good untried values are; the expected improvement (`acquisition`) chooses the next ones.

References:
    J. Knowles, "ParEGO", IEEE Transactions on Evolutionary Computation 10(1), 2006: several objectives.
    X. Song et al., "The Vizier Gaussian Process Bandit Algorithm", 2024: warping the bad half.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special, stats
from threadpoolctl import threadpool_limits

from kerasdl.search.bayesian import gaussian_process
from kerasdl.search.bayesian.acquisition import Acquisition, maximise, near_failed, sobol
from kerasdl.search.bayesian.encoding import Encoding
from kerasdl.search.objectives import Constraint, Objective
from kerasdl.search.space import Parameter

_INITIAL = 6  # trials before the model is asked
_INITIAL_IF_FAILING = 4  # the same once a trial has failed, as the model knows better what to avoid
_LISTED = 4096  # different trials of a finite space up to which each is judged
_GOOD = 5  # best trials near which the search looks more closely
_AUGMENTATION = 0.05  # of ParEGO's Chebyshev norm, as in the paper


@dataclasses.dataclass(frozen=True)
class Observation:
    """A trial that has ended.

    Attributes:
        values: active hyperparameters by name.
        figures: finite metrics by name; None where the trial failed.
    """

    values: dict[str, Any]
    figures: dict[str, float] | None


@threadpool_limits.wrap(1, "blas")  # of small matrices; more threads would only wait for each other
def suggest(
    space: tuple[Parameter, ...],
    observations: Sequence[Observation],
    pending: Sequence[dict[str, Any]],
    *,
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint] = (),
    seed: int,
) -> dict[str, Any] | None:
    """Return values for the next trial; equal arguments give equal values.

    Args:
        space: hyperparameters; parents come before those that depend on them.
        observations: trials that have ended, in the order of their numbers.
        pending: values of running trials.
        objectives: metrics to improve; with several, each suggestion weighs them differently.
        constraints: limits on metrics.
        seed: seed of the draws, 0 or more.

    Returns:
        The active values, never those of another trial; None where every value of a finite space was tried.
    """
    encoding = Encoding(space)
    rng = np.random.default_rng([seed, len(observations) + len(pending)])
    taken = {_key(values) for values in [*(trial.values for trial in observations), *pending]}
    listed = encoding.all_values(_LISTED)
    if listed is not None:
        listed = [values for values in listed if _key(values) not in taken]
        if len(listed) < 2:
            return listed[0] if listed else None
    trials = _Trials(encoding, observations, objectives, constraints)
    if trials.failed.all() or len(taken) < (_INITIAL_IF_FAILING if trials.failed.any() else _INITIAL):
        return _initial(encoding, trials, taken, seed) or (listed or [None])[0]
    acquisition = trials.acquisition(encoding.encode_all(pending), rng)
    if listed is not None:
        worth = acquisition(encoding.features(encoding.encode_all(listed)))
        return listed[int(worth.argmax())]
    for position in maximise(acquisition, encoding, trials.good(), rng):
        if _key(values := encoding.decode(position)) not in taken:
            return values
    return None  # thousands of points, and each was tried


def _key(values: dict[str, Any]) -> frozenset:
    return frozenset(values.items())


def _initial(encoding: Encoding, trials: "_Trials", taken: set, seed: int) -> dict[str, Any] | None:
    """Return the next new point of a Sobol sequence, away from failed trials where there is one."""
    points = sobol(encoding, 2 ** (len(taken) + 64).bit_length(), np.random.default_rng(seed))
    near, avoided = trials.near_failed(points), None
    for point, shunned in zip(points, near, strict=True):
        if _key(values := encoding.decode(point)) in taken:
            continue
        if not shunned:
            return values
        avoided = avoided or values
    return avoided


class _Trials:
    """The trials that have ended, as arrays; smaller is better."""

    def __init__(
        self,
        encoding: Encoding,
        observations: Sequence[Observation],
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint],
    ):
        def figures(names: list[str]) -> np.ndarray:  # (trials, names), NaN where there is none
            rows = [[(o.figures or {}).get(name, math.nan) for name in names] for o in observations]
            rows = np.array(rows, float).reshape(len(observations), len(names))
            return np.where(np.isfinite(rows), rows, math.nan)

        self._encoding = encoding
        self._positions = encoding.encode_all([trial.values for trial in observations])
        self._features = encoding.features(self._positions)
        self._scores = figures([o.name for o in objectives]) * [o.sign for o in objectives]
        limited = figures([c.name for c in constraints])
        self._excess = [c.excess(column) for c, column in zip(constraints, limited.T, strict=True)]
        self.failed = np.isnan(self._scores).any(axis=1)

    def near_failed(self, positions: np.ndarray) -> np.ndarray:
        """Tell which points are about as near to a failed trial as to a good one."""
        apart = self._encoding.features(positions)[:, None] - self._features
        return near_failed((apart**2).sum(2), self.failed)

    def good(self) -> np.ndarray:
        """Return the positions of the best trials; call `acquisition` first."""
        return self._positions[np.argsort(self._losses, kind="stable")[:_GOOD]]

    def acquisition(self, pending: np.ndarray, rng: np.random.Generator) -> Acquisition:
        """Fit the models and return the acquisition function."""
        running = self._encoding.features(pending)
        feasible, may_be = ~self.failed, np.full(len(pending), True)
        limited = []
        for excess in self._excess:
            known = ~np.isnan(excess)
            feasible &= known & (np.nan_to_num(excess) <= 0)
            if known.any():
                mean, spread = excess[known].mean(), excess[known].std() or 1.0
                process = self._fit(known, (excess[known] - mean) / spread)
                may_be &= process.predict(running)[0] <= -mean / spread
                limited.append((process.believe(running), -mean / spread))
        self._losses = self._losses_of(rng)
        objective = self._fit(np.full(len(self.failed), True), self._losses)
        best = None
        if feasible.any():  # without the running ones, the next would be their neighbours
            good = np.concatenate([self._features[feasible], running[may_be]])
            best = float(objective.predict(good)[0].min())
        return Acquisition(objective.believe(running), best, tuple(limited), self.failed)

    def _fit(self, which: np.ndarray, targets: np.ndarray) -> gaussian_process.GaussianProcess:
        groups, num_groups = self._encoding.groups, len(self._encoding.axes)
        return gaussian_process.fit(self._features[which], targets, groups, num_groups)

    def _losses_of(self, rng: np.random.Generator) -> np.ndarray:
        scores = self._scores[~self.failed]
        if scores.shape[1] > 1:
            scores = chebyshev(scores, rng.dirichlet(np.ones(scores.shape[1])))
        losses = np.full(len(self.failed), np.inf)
        losses[~self.failed] = scores.ravel()
        losses = warp(losses)
        return (losses - losses.mean()) / (losses.std() or 1.0)


def chebyshev(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ParEGO's augmented Chebyshev norm of each row, every column scaled to 0..1."""
    low, spread = scores.min(axis=0), np.ptp(scores, axis=0)
    weighted = weights * (scores - low) / np.where(spread > 0, spread, 1.0)
    return weighted.max(axis=1) + _AUGMENTATION * weighted.sum(axis=1)


def warp(losses: np.ndarray) -> np.ndarray:
    """Replace the bad half of the losses by ranks, so that outliers do not hide differences of good ones.

    Beyond the median, the k-th of n bad losses becomes that quantile of a half-normal distribution which is
    as wide as the good half. Failed trials are infinite and come right after the worst loss.
    """
    middle = np.median(losses[np.isfinite(losses)])
    bad = losses > middle
    spread = np.sqrt(np.mean((middle - losses[~bad]) ** 2)) or 1.0
    ranks = stats.rankdata(losses[bad], method="max")
    warped = losses.copy()
    warped[bad] = middle + spread * special.ndtri(0.5 + 0.5 * (ranks - 0.5) / len(ranks))
    return warped
