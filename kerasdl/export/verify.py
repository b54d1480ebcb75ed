"""Opens exported files in their own runtimes and compares their outputs with Keras."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kerasdl.data.passes import Batches
from kerasdl.errors import RunFailedError
from kerasdl.export.artefact import Artefact
from kerasdl.inference import runtimes, tflite_file
from kerasdl.inference.answers import Answers, Call, caller, depends_on_batch, run_over
from kerasdl.inference.endpoint import Arrays, Endpoint
from kerasdl.inference.predictor import Predictor

_NUM_FURTHER = 256  # examples that an artefact's further endpoints are compared on
_LENGTHS = (10, 100, 400)  # steps of examples that are timed, where these differ in length
_NUM_ALONE = 5  # examples that are also asked for alone, in a batch of 2 and in another order


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """Outputs of Keras for the data at one endpoint.

    Attributes:
        endpoint: what was called.
        answers: outputs, targets and sample weights of all examples.
        batches: the data again.
    """

    endpoint: Endpoint
    answers: Answers
    batches: Batches


class References:
    """Answers of a Keras network in this process, each worked out when it is first asked for.

    It runs on the CPU as the artefacts do: a GPU multiplies in reduced precision (TF32), up to 1e-3 away.

    Args:
        endpoints: what can be called.
        batches: the data.
    """

    def __init__(self, endpoints: Sequence[Endpoint], batches: Batches):
        self.endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self._predictor = runtimes.EndpointPredictor(Path("the network"), endpoints, ())
        self.batches = batches
        self._known: dict[tuple[str, bool], Reference] = {}

    def of(self, artefact: Artefact, endpoint: str) -> Reference:
        """Return the reference for an artefact's endpoint.

        Raises:
            RunFailedError: when there is not one example, or the answer to one depends on others.
        """
        key = endpoint, endpoint == artefact.endpoints[0]
        if key not in self._known:
            called = self.endpoints[endpoint]
            batches = batches_of(artefact, called, self.batches)
            answers = run_over(functools.partial(self.call, endpoint), called.inputs_of, batches)
            self._known[key] = Reference(called, answers, batches)
            check_alone(functools.partial(self.call, endpoint), self._known[key])
        return self._known[key]

    def call(self, endpoint: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Run an endpoint on a batch."""
        with tf.device("CPU:0"):
            return self._predictor.call(endpoint, inputs)

    def first_inputs(self, endpoint: str) -> Arrays:
        """Return the first batch as inputs of an endpoint."""
        features, *_ = next(iter(self.batches()))
        return self.endpoints[endpoint].inputs_of(features, 0)


def batches_of(artefact: Artefact, endpoint: Endpoint, batches: Batches) -> Batches:
    """Return the batches to compare an endpoint on: all for an artefact's first one that takes examples.

    Further endpoints hold the same network behind other inputs, some of them slow ones (files to decode), and
    noise is all alike: the first 256 examples of the first batch serve them.
    """
    if endpoint.name == artefact.endpoints[0] and endpoint.takes_examples:
        return batches

    def first_examples():
        for batch in itertools.islice(batches(), 1):
            yield tf.nest.map_structure(lambda part: None if part is None else part[:_NUM_FURTHER], batch)

    return first_examples


def compare(
    predictor: Predictor, artefact: Artefact, references: References
) -> tuple[dict[str, Any], list[str]]:
    """Compare every endpoint of an opened artefact with Keras.

    Returns:
        The figures of its first endpoint, `latency_ms` (median of calls with one example), by number of steps
        too where examples differ in it (`latency_ms_by_length`), and `endpoints`, the figures of each (see
        `measure`) with its `tolerances`; and what lies beyond them, in words.

    Raises:
        RunFailedError: when an endpoint cannot be run or gives something else.
    """
    found, problems = {}, []
    for name in artefact.endpoints:
        endpoint, reference = references.endpoints[name], references.of(artefact, name)
        limits = {
            figure: f"{sign} {limit:g}"
            for figure, (sign, limit) in endpoint.tolerances(artefact.kind).items()
        }
        found[name] = {**measure(predictor, reference), "tolerances": limits}
        if endpoint.probe is not None:
            features, *_ = next(iter(references.batches()))
            found[name] |= endpoint.probe(caller(predictor, name), features)
        problems += beyond(endpoint, artefact.kind, found[name])
        if not predictor.one_by_one(name):
            check_alone(caller(predictor, name), reference)
    first = references.of(artefact, artefact.endpoints[0])
    name = first.endpoint.name
    features, *_ = next(iter(first.batches()))
    one = {key: value[:1] for key, value in first.endpoint.inputs_of(features, 0).items()}
    latencies: dict[str, Any] = {"latency_ms": predictor.latency(name, one)}
    if (of_length := first.endpoint.of_length) is not None:
        latencies["latency_ms_by_length"] = {
            str(steps): predictor.latency(name, first.endpoint.inputs_of(of_length(steps), 0))
            for steps in _LENGTHS
        }
    return {**found[name], **latencies, "endpoints": found}, problems


def measure(predictor: Predictor, reference: Reference) -> dict[str, Any]:
    """Run an artefact's endpoint over the reference's data and compare the answers.

    Returns:
        The figures of `Endpoint.compare`, the number of `examples`, `magnitudes` (see there) and, where the
        endpoint has a judge, its figures as `evaluation`.

    Raises:
        RunFailedError: when it cannot be run, has other outputs than the reference, or nothing was compared.
    """
    endpoint, expected = reference.endpoint, reference.answers
    actual = run_over(caller(predictor, endpoint.name), endpoint.inputs_of, reference.batches)
    left_out = set(endpoint.derived) - set(actual.outputs) if predictor.kind == "tflite" else set()
    wanted = {name: value for name, value in expected.outputs.items() if name not in left_out}
    check_outputs(endpoint.name, wanted, actual.outputs)
    figures = endpoint.compare(expected.outputs, actual.outputs, actual.targets)
    if not figures:
        raise RunFailedError("nothing was compared: the endpoint gives no figures for its outputs")
    figures = {**figures, "examples": actual.num_examples, "magnitudes": magnitudes(actual.outputs)}
    return figures | ({} if endpoint.judge is None else {"evaluation": endpoint.judge(actual)})


def check_alone(call: Call, reference: Reference) -> None:
    """Raise a RunFailedError where an example's answer depends on the other examples of its batch."""
    features = tf.nest.map_structure(lambda part: part[:_NUM_ALONE], next(iter(reference.batches()))[0])
    if way := depends_on_batch(call, reference.endpoint.inputs_of(features, 0)):
        raise RunFailedError(f"{reference.endpoint.name}: an example gets another answer {way}")


def magnitudes(outputs: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the RMS of each float output, to compare with later."""
    return {
        name: float(np.sqrt(np.square(value, dtype=np.float64).mean()))
        for name, value in outputs.items()
        if value.dtype.kind == "f"
    }


def check_outputs(
    endpoint: str, expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray]
) -> None:
    """Raise a RunFailedError unless an endpoint's outputs have the names and shapes that they should."""
    for name, value in expected.items():
        if name not in actual:
            raise RunFailedError(f"{endpoint}: output {name} is missing; there are {', '.join(actual)}")
        if actual[name].shape != value.shape:
            shapes = f"{actual[name].shape} instead of {value.shape}"
            raise RunFailedError(f"{endpoint}: output {name} has shape {shapes}")


def check_interface(predictor: Predictor, artefact: Artefact, endpoints: Mapping[str, Endpoint]) -> None:
    """Raise a RunFailedError unless an artefact has its endpoints, with the inputs that they declare."""
    for name in artefact.endpoints:
        found, wanted = sorted(predictor.inputs.get(name, ())), sorted(endpoints[name].inputs)
        if found != wanted:
            raise RunFailedError(f"{name} takes {found} instead of {wanted}")


def beyond(endpoint: Endpoint, kind: str, figures: Mapping[str, Any]) -> list[str]:
    """Name each figure beyond the endpoint's limit for a kind of file, as one that is not a number is."""
    meets = {"<=": np.less_equal, ">=": np.greater_equal}
    return [
        f"{endpoint.name}: {name} is {figures[name]:.3g}, but has to be {sign} {limit:g}"
        for name, (sign, limit) in endpoint.tolerances(kind).items()
        if not meets[sign](figures[name], limit)
    ]


def flex_operators(path: Path) -> list[str]:
    """Return the operators of a .tflite file that need TensorFlow's Flex delegate."""
    return [name for name in tflite_file.custom_operators(path) if name.startswith("Flex")]
