"""Runs an endpoint over the examples of a split."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from kerasdl.errors import RunFailedError
from kerasdl.inference.predictor import Predictor

Arrays = dict[str, np.ndarray]
Call = Callable[[Mapping[str, np.ndarray]], Arrays]
#: Takes features and a seed, and returns an endpoint's inputs by name.
Inputs = Callable[[Any, int], Arrays]
#: Returns (features, labels) batches, from the first on at each call. Features: an array, or arrays by name.
Batches = Callable[[], Iterable[tuple[Any, np.ndarray]]]


def run_over(call: Call, inputs: Inputs, batches: Batches) -> tuple[Arrays, np.ndarray]:
    """Run all batches; return the outputs by name and the labels, each in one array.

    Args:
        call: runs an endpoint on its inputs by name.
        inputs: makes them of a batch's features and a seed, which is the number of the batch.
        batches: the data.

    Raises:
        RunFailedError: when there is not one example.
    """
    outputs, labels = [], []
    for number, (features, batch_labels) in enumerate(batches()):
        outputs.append(call(inputs(features, number)))
        labels.append(np.asarray(batch_labels))
    if not outputs:
        raise RunFailedError("There is not one example to run. Give data with a test split.")
    joined = {name: np.concatenate([batch[name] for batch in outputs]) for name in outputs[0]}
    return joined, np.concatenate(labels)


def caller(predictor: Predictor, endpoint: str) -> Call:
    """Return what calls an artefact's endpoint; all that its runtime raises becomes a RunFailedError."""

    def call(inputs: Mapping[str, np.ndarray]) -> Arrays:
        try:
            return predictor.call(endpoint, inputs)
        except Exception as error:  # each runtime has error types of its own
            reason = str(error).strip().split("\n")[0]
            raise RunFailedError(f"{endpoint} fails: {type(error).__name__}: {reason[:300]}") from error

    return call
