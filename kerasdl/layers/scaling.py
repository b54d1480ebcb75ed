"""Numbers in any units to standard deviations and back, so that files with 16-bit constants hold it too.

A file in float16 stores every constant in it: 65504 at most, with 11 bits. The mean of prices overflows
there, and that of years is wrong by one. So powers of two bring numbers near to 1, and a mean goes in two
pieces. The bounds keep TFLite's converter from putting the pieces together, or into the weights beside.
"""

from typing import Any

import numpy as np
from keras import ops

_BOUND = 6e4  # standard deviations, or a number near to 1: nothing reaches it
_MOST = 14  # of powers of two, which are normal numbers in float16


def standardised(x: Any, mean: np.ndarray, std: np.ndarray) -> Any:
    """Return numbers (..., features) float32 in standard deviations from the mean, float32."""
    steps, high, low, scale = _parts(mean, std)
    for step in steps:
        x = x * _constant(1 / step)
    return _kept((_kept(x - _constant(high)) - _constant(low)) * _constant(1 / scale))


def restored(x: Any, mean: np.ndarray, std: np.ndarray) -> Any:
    """Return standard deviations from the mean (..., features) float32 as numbers in their units, float32."""
    steps, high, low, scale = _parts(mean, std)
    x = _kept(_kept(x) * _constant(scale) + _constant(low)) + _constant(high)
    for step in reversed(steps):
        x = x * _constant(step)
    return x


def _parts(mean: np.ndarray, std: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Return powers of two, and, of numbers divided by them: the mean in two pieces, and the deviation."""
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    power = np.round(np.log2(np.maximum(np.abs(mean), std)))
    steps = []
    while np.any(power):
        part = np.clip(power, -_MOST, _MOST)
        steps.append(np.exp2(part))
        power = power - part
    whole = np.prod(steps, axis=0) if steps else np.ones_like(mean)
    high = (mean / whole).astype(np.float16).astype(np.float64)
    return steps, high, mean / whole - high, std / whole


def _kept(x: Any) -> Any:
    return ops.clip(x, -_BOUND, _BOUND)


def _constant(values: np.ndarray) -> Any:
    return ops.convert_to_tensor(values, "float32")
