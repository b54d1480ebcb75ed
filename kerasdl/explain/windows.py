"""Explanations of a number that a network tells of a window of a series: what each value adds to it.

The window is compared with a flat one, in which each column stays at its mean over the window.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kerasdl.data.dataset import Spec
from kerasdl.errors import UsageError
from kerasdl.explain.integral import integrate

_BATCH = 128  # windows in a call


class WindowNetwork:
    """A function from windows of a series to a number each, in the ways in which explanations ask it.

    Args:
        number: takes windows (N, context, columns), float32, and returns numbers (N,), by TensorFlow.
        window: specification of one window.
    """

    def __init__(self, number: Callable[[tf.Tensor], tf.Tensor], window: Spec):
        def sum_of_gradients(windows):
            with tf.GradientTape() as tape:
                tape.watch(windows)
                total = tf.reduce_sum(number(windows))
            gradients = tape.gradient(total, windows)
            if gradients is None:
                raise UsageError(
                    "No gradient reaches the values of the window: something on their way has none, such as "
                    "a cast to integers. Use --methods occlusion."
                )
            return tf.reduce_sum(gradients, axis=0)

        signature = [tf.TensorSpec((None, *window.shape), tf.float32)]
        self._numbers = tf.function(number, input_signature=signature, autograph=False)
        self._gradients = tf.function(sum_of_gradients, input_signature=signature, autograph=False)

    def numbers(self, windows: np.ndarray) -> np.ndarray:
        """Return the number of each window, (N,), float64."""
        parts = [self._numbers(windows[start : start + _BATCH]) for start in range(0, len(windows), _BATCH)]
        return np.concatenate([part.numpy() for part in parts]).astype(np.float64)

    def integrated_gradients(
        self, window: np.ndarray, *, steps: int = 32, most_steps: int = 1024, tolerance: float = 0.01
    ) -> tuple[np.ndarray, float, float, int]:
        """Divide what a window adds to the number among its values.

        Reference: Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", 2017,
        https://arxiv.org/abs/1703.01365. The path leads from the flat window to the window.

        Args:
            window: (context, columns), float32.
            steps: intervals of the path to begin with, 1 or more. Defaults to 32.
            most_steps: intervals that are not halved again. Defaults to 1024.
            tolerance: error, as a part of the difference, that is good enough. Defaults to 0.01.

        Returns:
            What each value adds, (context, columns), float32; the difference of the numbers of the window and
            of the flat one; how far the sum is from it, as a part of it; the number of intervals.
        """
        start = flat(window)
        low, high = self.numbers(np.stack([start, window]))

        def total(places):
            found, places = np.zeros(window.shape), np.asarray(places, np.float32)[:, None, None]
            for first in range(0, len(places), _BATCH):
                some = start + places[first : first + _BATCH] * (window - start)
                found += self._gradients(some).numpy()
            return found * (window.astype(np.float64) - start)

        return integrate(total, high - low, steps=steps, most_steps=most_steps, tolerance=tolerance)

    def occlusion(self, window: np.ndarray, rows: int = 1) -> np.ndarray:
        """Return how far the number falls when values of a column are at its mean, (context, columns).

        Args:
            window: (context, columns), float32.
            rows: rows of a block that is replaced at a time; blocks end with the last row. Defaults to 1.
        """
        start, found = flat(window), np.zeros(window.shape, np.float32)
        ends = range(len(window), 0, -rows)
        places = [(slice(max(0, end - rows), end), k) for k in range(window.shape[1]) for end in ends]
        (whole,) = self.numbers(window[None])
        for first in range(0, len(places), _BATCH):
            some = places[first : first + _BATCH]
            without = np.repeat(window[None], len(some), axis=0)
            for copy, place in zip(without, some, strict=True):
                copy[place] = start[place]
            for place, number in zip(some, self.numbers(without), strict=True):
                found[place] = whole - number
        return found


def flat(window: np.ndarray) -> np.ndarray:
    """Return the window in which each column stays at its mean over the window."""
    return np.broadcast_to(window.mean(axis=0, dtype=np.float64), window.shape).astype(np.float32)
