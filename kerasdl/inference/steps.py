"""Reading sequences step by step, with the states in the caller's hands."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from kerasdl.inference.endpoint import Arrays

STEP = "step"
#: What `step` prefixes the states with that it returns: equal names of inputs and outputs break tf2onnx.
NEXT = "next_"

Step = Callable[[Mapping[str, np.ndarray]], Arrays]


def zeros(shapes: Mapping[str, tuple[int, ...]], count: int) -> Arrays:
    """Return the states before the first step of `count` sequences; shapes are without the batch axis."""
    return {name: np.zeros((count, *shape), np.float32) for name, shape in shapes.items()}


def zeros_of(specs: Mapping[str, tuple], given: str, count: int) -> Arrays:
    """Return the states before the first step, for an opened file.

    Args:
        specs: shape and dtype of each input of `step`, as `Predictor.inputs` has them.
        given: name of the input that is no state.
        count: number of sequences.
    """
    return zeros({name: shape[1:] for name, (shape, _) in specs.items() if name != given}, count)


def read(step: Step, given: str, sequences: np.ndarray, states: Arrays) -> Iterator[Arrays]:
    """Yield the outputs after each step.

    Args:
        step: calls the endpoint `step`.
        given: name of the input that is no state.
        sequences: (B, T, ...).
        states: those before the first step.
    """
    for place in range(sequences.shape[1]):
        outputs = step({given: np.ascontiguousarray(sequences[:, place]), **states})
        states = {name: outputs[NEXT + name] for name in states}
        yield outputs
