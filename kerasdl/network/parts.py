"""Lists the layers with weights, the head (`Network.head_names`) and the backbone, and freezes layers."""

from collections.abc import Sequence

import keras

from kerasdl.errors import UsageError
from kerasdl.private.keras import own_trainable_weights, own_weights, parts_of


def layers(network: keras.Model) -> list[keras.Layer]:
    """Return all layers with weights of their own, in order of creation."""
    found, seen = [], set()

    def visit(layer):
        if id(layer) in seen:
            return
        seen.add(id(layer))
        if own_weights(layer):
            found.append(layer)
        for part in parts_of(layer):
            visit(part)

    visit(network)
    return found


def head_names(network: keras.Model) -> Sequence[str]:
    """Return the attributes of a network that depend on the classes."""
    return [name for name in getattr(network, "head_names", ("head",)) if getattr(network, name, None)]


def head(network: keras.Model) -> list[keras.Layer]:
    """Return those of `layers` that depend on the classes."""
    parts = [getattr(network, name) for name in head_names(network)]
    parts = [layer for part in parts for layer in (part if isinstance(part, list | tuple) else [part])]
    return [layer for part in parts for layer in layers(part)]


def set_trainable(network: keras.Model, freeze: str | int, trainable: bool) -> None:
    """Freeze or unfreeze the layers that a recipe's `freeze` names.

    Raises:
        UsageError: when the network has no head, or nothing would be left to train.
    """
    found, kept = layers(network), {id(layer) for layer in head(network)}
    if freeze == "none":
        return
    if freeze == "backbone":
        if not kept:
            raise UsageError(
                f"freeze is backbone, but {type(network).__name__} has no attribute `head` that is to train. "
                f"Name it so, or give a number of layers from 1 to {len(found) - 1}."
            )
        frozen = [layer for layer in found if id(layer) not in kept]
    else:
        if freeze >= len(found):
            raise UsageError(
                f"freeze is {freeze}, but {type(network).__name__} has {len(found)} layers with weights. "
                f"Give a number from 1 to {len(found) - 1}, or backbone for all but the head."
            )
        frozen = found[:freeze]
    for layer in frozen:
        if not parts_of(layer):
            layer.trainable = trainable
        for weight in own_trainable_weights(layer):  # alone, where its parts may train
            weight.trainable = trainable
