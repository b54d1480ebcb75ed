"""Simple forecasts that a network has to beat: persistence, seasonal naive, and a linear map."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kerasdl.data.dataset import Dataset
from kerasdl.data.passes import split_batches
from kerasdl.data.splits import Split
from kerasdl.tasks.forecast import figures

_PENALTIES = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4)  # of the linear map; validation chooses
_MOST_SEQUENCES = 300_000  # that the linear map is fitted on

#: From the pasts of the targets (N, context, K) to forecasts (N, horizon, K), in raw values.
Forecast = Callable[[np.ndarray], np.ndarray]


def beside(found: dict[str, Any], data: Dataset, split: Split, season: int) -> dict[str, Any]:
    """Return figures with `baselines` on the same split, and with MASE.

    MASE is the mean absolute error of a target as a multiple of that of the seasonal naive forecast, one step
    ahead over the training part, averaged over the targets: Hyndman, Koehler, "Another look at measures of
    forecast accuracy", 2006.

    Args:
        found: figures of `figures.figures`.
        data: the data of the run.
        split: the split that was judged.
        season: rows of a season; 1 for none.
    """
    spec = data.spec.targets
    horizon, std = spec.shape[0], np.array(spec.std)
    context = data.spec.inputs.shape[0]
    season = season if season <= context else 1
    methods: dict[str, Forecast] = {"persistence": lambda past: np.repeat(past[:, -1:], horizon, axis=1)}
    if season > 1:
        places = [context - season + step % season for step in range(horizon)]
        methods["seasonal naive"] = lambda past: past[:, places]
    methods["linear"] = linear(data)
    scale = _naive_error(data, season)
    rows = {}
    for name, method in methods.items():
        errors = np.concatenate([method(past) - targets for past, targets in _pairs(split, len(std))])
        rows[name] = {
            **figures.errors_of(errors, std),
            "mase": mase(np.abs(errors).mean((0, 1)), scale),
            "mse_by_horizon": np.square(errors / std).mean((0, 2)).tolist(),
        }
    per_target = found["per_target"] or [found]
    own = mase(np.array([row["mae_raw"] for row in per_target]), scale)
    return {**found, "mase": own, "season": season, "baselines": rows}


def mase(errors: np.ndarray, scale: np.ndarray) -> float:
    """Return mean absolute errors (K,) as multiples of the naive ones (K,), averaged over the targets."""
    return float((errors / np.maximum(scale, 1e-12)).mean())


def linear(data: Dataset) -> Forecast:
    """Fit NLinear in closed form (ridge regression), with the penalty that validation chooses."""
    spec = data.spec.targets
    num_targets, std = len(spec.std), np.array(spec.std)
    every = max(1, len(data.train) * num_targets // _MOST_SEQUENCES)
    products = [_products(*pair) for pair in _changes(data.train, std, every)]
    square, mixed = (np.sum(part, axis=0) for part in zip(*products, strict=True))
    penalty = np.eye(len(square))
    penalty[-1, -1] = 0  # the constant
    maps = [np.linalg.lstsq(square + weight * penalty, mixed, rcond=None)[0] for weight in _PENALTIES]
    errors = np.zeros(len(maps))
    for past, future in _changes(data.validation, std, 1):
        errors += [np.square(_with_one(past) @ one - future).sum() for one in maps]
    best = maps[int(np.argmin(errors))]

    def forecast(past: np.ndarray) -> np.ndarray:
        last = past[:, -1:]
        changes = ((past - last) / std).transpose(0, 2, 1)  # (N, K, context)
        return (_with_one(changes) @ best).transpose(0, 2, 1) * std + last

    return forecast


def _pairs(split: Split, num_targets: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the pasts of the targets and the targets, batch by batch, float64."""
    for features, targets, _ in split_batches(split)():
        yield features[:, :, :num_targets].astype(np.float64), targets.astype(np.float64)


def _changes(split: Split, std: np.ndarray, every: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield past and future of each target as scaled changes from its last value, (N, context or horizon)."""
    for number, (past, targets) in enumerate(_pairs(split, len(std))):
        if number % every == 0:
            last = past[:, -1:]
            parts = [((rows - last) / std).transpose(0, 2, 1) for rows in (past, targets)]
            yield tuple(part.reshape(-1, part.shape[-1]) for part in parts)


def _with_one(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.ones((*rows.shape[:-1], 1))], axis=-1)


def _products(past: np.ndarray, future: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    past = _with_one(past)
    return past.T @ past, past.T @ future


def _naive_error(data: Dataset, season: int) -> np.ndarray:
    """Return the mean absolute change of each target over a season in the training part, (K,)."""
    sums, count = 0.0, 0
    for past, targets in _pairs(data.train, len(data.spec.targets.std)):
        sums, count = sums + np.abs(targets[:, 0] - past[:, -season]).sum(0), count + len(past)
    return sums / count
