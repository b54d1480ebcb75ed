"""Preprocessing of series: raw values to standard deviations around the mean of the training part."""

import json
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasdl.errors import UsageError
from kerasdl.preprocessing.preprocessing import Preprocessing


@keras.saving.register_keras_serializable("kerasdl")
class SeriesPreprocessing(Preprocessing):
    """Rows of raw values to values of mean 0 and standard deviation 1 over the training part.

    It is part of every exported file, which takes raw values therefore. Mean and standard deviation are those
    that the source tells of the rows of its training part.

    Args:
        mean: mean of each column. Defaults to (): that of the training part.
        std: standard deviation of each column. Defaults to (): that of the training part.
        **kwargs: arguments of `keras.Layer`.

    Input and output: (batch_size, context, columns), float32.
    """

    def __init__(self, *, mean: Sequence[float] = (), std: Sequence[float] = (), **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})  # 1,013.25 hPa is no number of 16 bits
        self.mean, self.std = list(mean), list(std)

    def check(self, inputs: Any) -> None:
        """Take mean and standard deviation of the training part from the source's specification.

        Raises:
            UsageError: when the examples are no windows of columns, or the source does not tell them.
        """
        shape = getattr(inputs, "shape", ())
        if len(shape) != 2 or inputs.dtype != "float32" or len(inputs.mean) != shape[1]:
            raise UsageError(
                "SeriesPreprocessing takes windows of a series, (context, columns) float32, with mean and "
                "standard deviation of each column. Use Series as the data, or tell them in a source of your "
                "own: Spec((context, columns), 'float32', mean=..., std=...)."
            )
        self.mean, self.std = list(inputs.mean), [value or 1.0 for value in inputs.std]

    def call(self, rows):
        """Return the scaled rows."""
        return (rows - ops.convert_to_tensor(self.mean, "float32")) / ops.convert_to_tensor(
            self.std, "float32"
        )

    def assets(self):
        """Return mean and standard deviation of each column, for whoever feeds a file elsewhere."""
        return {"scaling.json": json.dumps({"mean": self.mean, "std": self.std}, indent=2) + "\n"}

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "std": self.std}
