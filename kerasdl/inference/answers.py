"""Runs an endpoint over the examples of a split."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kerasdl.data.dataset import Tree
from kerasdl.data.passes import Batches
from kerasdl.errors import RunFailedError
from kerasdl.inference.endpoint import Arrays, as_long, differences
from kerasdl.inference.predictor import Predictor

Call = Callable[[Mapping[str, np.ndarray]], Arrays]

_SAME = 1e-3  # largest difference by rounding, relative to the outputs' root mean square above 1
_WAYS = {"alone": slice(1), "in a batch of 2": slice(1, 3), "in another order": slice(None, None, -1)}


@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """Outputs of an endpoint for the examples of a split.

    Attributes:
        outputs: arrays (N, ...) by name.
        targets: what was to be answered: an array (N, ...), or arrays by name.
        weights: sample weights (N,), by name where targets are; None where all count the same.
    """

    outputs: Arrays
    targets: Tree
    weights: Tree = None

    @property
    def num_examples(self) -> int:
        """Number of examples, N."""
        return len(next(iter(self.outputs.values())))


def run_over(call: Call, inputs_of: Callable[[Tree, int], Arrays], batches: Batches) -> Answers:
    """Run all batches of a split.

    Args:
        call: runs an endpoint on its inputs by name.
        inputs_of: makes them of a batch's features and a seed, which is the number of the batch.
        batches: the data.

    Raises:
        RunFailedError: when there is not one example.
    """
    outputs, targets, weights = [], [], []
    for number, (features, batch_targets, batch_weights) in enumerate(batches()):
        outputs.append(call(inputs_of(features, number)))
        targets.append(batch_targets)
        weights.append(batch_weights)
    if not outputs:
        raise RunFailedError("There is not one example to run. Give data with a test split.")
    return Answers(join(outputs), join(targets), None if weights[0] is None else join(weights))


def depends_on_batch(call: Call, inputs: Arrays) -> str | None:
    """Return in which way examples get another answer than all together; None where they never do.

    Args:
        call: runs an endpoint on its inputs by name.
        inputs: arrays (N, ...) by name; ways that need more examples than these are left out.
    """
    together = call(inputs)
    for way, part in _WAYS.items():
        asked = {name: value[part] for name, value in inputs.items()}
        if not all(map(len, asked.values())):
            continue
        if not same(call(asked), {name: value[part] for name, value in together.items()}):
            return f"{way} than among {len(next(iter(inputs.values())))}"
    return None


def same(expected: Arrays, actual: Arrays) -> bool:
    """Tell whether two answers of one network differ by no more than rounding."""
    return differences(expected, actual, None)["max_difference"] <= _SAME


def join(parts: Sequence[Tree]) -> Tree:
    """Concatenate arrays, or dicts of arrays, along the first axis; there is 0 behind shorter sequences."""
    if isinstance(parts[0], Mapping):
        return {name: join([part[name] for part in parts]) for name in parts[0]}
    arrays = [np.asarray(part) for part in parts]
    if arrays[0].ndim > 1 and len({array.shape[1] for array in arrays}) > 1:
        arrays = as_long(*arrays)
    return np.concatenate(arrays)


def caller(predictor: Predictor, endpoint: str) -> Call:
    """Return a function that calls an endpoint; its errors become RunFailedError."""

    def call(inputs: Mapping[str, np.ndarray]) -> Arrays:
        try:
            return predictor.call(endpoint, inputs)
        except Exception as error:  # each runtime has error types of its own
            reason = str(error).strip().split("\n")[0]
            raise RunFailedError(f"{endpoint} fails: {type(error).__name__}: {reason[:300]}") from error

    return call
