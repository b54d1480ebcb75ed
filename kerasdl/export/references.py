"""Answers of Keras, which exported files are compared with."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasdl.data.passes import Batches
from kerasdl.errors import RunFailedError
from kerasdl.export.artefact import Artefact
from kerasdl.inference import runtimes
from kerasdl.inference.answers import Answers, Call, depends_on_batch, run_over
from kerasdl.inference.endpoint import Arrays, Endpoint

_NUM_FURTHER = 256  # examples that an artefact's further endpoints are compared on
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


def check_alone(call: Call, reference: Reference) -> None:
    """Raise a RunFailedError where an example's answer depends on the other examples of its batch."""
    features = tf.nest.map_structure(lambda part: part[:_NUM_ALONE], next(iter(reference.batches()))[0])
    if way := depends_on_batch(call, reference.endpoint.inputs_of(features, 0)):
        raise RunFailedError(f"{reference.endpoint.name}: an example gets another answer {way}")
