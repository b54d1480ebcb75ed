"""Figures over a whole split, of a run, a bundle or one exported file alike."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.inference.answers import Arrays, Batches, run_over
from kerasdl.inference.runtimes import Predictor
from kerasdl.runs.folder import Run


def evaluate(
    predictor: Predictor,
    task: Any,
    batches: Batches,
    class_names: Sequence[str] = (),
    calibration: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the task's figures of a predictor's default endpoint over a split.

    Args:
        predictor: what answers.
        task: has `inputs` and `evaluate`.
        batches: returns numpy (features, labels) batches of the split, anew at each call.
        class_names: in the order of the outputs. Defaults to those that the predictor tells.
        calibration: what was fitted to the network (`calibration.of_run`), and is in the predictor already.

    Raises:
        RunFailedError: when there is not one example.
    """
    names = class_names or predictor.labels
    return task.evaluate(*answers(predictor, task, batches), names, calibration or {})


def evaluate_run(
    run: Run,
    predictor: Predictor,
    task: Any,
    batches: Batches,
    class_names: Sequence[str] = (),
    calibration: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Evaluate a run on its test split, and keep in the run what reports and comparisons need.

    Written are `metrics.json` (the figures, as "test"; its other keys stay), and where the task has
    them: `predictions.npz`, the answer to each example, and `mistakes.npz`, the worst ones with their raw
    features.

    Args:
        run: where the files go.
        predictor: the run's network, calibration included.
        task: has `inputs` and `evaluate`, and may have `predictions` and `mistakes`, which take outputs and
            labels and give arrays by name, those of mistakes with their `indices` in the split.
        batches: returns numpy (features, labels) batches of the test split, anew at each call.
        class_names: in the order of the outputs. Defaults to those that the predictor tells.
        calibration: what was fitted to the network (`calibration.of_run`), and is in the predictor already.

    Returns:
        The figures.

    Raises:
        RunFailedError: when there is not one example.
    """
    outputs, labels = answers(predictor, task, batches)
    figures = task.evaluate(outputs, labels, class_names or predictor.labels, calibration or {})
    if hasattr(task, "predictions"):
        run.write_arrays("predictions.npz", task.predictions(outputs, labels))
    if hasattr(task, "mistakes"):
        mistakes = task.mistakes(outputs, labels)
        features = features_at(mistakes["indices"], batches)
        run.write_arrays("mistakes.npz", {"features": features, **mistakes})
    run.write("metrics.json", {**run.read_json("metrics.json"), "test": figures})
    return figures


def features_at(indices: np.ndarray, batches: Batches) -> np.ndarray:
    """Return the raw features (K, ...) of some examples of a split, in the order of `indices` (K,)."""
    found: dict[int, np.ndarray] = {}
    wanted, start = set(indices.tolist()), 0
    shape: tuple[int, ...] = ()
    dtype = np.dtype("uint8")
    for features, labels in batches():
        shape, dtype = features.shape[1:], features.dtype
        here = (index for index in wanted if start <= index < start + len(labels))
        found |= {index: features[index - start].copy() for index in here}
        start += len(labels)
        if len(found) == len(wanted):
            break
    return np.array([found[index] for index in indices.tolist()], dtype).reshape(len(indices), *shape)


def answers(predictor: Predictor, task: Any, batches: Batches) -> tuple[Arrays, np.ndarray]:
    """Return what a predictor's default endpoint answers to a split, by name, and the labels.

    Raises:
        RunFailedError: when there is not one example.
    """
    endpoint = predictor.default_endpoint
    call = functools.partial(predictor.call, endpoint)
    return run_over(call, functools.partial(task.inputs, endpoint), batches)
