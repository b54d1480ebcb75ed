"""The endpoint of a recurrent network that takes one step of each sequence and answers after it."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.data.dataset import Tree
from kerasdl.errors import UsageError
from kerasdl.inference.endpoint import Arrays, Endpoint, Limits, by_kind
from kerasdl.inference.steps import NEXT, STEP, Step, read, zeros

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

_CHECKED = 500  # steps of a sequence whose answers are compared with those of whole passes
_PLACES = (1, 2, 10, 100, _CHECKED)  # after so many
_LARGEST = "stream_max_difference"
#: The same of the network in memory, with the limit of exact files: the limits of small ones hide mistakes.
_OF_NETWORK = "network_stream_max_difference"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How answers after many steps are compared with those of whole passes.

    Attributes:
        output: the output that is compared, (N, K).
        figures: takes absolute differences of it (places, K) and returns figures by name, among them
            `stream_max_difference`.
        limits: takes the kind of a file and returns the limits on these figures.
    """

    output: str
    figures: Callable[[np.ndarray], dict[str, float]]
    limits: Callable[[str], Limits]


def _of_probabilities(differences: np.ndarray) -> dict[str, float]:
    return {
        _LARGEST: float(np.max(differences)),
        "stream_total_variation": float(np.sum(differences, axis=-1).max() / 2),
    }


def _limits_of_probabilities(kind: str) -> Limits:
    return by_kind(
        kind,
        exact={_LARGEST: ("<=", 1e-4)},
        float16={_LARGEST: ("<=", 5e-2)},
        quantized={"stream_total_variation": ("<=", 0.1)},
    )


#: Probabilities of classes or tags.
PROBABILITIES = Comparison("probabilities", _of_probabilities, _limits_of_probabilities)


def endpoint(
    whole: Endpoint,
    network: "keras.Model | None",
    answer: Callable[["tf.Tensor"], dict[str, "tf.Tensor"]],
    *,
    comparison: Comparison,
    compare: Callable[[Arrays, Arrays, np.ndarray], dict[str, float]],
    tolerances: Callable[[str], Limits],
    last: Callable[["tf.Tensor"], "tf.Tensor"] = lambda outputs: outputs,
    derived: tuple[str, ...] = (),
) -> Endpoint:
    """Return the endpoint `step`: its inputs are one step and all states, its outputs an answer and states.

    The answer is that to the sequence up to this step. States are zeros before the first step; each comes
    back with `next_` before its name. Every file reads 500 steps too, and so does the network; their answers
    are compared with those of whole passes.

    Args:
        whole: the endpoint of whole sequences: one input, ids (N, T, ...) or other sequences (N, T, ...).
        network: float32 network with `state_shapes` and `step`; None where nothing will be called.
        answer: turns outputs of the network's step (N, ...) into what the endpoints give.
        comparison: how answers after many steps are compared.
        compare: compares answers to the last step of each sequence, as `Endpoint.compare` does; the largest
            difference of states becomes part of its `max_difference`.
        tolerances: limits on the figures of `compare`, by kind of file.
        last: takes the network's outputs for whole sequences and returns those at the last step (N, ...).
        derived: see `Endpoint`.

    Raises:
        UsageError: for a network whose answer needs the whole sequence.
    """
    import tensorflow as tf

    shapes = _shapes(network)
    (given,) = whole.inputs
    spec = whole.inputs[given]
    given = given if given == "ids" else "inputs"

    def prepared(sequences):
        """Return preprocessed sequences (N, T, ...), each step as if it came alone."""
        shape = tf.shape(sequences)
        alone = tf.reshape(sequences, tf.concat([[-1, 1], shape[2:]], axis=0))
        alone = network.preprocess(tf.ensure_shape(alone, (None, 1, *spec.shape[2:])))
        rest = [int(size) for size in alone.shape[2:]]
        return tf.reshape(alone, (shape[0], shape[1], *rest))

    def step(one, *states):
        found, after = network.step(prepared(one[:, None])[:, 0], states)
        names = (NEXT + name for name in shapes)
        return {**answer(found), **dict(zip(names, after, strict=True))}

    compiled = tf.function(step, autograph=False, reduce_retracing=True)

    @tf.function(autograph=False, reduce_retracing=True)
    def full(sequences):
        with tf.device("CPU:0"):
            return answer(last(network.forward(prepared(sequences))))

    def in_memory(inputs: Mapping[str, np.ndarray]) -> Arrays:
        return {name: value.numpy() for name, value in compiled(*map(tf.constant, inputs.values())).items()}

    def inputs_of(features: Tree, seed: int) -> Arrays:
        """Return the last step of each sequence, and the states before it."""
        (sequences,) = whole.inputs_of(features, seed).values()
        ends, states = _lengths(sequences, given) - 1, zeros(shapes, len(sequences))
        for place, outputs in enumerate(read(in_memory, given, sequences[:, : ends.max()], states)):
            before = place < ends
            states = {
                name: np.where(before[:, None], outputs[NEXT + name], state) for name, state in states.items()
            }
        return {given: sequences[np.arange(len(ends)), ends], **states}

    def apart(step: Step, one: np.ndarray, wholes: Mapping[int, np.ndarray]) -> dict[str, float]:
        """Compare answers after some steps of a sequence (1, T, ...) with those of whole passes."""
        answers = [outputs[comparison.output] for outputs in read(step, given, one, zeros(shapes, 1))]
        differences = [np.abs(whole - answers[place - 1]) for place, whole in wholes.items()]
        return comparison.figures(np.concatenate(differences))  # a NaN among them stays one

    @functools.lru_cache(maxsize=1)  # all files are asked for the same examples
    def of_network(content: bytes, shape: tuple[int, ...], dtype: str):
        """Return answers of whole passes by number of steps, and the network's own largest difference."""
        one = np.frombuffer(content, dtype).reshape(shape)
        places = (place for place in range(1, shape[1] + 1) if place in (*_PLACES, shape[1]))
        wholes = {place: full(tf.constant(one[:, :place]))[comparison.output].numpy() for place in places}
        return wholes, apart(in_memory, one, wholes)[_LARGEST]

    def probe(call: Step, features: Tree) -> dict[str, float]:
        (sequences,) = whole.inputs_of(features, 0).values()
        lengths = _lengths(sequences, given)
        parts = [row[:length] for row, length in zip(sequences, lengths, strict=True)]
        one = np.concatenate(parts)[None, :_CHECKED]  # all sequences one after the other
        wholes, own = of_network(one.tobytes(), one.shape, one.dtype.str)
        return {**apart(call, one, wholes), _OF_NETWORK: own}

    def compare_all(expected: Arrays, actual: Arrays, targets: np.ndarray) -> dict[str, float]:
        found = compare(expected, actual, targets)
        states = [np.abs(expected[NEXT + name] - actual[NEXT + name]).max() for name in shapes]
        return {**found, "max_difference": float(np.max([found["max_difference"], *states]))}  # NaN stays NaN

    return Endpoint(
        STEP,
        step,
        {
            given: tf.TensorSpec((None, *spec.shape[2:]), spec.dtype, given),
            **{name: tf.TensorSpec((None, *shape), tf.float32, name) for name, shape in shapes.items()},
        },
        inputs_of=inputs_of,
        asks_network=True,
        compare=compare_all,
        tolerances=lambda kind: {
            **tolerances(kind),
            **comparison.limits(kind),
            _OF_NETWORK: comparison.limits("float32")[_LARGEST],
        },
        probe=probe,
        derived=derived,
    )


def _shapes(network: "keras.Model | None") -> dict[str, tuple[int, ...]]:
    if network is None:
        return {}
    from kerasdl.network.streaming import SteppingNetwork

    can = isinstance(network, SteppingNetwork)
    if can and network.state_shapes:
        return network.state_shapes
    way = "--no-bidirectional (and --pooling mean_max, --num-pairs 0, --no-crf), or leave" if can else "leave"
    raise UsageError(
        f"{type(network).__name__} cannot answer step by step, as --streaming asks for: that takes a "
        "RecurrentNetwork or a Tagger that is not bidirectional and has neither attention nor pairs of words "
        f"nor a chain of tags. Try: {way} out --streaming."
    )


def _lengths(sequences: np.ndarray, given: str) -> np.ndarray:
    """Return the steps (N,) of each sequence: ids (N, T, ...) end with the last step that is not 0."""
    if given != "ids":
        return np.full(len(sequences), sequences.shape[1])
    first = sequences.reshape(*sequences.shape[:2], -1)[:, :, 0]
    there = np.arange(1, sequences.shape[1] + 1) * (first != 0)
    return np.maximum(there.max(axis=1), 1)
