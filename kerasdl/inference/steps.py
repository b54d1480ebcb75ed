"""Reading sequences step by step, with the states in the caller's hands."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from kerasdl.inference.endpoint import Arrays

STEP = "step"
#: What `step` prefixes the states with that it returns: equal names of inputs and outputs break tf2onnx.
NEXT = "next_"

Step = Callable[[Mapping[str, np.ndarray]], Arrays]


def zeros(specs: Mapping[str, tuple], given: str, count: int) -> Arrays:
    """Return the states before the first step of `count` sequences.

    Args:
        specs: shape and dtype of each input of `step`, as `Predictor.inputs` has them.
        given: name of the input that is no state.
        count: number of sequences.
    """
    return {
        name: np.zeros((count, *shape[1:]), dtype) for name, (shape, dtype) in specs.items() if name != given
    }


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
