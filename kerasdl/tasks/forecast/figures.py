"""Figures of forecasts: pure functions over values and targets, (N, horizon, K) each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.errors import RunFailedError

_PARTS = (0.5, 0.1, 0.9)  # of the windows, by error, that the report shows beside the worst ones
_NUM_WORST = 3


def figures(
    values: np.ndarray, targets: np.ndarray, std: np.ndarray, columns: Sequence[str]
) -> dict[str, Any]:
    """Return all figures of a split, as plain numbers that JSON can hold.

    Args:
        values: forecasts in the targets' own units.
        targets: what came.
        std: standard deviation of each column over the training part.
        columns: names of the targets.

    Returns:
        mse and mae (in standard deviations, as papers give them), mae_raw and rmse_raw (in the targets' own
        units, over all columns), `examples`, `short` (these five again, for a bundle), `targets` (their
        names), `by_horizon` (mse and mae of each step ahead), and `per_target` where there are several.

    Raises:
        RunFailedError: when values are not numbers.
    """
    if bad := int((~np.isfinite(values)).any((1, 2)).sum()):
        raise RunFailedError(f"The forecasts of {bad:,} of {len(values):,} windows are not numbers.")
    errors = values.astype(np.float64) - targets
    short = {**errors_of(errors, std), "examples": len(values)}
    scaled = errors / std
    rows = [{"target": name, **errors_of(errors[:, :, [k]], std[[k]])} for k, name in enumerate(columns)]
    return {
        **short,
        "short": short,
        "targets": list(columns),
        "by_horizon": {
            "mse": np.square(scaled).mean((0, 2)).tolist(),
            "mae": np.abs(scaled).mean((0, 2)).tolist(),
        },
        "per_target": rows if len(rows) > 1 else [],
    }


def errors_of(errors: np.ndarray, std: np.ndarray) -> dict[str, float]:
    """Return mse, mae, mae_raw and rmse_raw of raw errors (N, horizon, K)."""
    scaled = errors / std
    return {
        "mse": float(np.square(scaled).mean()),
        "mae": float(np.abs(scaled).mean()),
        "mae_raw": float(np.abs(errors).mean()),
        "rmse_raw": float(np.sqrt(np.square(errors).mean())),
    }


def coverage(
    forecast: np.ndarray, targets: np.ndarray, std: np.ndarray, quantiles: Sequence[float]
) -> dict[str, Any]:
    """Return how often targets lie below each quantile, and within each pair of them around the median.

    Args:
        forecast: quantiles in the targets' own units, (N, horizon, K, Q).
        targets: what came, (N, horizon, K).
        std: standard deviation of each column over the training part.
        quantiles: the quantiles, ascending.

    Returns:
        `pinball` (mean loss in standard deviations), `quantiles` (level and `below`), `intervals` (level,
        `covered`, and the mean `width` in standard deviations).
    """
    levels = np.array(quantiles)
    apart = (targets[..., None] - forecast.astype(np.float64)) / std[:, None]
    below = (apart <= 0).mean((0, 1, 2))
    rows = []
    for low in range(len(levels) // 2):
        high = len(levels) - 1 - low
        if low < high and abs(levels[low] + levels[high] - 1) < 1e-9:
            inside = (apart[..., low] >= 0) & (apart[..., high] <= 0)
            width = (forecast[..., high] - forecast[..., low]) / std
            rows.append(
                {
                    "level": round(float(levels[high] - levels[low]), 6),
                    "covered": float(inside.mean()),
                    "width": float(width.mean()),
                }
            )
    return {
        "pinball": float(np.maximum(levels * apart, (levels - 1) * apart).mean()),
        "quantiles": [
            {"level": float(level), "below": float(share)} for level, share in zip(levels, below, strict=True)
        ],
        "intervals": rows,
    }


def shown(values: np.ndarray, targets: np.ndarray, std: np.ndarray) -> Mapping[str, np.ndarray]:
    """Return indices and mse of some windows: the median one, a good one, a bad one, and the worst."""
    mse = np.square((values.astype(np.float64) - targets) / std).mean((1, 2))
    order = np.argsort(mse, kind="stable")
    picked = [order[int(part * (len(order) - 1))] for part in _PARTS]
    indices = np.array(list(dict.fromkeys([*picked, *order[::-1][:_NUM_WORST]])), np.int64)
    return {"indices": indices, "mse": mse[indices]}
