"""Whether two forecasters differ beyond chance on the same test windows."""

from collections.abc import Mapping

import numpy as np

from kerasdl.tasks.task import RunDifference


def compare(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> RunDifference:
    """Compare the squared errors of two runs by the test of Diebold and Mariano.

    Windows overlap, so that errors of neighbours are alike: the variance of their mean is that of Newey and
    West, over as many neighbours as a window has rows ahead.

    References: Diebold, Mariano, "Comparing predictive accuracy", 1995; Newey, West, "A simple, positive
    semi-definite, heteroskedasticity and autocorrelation consistent covariance matrix", 1987.

    Args:
        first: `targets` and `values` (N, horizon, K) of one run, in the order of time, and `std` (K,).
        second: those of the other.

    Raises:
        ValueError: when they were made on other windows.
    """
    from scipy.stats import norm

    if not np.array_equal(first["targets"], second["targets"]):
        raise ValueError("tested on other windows")
    errors = [
        np.square((run["values"].astype(np.float64) - run["targets"]) / first["std"]).mean((1, 2))
        for run in (first, second)
    ]
    change = errors[1] - errors[0]
    count, horizon = first["targets"].shape[:2]
    centred = change - change.mean()
    lags = min(horizon, count - 1)
    variance = np.square(centred).mean()
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (centred[lag:] * centred[:-lag]).sum() / count
    spread = np.sqrt(max(variance, 0.0) / count)
    p_value = float(2 * norm.sf(abs(change.mean()) / spread)) if spread > 0 else float(not change.any())
    return RunDifference(
        p_value=p_value,
        amount=f"{abs(change.mean()):.4g} in the mean squared error",
        gain=-float(change.mean()),
        figures={"examples": count, "mse_change": float(change.mean())},
    )
