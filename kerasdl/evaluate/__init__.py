"""Figures over a whole split, of a run, a bundle or one exported file alike."""

import functools
from typing import Any

from kerasdl.export.runtime import Predictor
from kerasdl.export.verify import Batches, run_over


def evaluate(predictor: Predictor, task: Any, batches: Batches) -> dict[str, Any]:
    """Return the task's figures of a predictor's default endpoint over a split.

    Args:
        predictor: what answers.
        task: has `inputs` and `evaluate`.
        batches: returns numpy (features, labels) batches of the split.

    Raises:
        RunFailedError: when there is not one example.
    """
    endpoint = predictor.default_endpoint
    call = functools.partial(predictor.call, endpoint)
    return task.evaluate(*run_over(call, functools.partial(task.inputs, endpoint), batches))
