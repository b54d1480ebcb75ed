"""Windows over a series: views of one array, of which batches gather their rows."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kerasdl.data import memory
from kerasdl.data.elements import parallel_calls
from kerasdl.data.order import SHUFFLED, Ordering
from kerasdl.data.splits import ArraySplit


class WindowSplit(ArraySplit):
    """Windows of a series: `context` rows as features, the `horizon` rows after them as targets.

    The series lies in memory once: windows are views of it, and a batch is one gather of its rows.

    Args:
        values: rows of the series in time order, (R, C) float32, the targets first; not to be changed.
        starts: first row of each window, (N,) int64.
        context: number of rows that a network sees.
        horizon: number of rows after those that it forecasts.
        num_targets: number of columns to forecast, K.
        ordering: order of training. Defaults to a fresh permutation in each epoch.

    Features are (N, context, C), targets (N, horizon, K), float32.
    """

    def __init__(
        self,
        values: np.ndarray,
        starts: np.ndarray,
        context: int,
        horizon: int,
        num_targets: int,
        ordering: Ordering = SHUFFLED,
    ):
        self.weights = None
        self.ordering = ordering
        self.values, self.starts = values, np.asarray(starts, np.int64)
        self.context, self.horizon, self.num_targets = context, horizon, num_targets

    def __reduce__(self):
        return WindowSplit, (
            self.values, self.starts, self.context, self.horizon, self.num_targets, self.ordering
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def targets(self) -> np.ndarray:
        """Targets of all windows, (N, horizon, K): a view where the windows follow each other."""
        return self.part(slice(None))[1]

    def part(self, places: slice) -> tuple[np.ndarray, np.ndarray, None]:
        """Return features and targets of consecutive windows, views where they follow each other."""
        starts = self.starts[places]
        if not len(starts):
            empty = np.zeros((0, self.context + self.horizon, self.values.shape[1]), np.float32)
            return empty[:, : self.context], empty[:, self.context :, : self.num_targets], None
        size = self.context + self.horizon
        all_windows = np.lib.stride_tricks.sliding_window_view(self.values, size, axis=0)  # (.., C, size)
        follow = starts[-1] - starts[0] + 1 == len(starts) and (np.diff(starts) == 1).all()
        rows = slice(starts[0], starts[-1] + 1) if follow else starts
        windows = all_windows[rows].transpose(0, 2, 1)  # (N, size, C)
        return windows[:, : self.context], windows[:, self.context :, : self.num_targets], None

    @property
    def bytes_in_memory(self) -> int:
        """Bytes of a window's features."""
        return self.context * self.values.shape[1] * self.values.itemsize

    def select(self, indices: np.ndarray) -> "WindowSplit":
        """Return the split of only the windows at `indices`."""
        return WindowSplit(
            self.values, self.starts[indices], self.context, self.horizon, self.num_targets,
            self.ordering.select(indices),
        )  # fmt: skip

    def with_targets(self, targets: np.ndarray) -> ArraySplit:
        """Return the same windows with other targets, as copies."""
        return ArraySplit(self.features, targets, ordering=self.ordering)

    def evaluation_batches(self, *, batch_size: int):
        """Return all windows in their own order."""
        import tensorflow as tf

        return self._gathered(
            tf.data.Dataset.range(0, len(self), batch_size),
            lambda start: tf.range(start, tf.minimum(start + batch_size, len(self))),
        )

    def _gathered(self, numbers, indices_of: Callable[[Any], Any]):
        import tensorflow as tf

        values, starts = memory.to_tensor(self.values), memory.to_tensor(self.starts)
        targets = memory.to_tensor(np.ascontiguousarray(self.values[:, : self.num_targets]))

        def batch(number):
            first = tf.gather(starts, indices_of(number))[..., None]  # (..., B, 1)
            after = first + self.context + tf.range(self.horizon, dtype=tf.int64)  # (..., B, horizon)
            return tf.gather(values, first + tf.range(self.context, dtype=tf.int64)), tf.gather(
                targets, after
            )

        return numbers.map(batch, num_parallel_calls=parallel_calls(), deterministic=True)


def starts_within(
    whole: np.ndarray, joined: np.ndarray, first: int, last: int, context: int, horizon: int, *, reach: bool
) -> np.ndarray:
    """Return the first rows of the windows whose targets lie in rows `first` to `last` (exclusive).

    Args:
        whole: whether each row has all its values, (R,) bool.
        joined: whether each row is one step after the row before it, (R,) bool.
        first: first row of the part.
        last: row after its last one.
        context: rows before the targets.
        horizon: rows of targets.
        reach: whether contexts may reach back into the rows before `first`.

    Returns:
        (N,) int64; windows that would hold a row that is not whole, or go over a gap, are left out.
    """
    size = context + horizon
    begin = max(0, first - context) if reach else first
    starts = np.arange(begin, last - size + 1, dtype=np.int64)
    missing = np.concatenate([[0], np.cumsum(~whole)])
    breaks = np.concatenate([[0], np.cumsum(~joined)])
    starts = starts[
        (missing[starts + size] == missing[starts]) & (breaks[starts + size] == breaks[starts + 1])
    ]
    return starts
