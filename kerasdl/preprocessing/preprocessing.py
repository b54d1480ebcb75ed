"""The base class of what lies between raw examples and a network."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import keras


@keras.saving.register_keras_serializable("kerasdl")
class Preprocessing(keras.layers.Layer):
    """A layer from raw examples to what a network takes; it is part of the network in every file.

    Arguments of the constructor that are measured on the training data, such as a mean or a vocabulary, are
    set by `fit` and written by `get_config`, so that a copy made from the config needs no data.
    """

    #: Arguments that weights are tied to which were trained behind this layer; None for all.
    OF_WEIGHTS: ClassVar[tuple[str, ...] | None] = None

    def fit(self, examples: Callable[[], Iterable[Any]]) -> None:
        """Measure what is needed on the training examples. By default nothing is.

        Args:
            examples: returns batches of features, NumPy arrays or dicts of them, anew at each call.
        """

    def assets(self) -> Mapping[str, str]:
        """Return the text files that a bundle brings along, by name: a vocabulary, the scale of values."""
        return {}
