"""Figures of a language model, in nats for each character: from logits and the characters that came."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasdl.inference.endpoint import Limits, by_kind

_ROWS = 64  # windows whose logits are normalised at once
_KINDS_OF_PLACES = 12  # points of the curve over the places of a window


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the logarithm of each probability (..., vocabulary_size), float32."""
    logits = logits.astype(np.float32)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def nats_of(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the nats of each character that came, of the shape of the targets.

    Args:
        logits: (N, ..., vocabulary_size).
        targets: (N, ...), ids.
    """
    parts = []
    for start in range(0, len(logits), _ROWS):
        known = log_probabilities(logits[start : start + _ROWS])
        place = targets[start : start + _ROWS, ..., None].astype(np.int64)
        parts.append(-np.take_along_axis(known, place, axis=-1)[..., 0])
    return np.concatenate(parts)


def figures(nats: np.ndarray) -> dict[str, Any]:
    """Return the figures of a split, each of whose windows begins without a past.

    Args:
        nats: (N, T), those of each character.

    Returns:
        `nats` and `perplexity` (e to the nats), `bits` for each character, `window` T, `characters`,
        `examples` N, and `by_place`: for parts of the window, the first place after it and the mean nats.
    """
    mean, length = float(nats.mean(dtype=np.float64)), nats.shape[1]
    ends = np.unique(np.geomspace(1, length, _KINDS_OF_PLACES).round().astype(int))
    starts = np.concatenate([[0], ends[:-1]])
    by_place = [
        [int(end), float(nats[:, start:end].mean(dtype=np.float64))]
        for start, end in zip(starts, ends, strict=True)
    ]
    return {
        **short(mean),
        "bits": mean / float(np.log(2)),
        "window": length,
        "characters": int(nats.size),
        "examples": len(nats),
        "by_place": by_place,
    }


def short(mean: float) -> dict[str, float]:
    """Return the few figures that a bundle keeps of each file."""
    return {"nats": mean, "perplexity": float(np.exp(min(mean, 700.0)))}


def compare(
    expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray], targets: np.ndarray
) -> dict[str, float]:
    """Compare the logits, and the states where there are any, of a file with those of Keras.

    Args:
        expected: `logits` (N, T, vocabulary_size), or (N, vocabulary_size) of one step, and states.
        actual: likewise.
        targets: (N, T) ids; the last place is what one step tells.

    Returns:
        `max_difference` of the logarithms of probabilities and, where that is larger, of states; the `nats`
        of the file, `nats_rise` over those of Keras, and `divergence`: the mean nats that the file's
        probabilities lose on texts that the ones of Keras are right about (Kullback-Leibler).
    """
    came = targets if expected["logits"].ndim == 3 else targets[:, -1]
    before, after = (nats_of(part["logits"], came) for part in (expected, actual))
    largest, lost = [], []
    for start in range(0, len(came), _ROWS):
        rows = slice(start, start + _ROWS)
        right, given = (log_probabilities(part["logits"][rows]) for part in (expected, actual))
        largest.append(np.abs(right - given).max())
        lost.append((np.exp(right) * (right - given)).sum(axis=-1))
    states = [name for name in expected if name != "logits"]
    largest += [np.abs(expected[name] - actual[name]).max() for name in states]
    rise = float(after.mean(dtype=np.float64) - before.mean(dtype=np.float64))
    return {
        # Python's max would drop a NaN.
        "max_difference": float(np.max(largest)) if np.isfinite(rise) else np.inf,
        "nats": float(after.mean(dtype=np.float64)),
        "nats_rise": rise,
        "divergence": float(np.concatenate(lost).mean(dtype=np.float64)),
    }


def tolerances(kind: str) -> Limits:
    """Return the limits on the figures of `compare`, by kind of file."""
    return by_kind(
        kind,
        exact={"max_difference": ("<=", 2e-3), "divergence": ("<=", 1e-5)},
        float16={"nats_rise": ("<=", 0.005), "divergence": ("<=", 0.005)},
        quantized={"nats_rise": ("<=", 0.02), "divergence": ("<=", 0.02)},
    )


def tolerances_of_steps(kind: str) -> Limits:
    """Return the limits for `step`: also those of 500 steps against the full pass."""
    whole = tolerances(kind)
    return {**whole, **{f"stream_{name}": limit for name, limit in whole.items()}}
