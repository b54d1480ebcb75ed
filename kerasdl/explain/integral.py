"""The integral of integrated gradients, over images and words alike."""

from collections.abc import Callable, Sequence

import numpy as np


def integrate(
    total: Callable[[Sequence[float]], np.ndarray | float],
    difference: float,
    *,
    steps: int,
    most_steps: int = 1024,
    tolerance: float = 0.01,
) -> tuple[np.ndarray, float, float, int]:
    """Integrate by the trapezoidal rule, with more steps until the sum is right.

    Args:
        total: takes places on the path, 0 to 1, and returns the sum over them of the gradients times the
            path, float64; 0 for no place.
        difference: what the integral has to sum to.
        steps: intervals of the path to begin with, 1 or more.
        most_steps: intervals that are not halved again. Defaults to 1024.
        tolerance: error, as a part of the difference, that is good enough. Defaults to 0.01.

    Returns:
        Attributions, float32; the difference; the error, as a part of it; the number of intervals.
    """
    inner = total(np.arange(1, steps) / steps) + (total([0.0]) + total([1.0])) / 2
    while True:
        attributions = inner / steps
        error = abs(attributions.sum() - difference) / max(abs(difference), np.finfo(np.float32).tiny)
        if error <= tolerance or 2 * steps > most_steps:
            return attributions.astype(np.float32), difference, error, steps
        steps *= 2
        inner = inner + total(np.arange(1, steps, 2) / steps)
