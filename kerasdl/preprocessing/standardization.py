"""Preprocessing of numbers of any units: to standard deviations around the mean of the training examples."""

import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasdl.errors import UsageError
from kerasdl.layers import scaling
from kerasdl.preprocessing.preprocessing import Preprocessing


@keras.saving.register_keras_serializable("kerasdl")
class Standardization(Preprocessing):
    """Numbers to mean 0 and standard deviation 1 over the training examples, each place of the last axis.

    It is part of every exported file, which takes raw numbers therefore. A place that never changes stays 0.

    Args:
        mean: mean of each place of the last axis. Defaults to (): that of the training examples.
        std: standard deviation of each place. Defaults to (): that of the training examples.
        **kwargs: arguments of `keras.Layer`.

    Input: (batch_size, ..., features), numbers.
    Output: the same shape, float32.
    """

    def __init__(self, *, mean: Sequence[float] = (), std: Sequence[float] = (), **kwargs):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})  # 16 bits hold no large number
        self.mean, self.std = list(mean), list(std)

    def check(self, inputs: Any) -> None:
        """Raise a UsageError for examples that are no arrays of numbers."""
        shape, dtype = getattr(inputs, "shape", ()), getattr(inputs, "dtype", "string")
        if not shape or shape[-1] is None or dtype == "string":
            raise UsageError(
                "Standardization takes arrays of numbers, (..., features), one and the same number of "
                "features for each example. Leave it out, or use the preprocessing for this kind of data."
            )

    def fit(self, examples):
        """Measure mean and standard deviation of each place of the last axis, in one pass."""
        count, total, squares, shift = 0, 0.0, 0.0, None
        for batch in examples():
            rows = np.asarray(batch, np.float64).reshape(-1, np.shape(batch)[-1])
            shift = rows.mean(axis=0) if shift is None else shift  # large offsets would eat the digits
            count += len(rows)
            total = total + (rows - shift).sum(axis=0)
            squares = squares + np.square(rows - shift).sum(axis=0)
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - np.square(mean), 0))
        self.mean, self.std = (shift + mean).tolist(), np.where(std > 0, std, 1.0).tolist()

    def call(self, x):
        """Return the standardised numbers."""
        return scaling.standardised(ops.cast(x, "float32"), self.mean, self.std)

    def assets(self):
        """Return mean and standard deviation of each place, for whoever feeds a file elsewhere."""
        return {"scaling.json": json.dumps({"mean": self.mean, "std": self.std}, indent=2) + "\n"}

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "std": self.std}
