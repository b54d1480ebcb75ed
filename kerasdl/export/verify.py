"""Reopens exported files in their own runtimes and compares what they answer with Keras."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export import runtime, tflite_file
from kerasdl.export.process import Worker
from kerasdl.export.spec import Endpoint

Arrays = dict[str, np.ndarray]
Call = Callable[[Mapping[str, np.ndarray]], Arrays]
#: Returns (features, labels) batches, from the first on at each call. Features: an array, or arrays by name.
Batches = Callable[[], Iterable[tuple[Any, np.ndarray]]]


@dataclasses.dataclass(frozen=True)
class Artefact:
    """One exported file.

    Attributes:
        file: its name in the bundle; "saved_model.pb" stands for all files of the SavedModel.
        kind: "saved_model", a TFLite mode, or "onnx"; tolerances go by it.
        endpoints: what can be called in it.
    """

    file: str
    kind: str
    endpoints: tuple[str, ...]

    def owns(self, path: str) -> bool:
        """Tell whether a file of the bundle, given by its relative path, is (a part of) this artefact."""
        if self.kind != "saved_model":
            return path == self.file
        return path in ("saved_model.pb", "fingerprint.pb") or path.startswith(("variables/", "assets"))

    def open(self, folder: Path, worker: Worker) -> runtime.Predictor:
        """Open it in its own runtime: a SavedModel in a process that has neither Keras nor kerasdl.

        Raises:
            RunFailedError: when it cannot be opened.
        """
        try:
            if self.kind == "saved_model":
                return _SavedModelElsewhere(folder, worker)
            return runtime.open_artifact(folder / self.file)
        except (UsageError, RunFailedError) as error:
            raise RunFailedError(f"cannot be opened: {error}") from error


class _SavedModelElsewhere(runtime.Predictor):
    """A SavedModel that a worker process has loaded."""

    kind = "saved_model"

    def __init__(self, folder: Path, worker: Worker):
        self._worker = worker
        super().__init__(folder, (), worker.ask("load", path=str(folder)))

    def latency(self, endpoint, inputs):
        return self._worker.ask("latency", endpoint=endpoint, inputs=self._prepare(endpoint, inputs))

    def _run(self, endpoint, inputs):
        return self._worker.ask("call", endpoint=endpoint, inputs=inputs)


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """What Keras answers on the data that artefacts are verified with.

    Attributes:
        endpoint: name of the endpoint that was run.
        outputs: arrays (N, ...) by name.
        labels: (N, ...).
        batches: the data again.
        inputs: names of the endpoint's inputs.
        call: the endpoint itself.
    """

    endpoint: str
    outputs: Arrays
    labels: np.ndarray
    batches: Batches
    inputs: tuple[str, ...]
    call: Call


def make_reference(endpoint: Endpoint, batches: Batches) -> Reference:
    """Run an endpoint in this process over all batches.

    It runs on the CPU as the artefacts do: a GPU multiplies in reduced precision (TF32), up to 1e-3 away.

    Raises:
        RunFailedError: when there is not one example.
    """
    predictor = runtime.EndpointPredictor(Path(endpoint.name), [endpoint], ())

    def call(inputs: Mapping[str, np.ndarray]) -> Arrays:
        with tf.device("CPU:0"):
            return predictor.call(endpoint.name, inputs)

    names = tuple(endpoint.inputs)
    outputs, labels = run_over(call, names, batches)
    return Reference(endpoint.name, outputs, labels, batches, names, call)


def as_inputs(features: Any, names: Iterable[str]) -> Mapping[str, np.ndarray]:
    """Return features as inputs by name: a mapping as it is, an array as the only input."""
    if isinstance(features, Mapping):
        return features
    (name,) = names
    return {name: features}


def run_over(call: Call, names: Iterable[str], batches: Batches) -> tuple[Arrays, np.ndarray]:
    """Run all batches; return the outputs by name and the labels, each in one array.

    Raises:
        RunFailedError: when there is not one example.
    """
    outputs, labels, names = [], [], tuple(names)
    for features, batch_labels in batches():
        outputs.append(call(as_inputs(features, names)))
        labels.append(np.asarray(batch_labels))
    if not outputs:
        raise RunFailedError("There is not one example to run. Give data with a test split.")
    joined = {name: np.concatenate([batch[name] for batch in outputs]) for name in outputs[0]}
    return joined, np.concatenate(labels)


def measure(predictor: runtime.Predictor, reference: Reference, task: Any) -> dict[str, Any]:
    """Run an artefact over all the data and compare it with the reference.

    Returns:
        The figures of `task.compare`, `evaluation` (those of `task.evaluate`) and `latency_ms`, the median of
        calls with one example.

    Raises:
        RunFailedError: when it cannot be run, or has other outputs than the reference.
    """
    actual, labels = run_over(caller(predictor, reference.endpoint), reference.inputs, reference.batches)
    check_outputs(reference.outputs, actual)
    first = as_inputs(next(iter(reference.batches()))[0], reference.inputs)
    one = {name: value[:1] for name, value in first.items()}
    return {
        **task.compare(reference.outputs, actual, labels),
        "evaluation": task.evaluate(actual, labels),
        "latency_ms": predictor.latency(reference.endpoint, one),
    }


def caller(predictor: runtime.Predictor, endpoint: str) -> Call:
    """Return what calls an artefact's endpoint; all that its runtime raises becomes a RunFailedError."""

    def call(inputs: Mapping[str, np.ndarray]) -> Arrays:
        try:
            return predictor.call(endpoint, inputs)
        except Exception as error:  # each runtime has error types of its own
            reason = str(error).strip().split("\n")[0]
            raise RunFailedError(f"{endpoint} fails: {type(error).__name__}: {reason[:300]}") from error

    return call


def check_outputs(expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray]) -> None:
    """Raise a RunFailedError unless an artefact's outputs have the names and shapes that they should."""
    for name, value in expected.items():
        if name not in actual:
            raise RunFailedError(f"the output {name} is missing; there are {', '.join(actual)}")
        if actual[name].shape != value.shape:
            raise RunFailedError(f"the output {name} has shape {actual[name].shape} instead of {value.shape}")


def check_interface(
    predictor: runtime.Predictor, artefact: Artefact, endpoints: Mapping[str, Endpoint]
) -> None:
    """Raise a RunFailedError unless an artefact has its endpoints, with the inputs that they declare."""
    for name in artefact.endpoints:
        found, wanted = sorted(predictor.inputs.get(name, ())), sorted(endpoints[name].inputs)
        if found != wanted:
            raise RunFailedError(f"{name} takes {found} instead of {wanted}")


def check_tolerances(figures: Mapping[str, Any], tolerances: Mapping[str, tuple[str, float]]) -> None:
    """Raise a RunFailedError that names each figure beyond its limit, as one that is not a number is."""
    meets = {"<=": np.less_equal, ">=": np.greater_equal}
    beyond = [
        f"{name} is {figures[name]:.3g}, but has to be {sign} {limit:g}"
        for name, (sign, limit) in tolerances.items()
        if not meets[sign](figures[name], limit)
    ]
    if beyond:
        raise RunFailedError("; ".join(beyond))


def flex_operators(path: Path) -> list[str]:
    """Return the operators of a .tflite file that need TensorFlow's Flex delegate."""
    return [name for name in tflite_file.custom_operators(path) if name.startswith("Flex")]
