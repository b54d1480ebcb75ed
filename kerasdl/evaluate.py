"""Figures on a test split and answers for single files, from a run, a bundle or one exported file alike."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from kerasdl.errors import RunFailedError

Batches = Iterable[tuple[np.ndarray, np.ndarray]]


def outputs_over(
    predict: Callable[[np.ndarray], Mapping[str, np.ndarray]], batches: Batches
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Run every batch, and return all outputs by name and all labels, in order.

    Raises:
        RunFailedError: when there is not one batch.
    """
    outputs: list[Mapping[str, np.ndarray]] = []
    labels: list[np.ndarray] = []
    for features, batch_labels in batches:
        outputs.append(predict(features))
        labels.append(batch_labels)
    if not outputs:
        raise RunFailedError("There is no example to evaluate.")
    joined = {name: np.concatenate([batch[name] for batch in outputs]) for name in outputs[0]}
    return joined, np.concatenate(labels)


def evaluate(predictor, task, batches: Batches) -> dict[str, Any]:
    """Return the task's figures of a predictor over a split.

    Args:
        predictor: has `predict(features) -> {output: array}`.
        task: the recipe's task.
        batches: numpy (features, labels) batches of the split.
    """
    return task.evaluate(*outputs_over(predictor.predict, batches))
