"""The base class of layers between raw examples and a network."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import keras
import numpy as np


@keras.saving.register_keras_serializable("kerasdl")
class Preprocessing(keras.layers.Layer):
    """A layer from raw examples to the inputs of a network; it is part of the network in every file.

    Arguments of the constructor that are measured on the training data, such as a mean or a vocabulary, are
    set by `fit` and written by `get_config`, so that a copy made from the config needs no data.
    """

    #: Arguments that the weights of a network depend on; None for all.
    OF_WEIGHTS: ClassVar[tuple[str, ...] | None] = None

    def check(self, inputs: Any) -> None:
        """Raise a UsageError for examples that this layer cannot take. By default it takes any.

        Args:
            inputs: specification of the features (`shape` without the batch axis, `dtype`), or a dict of
                specifications by name.
        """

    def fit(self, examples: Callable[[], Iterable[Any]]) -> None:
        """Measure statistics of the training examples. By default none are needed.

        Args:
            examples: returns batches of features from the first on, NumPy arrays or dicts of them.
        """

    @property
    def num_tokens(self) -> int | None:
        """Number of different words or symbols that the layer gives; None where it gives other numbers."""
        return None

    def encode(self, features: np.ndarray) -> "list[np.ndarray] | None":
        """Return a cheaper form of examples that `call` takes too; training then begins with it.

        Args:
            features: raw examples (N, ...).

        Returns:
            One array (length,) for each example, all of one dtype; None where they stay as they are.
        """
        return None

    def resources(self) -> list[Any]:
        """Return the parts with tables that are not weights, which a SavedModel has to be told of."""
        return []

    def assets(self) -> Mapping[str, str]:
        """Return the text files that a bundle brings along, by name: a vocabulary, the scale of values."""
        return {}
