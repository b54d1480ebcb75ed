"""Refuses a network whose answer for an example depends on chance, or on the others of its batch."""

from collections.abc import Mapping

import keras
import numpy as np

from kerasdl.data.trees import Tree, map_leaves, named
from kerasdl.errors import UsageError
from kerasdl.inference.answers import Call, depends_on_batch, same
from kerasdl.inference.endpoint import Arrays
from kerasdl.training.probe import answers_of


def check_neighbours(network: keras.Model, features: Tree) -> None:
    """Refuse a network whose answer for an example depends on chance, or on the others of its batch."""
    kind, single = type(network).__name__, not isinstance(features, Mapping)

    def call(inputs: Arrays) -> Arrays:
        return answers_of(network, inputs[""] if single else inputs)

    inputs = dict(named(features, ""))
    if not same(call(inputs), call(inputs)):
        raise UsageError(
            f"{kind} answers otherwise each time it is asked the same: something is drawn at random with "
            "training=False. Pass `training` on to each layer (dropout, noise)."
        )
    if way := _depends_on_others(call, inputs) or depends_on_batch(call, inputs):
        raise UsageError(
            f"{kind} gives an example another answer {way}: the answer depends on the other examples of the "
            "batch. Compute nothing over the batch axis (axis 0) with training=False."
        )


def _depends_on_others(call: Call, inputs: Arrays) -> str | None:
    """Return beside what an example gets another answer than alone; None where neighbours do not matter."""
    faint = map_leaves(_faint, inputs)
    alone = call(faint)
    for beside, others in {"others": inputs, "empty ones": map_leaves(_empty, inputs)}.items():
        answers = call(map_leaves(lambda leaf, other: np.concatenate([leaf, other[1:]]), faint, others))
        if not same(alone, map_leaves(lambda leaf: leaf[:1], answers)):
            return f"beside {beside} than alone"
    return None


def _faint(leaf: np.ndarray) -> np.ndarray:
    """Return the first example, half as bright or large: all may have the same largest number."""
    if leaf.dtype == np.uint8 or leaf.dtype.kind == "f":
        return (leaf[:1] / 2).astype(leaf.dtype)
    return leaf[:1]


def _empty(leaf: np.ndarray) -> np.ndarray:
    return np.full(leaf.shape, b"" if leaf.dtype == object else 0, leaf.dtype)
