"""The states of stacked recurrent layers as one list, each with a name."""

from collections.abc import Sequence


def shapes(layers: Sequence) -> dict[str, tuple[int, ...]]:
    """Return the shape of each state without the batch axis, by name: h0, c0, h1, c1, ... of an LSTM."""
    return {
        f"{letter}{number}": shape
        for number, layer in enumerate(layers)
        for letter, shape in zip("hc", layer.state_shapes, strict=False)
    }


def by_layer(layers: Sequence, states: Sequence) -> list[list]:
    """Return the states of each layer; what follows them is left out."""
    left = iter(states)
    return [[next(left) for _ in layer.state_shapes] for layer in layers]
