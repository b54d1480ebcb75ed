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


def step(layers: Sequence, x, states: Sequence, residual: bool = False) -> tuple:
    """Return the outputs (B, units) of the last layer and all states after one step (B, D).

    Args:
        layers: `Recurrent` layers, each of which reads the outputs of the one before.
        x: inputs of the first one, (B, D).
        states: states before the step, in the order of `shapes`; what follows them is left out.
        residual: whether the inputs of each layer but the first are added to its outputs.
    """
    after = []
    for number, (layer, part) in enumerate(zip(layers, by_layer(layers, states), strict=True)):
        outputs, new = layer.step(x, part)
        after += new
        x = x + outputs if residual and number else outputs
    return x, after
