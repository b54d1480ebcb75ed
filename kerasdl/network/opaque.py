"""The base class of layers whose values are no weights of Keras: a graph that others made."""

from typing import Any

import keras


class Opaque(keras.layers.Layer):
    """A layer that can be called and saved, but neither trained nor looked into.

    The file of a network holds it as assets (`save_assets`, `load_assets`).
    """

    def check_loaded(self) -> None:
        """Check that what the layer calls has been loaded; Keras keeps errors of `load_assets` to itself.

        Raises:
            UsageError: when it is not trusted.
            RunFailedError: when it is damaged, or missing.
        """
        raise NotImplementedError

    def resources(self) -> list[Any]:
        """Return the objects with tables, which a SavedModel has to be told of."""
        raise NotImplementedError

    def count_values(self) -> int:
        """Return the number of values in its variables."""
        raise NotImplementedError
