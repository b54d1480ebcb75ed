"""Asks a network that is not trained yet what it would answer."""

import contextlib
import random
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from kerasdl.data.trees import Tree, map_leaves, named
from kerasdl.inference.endpoint import Arrays
from kerasdl.network.network import Network
from kerasdl.private.keras import all_parts_of


@contextlib.contextmanager
def random_weights(network: keras.Model) -> Iterator[Callable[[int], None]]:
    """Yield a function that draws all weights anew, wider with each number; restore them afterwards.

    Weights that do not train (variances, means) stay positive, integers as they are. The generators that
    initial weights come from are left as they were.
    """
    before = network.get_weights()
    fixed = {id(weight) for layer in all_parts_of(network) if _is_adapted(layer) for weight in layer.weights}
    states = random.getstate(), np.random.get_state()

    def draw(number: int) -> None:
        generator = np.random.default_rng(number)
        for weight, value in zip(network.weights, before, strict=True):
            if not np.issubdtype(value.dtype, np.floating) or id(weight) in fixed:
                continue
            noise = generator.standard_normal(value.shape, np.float32)
            if weight.trainable:
                noise *= 1 + number  # in place, as the largest weight of a network may be most of it
                noise *= max(float(value.std()), 0.05)
                weight.assign(value + noise)
            else:
                weight.assign(np.abs(value) + 0.1 * np.abs(noise))

    try:
        yield draw
    finally:
        network.set_weights(before)
        random.setstate(states[0])
        np.random.set_state(states[1])


def _is_adapted(layer: keras.Layer) -> bool:
    """Tell whether a layer of Keras computes with constants that it made of its weights."""
    return isinstance(layer, keras.layers.Normalization)


def answers_of(network: keras.Model, features: Tree) -> Arrays:
    """Return what a deployed network answers, as float32 arrays by name; of a single one the name is ""."""
    given = map_leaves(tf.constant, features)
    outputs = network.infer(given) if isinstance(network, Network) else network(given, training=False)
    return map_leaves(
        lambda part: np.asarray(keras.ops.convert_to_numpy(part), np.float32), dict(named(outputs, ""))
    )
