"""Evaluates a run, a bundle or one exported file over a whole split."""

import functools
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Tree
from kerasdl.data.passes import Batches, split_batches
from kerasdl.data.trees import leaves, storable
from kerasdl.errors import UsageError
from kerasdl.inference.answers import Answers, run_over
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.predictor import Predictor
from kerasdl.inference.runtimes import EndpointPredictor
from kerasdl.report import terminal
from kerasdl.runs.documents import GALLERY
from kerasdl.runs.folder import Run
from kerasdl.tasks.task import Evaluation, Task

if TYPE_CHECKING:
    import keras

_log = logging.getLogger(__name__)

_FITTED = "calibration.json"


def fitted_of(run: Run) -> dict[str, Any]:
    """Read the values fitted to a run's network after training, such as a temperature."""
    return run.read_json(_FITTED)


def evaluate(
    predictor: Predictor,
    task: Task,
    spec: DataSpec,
    fitted: Mapping[str, Any],
    batches: Batches,
) -> Evaluation:
    """Evaluate a predictor's default endpoint over a split.

    Args:
        predictor: what answers; what was fitted is in it already.
        task: judges the answers.
        spec: what is in each example.
        fitted: what was fitted to the network after training.
        batches: returns the batches of the split, anew at each call.

    Raises:
        RunFailedError: when there is not one example.
    """
    found = _judged(predictor, task, task.endpoints(None, spec, fitted), spec, fitted, batches)
    found.figures.update(task.evaluate_further(predictor, batches))
    return found


def _judged(
    predictor: Predictor,
    task: Task,
    endpoints: Sequence[Endpoint],
    spec: DataSpec,
    fitted: Mapping[str, Any],
    batches: Batches,
) -> Evaluation:
    """Let a task judge the answers to a split, where it looks at any."""
    if not task.judges_answers:
        count = sum(len(leaves(targets)[0]) for _, targets, _ in batches())
        return Evaluation(figures={"examples": count})
    by_name = {endpoint.name: endpoint for endpoint in endpoints}
    answers = answers_of(predictor, by_name, functools.partial(_telling, batches))
    for name in _constant(answers):
        _log.warning(
            f"{predictor.path} gives the same {name} for all {answers.num_examples:,} examples: it does not "
            "look at them, or they are all the same."
        )
    return task.evaluate(answers, spec, fitted)


def _telling(batches: Batches) -> Iterator[Any]:
    """Yield batches, while the terminal tells how many examples have been answered."""
    done = 0
    with terminal.line_of_status.showing(lambda: f"Evaluating ... {done:,} examples"):
        for batch in batches():
            yield batch
            done += len(leaves(batch[1])[0])


def answers_of(predictor: Predictor, endpoints: Mapping[str, Endpoint], batches: Batches) -> Answers:
    """Run a predictor's default endpoint over a split.

    Raises:
        RunFailedError: when there is not one example.
        UsageError: for a file that takes single steps with states, which the examples do not have.
    """
    name = predictor.default_endpoint
    if endpoints[name].asks_network:
        raise UsageError(
            f"{predictor.path} takes one step and states ({name}), but examples are whole sequences. "
            f"Evaluate a file for these, or the bundle: kerasdl evaluate {predictor.path.parent}."
        )
    inputs_of = endpoints[name].inputs_for(predictor.inputs[name])
    return run_over(functools.partial(predictor.call, name), inputs_of, batches)


def evaluate_network(
    run: Run, network: "keras.Model", task: Task, dataset: Dataset, limit: int | None = None
) -> dict[str, Any]:
    """Evaluate a run's network on the test split, and keep the result in the run.

    Written are `calibration.json` (what was fitted, where anything was), `metrics.json` (the figures, as
    "test"; its other keys stay), and where the task has them: `predictions.npz`, the answer to each example,
    `mistakes.npz`, the worst ones with their raw features; `compared.npz`, of what it compares with the
    data; `gallery.npz`, what the report shows of the network.

    Args:
        run: where the files go.
        network: its best network, float32.
        task: that of the run; it says what is fitted.
        dataset: the data it was trained on.
        limit: batches of each split to use; None for all.

    Returns:
        The figures of the test split.

    Raises:
        RunFailedError: when there is not one example.
    """
    spec, test = dataset.spec, split_batches(dataset.test, limit)
    fitted = task.fit_after_training(network, spec, split_batches(dataset.validation, limit))
    if fitted:
        run.write(_FITTED, fitted)
    else:
        (run.path / _FITTED).unlink(missing_ok=True)  # of an earlier state of the network
    endpoints = task.endpoints(network, spec, fitted)
    predictor = EndpointPredictor(run.path, endpoints, spec.class_names, network)
    found = _judged(predictor, task, endpoints, spec, fitted, test)
    found.figures.update(task.evaluate_further(predictor, test))
    figures = (
        found.figures if limit is not None else task.beside_baselines(found.figures, dataset, dataset.test)
    )
    compared, arrays = task.against_data(predictor, dataset, dataset.test, dry_run=limit is not None)
    figures = {**figures, **compared}
    if arrays:
        run.write_arrays("compared.npz", arrays)
    if found.predictions:
        run.write_arrays("predictions.npz", found.predictions)
    if found.mistakes:
        features = features_at(found.mistakes["indices"], test)
        named = features if isinstance(features, Mapping) else {"features": features}
        more = task.details(network, spec, features) if len(found.mistakes["indices"]) else {}
        run.write_arrays("mistakes.npz", {**named, **found.mistakes, **more})
    if shown := task.gallery(predictor, dataset):
        run.write_arrays(GALLERY, shown)
    run.write("metrics.json", {**run.read_json("metrics.json"), "test": figures})
    return figures


def _constant(answers: Answers) -> list[str]:
    """Return the outputs, of float numbers, that are the same for all examples."""
    return [
        name
        for name, value in answers.outputs.items()
        if value.dtype.kind == "f" and len(value) > 1 and np.ptp(value, axis=0).max(initial=0.0) <= 1e-6
    ]


def features_at(indices: np.ndarray, batches: Batches) -> Tree:
    """Return the raw features (K, ...) of some examples of a split, in the order of `indices` (K,).

    Texts become arrays of bytes of one length, which `.npz` files hold without pickling.
    """
    order, parts, start = np.argsort(indices, kind="stable"), [], 0
    wanted = indices[order]
    for features, targets, _ in batches():
        size = len(next(iter(targets.values()))) if isinstance(targets, Mapping) else len(targets)
        here = wanted[(wanted >= start) & (wanted < start + size)] - start
        parts.append(_taken(features, here))
        start += size
        if start > wanted.max(initial=-1):
            break
    back = np.argsort(order, kind="stable")
    if isinstance(parts[0], Mapping):
        return {name: storable(np.concatenate([part[name] for part in parts])[back]) for name in parts[0]}
    return storable(np.concatenate(parts)[back])


def _taken(features: Tree, indices: np.ndarray) -> Tree:
    if isinstance(features, Mapping):
        return {name: value[indices] for name, value in features.items()}
    return features[indices]
