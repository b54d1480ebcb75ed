"""Figures of a regression: pure functions over values and targets, (N, num_outputs) each."""

from typing import Any

import numpy as np

from kerasdl.errors import RunFailedError

NUM_WORST = 24
_MOST_POINTS = 2000  # that a page draws


def columns_of(targets: np.ndarray) -> np.ndarray:
    """Return targets (N,) as (N, 1), and (N, num_outputs) as they are."""
    targets = np.asarray(targets)
    return targets[:, None] if targets.ndim == 1 else targets


def figures(values: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    """Return all figures of a split, as plain numbers that JSON can hold.

    Returns:
        mae, rmse (in the targets' units) and r2 over all outputs, `examples`, `short` (these four again, for
        a bundle), `bias` (mean residual), `residual_quantiles` (5, 25, 50, 75, 95 %), `per_output` where
        there are several, and `points`: up to 2,000 pairs of target and value, evenly spread.

    Raises:
        RunFailedError: when values are not numbers.
    """
    if bad := int((~np.isfinite(values)).any(-1).sum()):
        raise RunFailedError(f"The values of {bad:,} of {len(values):,} examples are not numbers.")
    short = {**_errors(values, targets), "examples": len(values)}
    residuals = values.astype(np.float64) - targets
    shown = np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST_POINTS)).astype(int))
    per_output = [_errors(values[:, [k]], targets[:, [k]]) for k in range(values.shape[1])]
    return {
        **short,
        "short": short,
        "bias": float(residuals.mean()),
        "residual_quantiles": np.quantile(residuals, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist(),
        "per_output": per_output if len(per_output) > 1 else [],
        "points": [[float(targets[i, 0]), float(values[i, 0])] for i in shown],
    }


def _errors(values: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    residuals = values.astype(np.float64) - targets
    return {
        "mae": float(np.abs(residuals).mean()),
        "rmse": float(np.sqrt(np.square(residuals).mean())),
        "r2": r2(values, targets),
    }


def r2(values: np.ndarray, targets: np.ndarray) -> float:
    """Return the coefficient of determination, the mean over outputs; 0 for outputs that never change."""
    from sklearn.metrics import r2_score

    return float(r2_score(targets, values)) if len(targets) > 1 else 0.0


def worst(values: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the indices of the examples with the largest errors, at most 24, largest first."""
    errors = np.abs(values.astype(np.float64) - targets).mean(-1)
    return np.argsort(-errors, kind="stable")[:NUM_WORST]
