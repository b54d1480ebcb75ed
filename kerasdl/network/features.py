"""Features of any classifier: what its head is given."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from kerasdl.errors import UsageError
from kerasdl.network import parts
from kerasdl.network.network import logits


def features_and_logits(network: keras.Model, inputs) -> tuple[Any, Any]:
    """Return what the head of a network is given, (B, D) float32, and its main output.

    Without an attribute `head`, it is what the last layer with weights is given. Of maps the means are taken.

    Args:
        network: float32 network over raw examples, of ours or any other.
        inputs: raw examples (B, ...).

    Raises:
        UsageError: when the network has no such layer.
    """
    with _inputs_of_head(network) as noted:
        found = logits(network, inputs)
    if not noted:
        raise UsageError(f"{type(network).__name__} has no layer whose inputs could be features.")
    features = tf.cast(noted[0], tf.float32)
    axes = list(range(1, len(features.shape) - 1))
    return (tf.reduce_mean(features, axis=axes) if axes else features), found


@contextlib.contextmanager
def _inputs_of_head(network: keras.Model) -> Iterator[list[Any]]:
    """Note what the head is given, or the last layer with weights that is called."""
    watched = parts.head(network)[:1] or parts.layers(network)
    noted: list[Any] = []

    def noting(call: Callable) -> Callable:
        def noted_call(inputs, *args, **kwargs):
            noted[:] = [inputs]
            return call(inputs, *args, **kwargs)

        return noted_call

    for layer in watched:
        vars(layer)["call"] = noting(layer.call)
    try:
        yield noted
    finally:
        for layer in watched:
            del vars(layer)["call"]
