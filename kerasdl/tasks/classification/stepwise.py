"""The endpoint of a recurrent classifier that takes one step of each sequence and answers after it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.data.dataset import Tree
from kerasdl.errors import UsageError
from kerasdl.inference.endpoint import Arrays, Endpoint, Limits, by_kind
from kerasdl.inference.steps import NEXT, STEP, Step, read, zeros
from kerasdl.tasks.classification import files

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

_CHECKED = 500  # steps of a sequence whose answers are compared with those of whole passes
_PLACES = (1, 2, 10, 100, _CHECKED)  # after so many


def endpoint(
    whole: Endpoint, network: "keras.Model | None", answer: Callable[["tf.Tensor"], dict[str, "tf.Tensor"]]
) -> Endpoint:
    """Return the endpoint `step`: its inputs are one step and all states, its outputs an answer and states.

    The answer is that to the sequence up to this step. States are zeros before the first step; each comes
    back with `next_` before its name.

    Args:
        whole: the endpoint of whole sequences: one input, numbers of words (N, T) or sequences (N, T, ...).
        network: float32 network with `state_shapes` and `step`; None where nothing will be called.
        answer: turns logits (N, classes) into what the endpoints give.

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
            return answer(network.forward(prepared(sequences)))

    def in_memory(inputs: Mapping[str, np.ndarray]) -> Arrays:
        return {name: value.numpy() for name, value in compiled(*map(tf.constant, inputs.values())).items()}

    def inputs_of(features: Tree, seed: int) -> Arrays:
        """Return the last step of each sequence, and the states before it."""
        (sequences,) = whole.inputs_of(features, seed).values()
        last, states = _lengths(sequences) - 1, zeros(shapes, len(sequences))
        for place, outputs in enumerate(read(in_memory, given, sequences[:, : last.max()], states)):
            before = place < last
            states = {
                name: np.where(before[:, None], outputs[NEXT + name], state) for name, state in states.items()
            }
        return {given: sequences[np.arange(len(last)), last], **states}

    def probe(call: Step, features: Tree) -> dict[str, float]:
        (sequences,) = whole.inputs_of(features, 0).values()
        parts = [row[:length] for row, length in zip(sequences, _lengths(sequences), strict=True)]
        one = np.concatenate(parts)[None, :_CHECKED]  # all sequences one after the other
        differences = [
            np.abs(full(tf.constant(one[:, :place]))["probabilities"].numpy() - outputs["probabilities"])
            for place, outputs in enumerate(read(call, given, one, zeros(shapes, 1)), start=1)
            if place in (*_PLACES, one.shape[1])
        ]  # of each place (1, classes); a NaN among them stays one
        return {
            "stream_max_difference": float(np.max(differences)),
            "stream_total_variation": float(np.sum(differences, axis=-1).max() / 2),
        }

    return Endpoint(
        STEP,
        step,
        {
            given: tf.TensorSpec((None, *spec.shape[2:]), spec.dtype, given),
            **{name: tf.TensorSpec((None, *shape), tf.float32, name) for name, shape in shapes.items()},
        },
        inputs_of=inputs_of,
        asks_network=True,
        compare=_compare,
        tolerances=_tolerances,
        probe=probe,
        derived=("class_ids",),
    )


def _shapes(network: "keras.Model | None") -> dict[str, tuple[int, ...]]:
    if network is None:
        return {}
    from kerasdl.network.streaming import SteppingNetwork

    if isinstance(network, SteppingNetwork) and network.state_shapes:
        return network.state_shapes
    raise UsageError(
        f"{type(network).__name__} cannot answer step by step, as --streaming asks for: that takes a "
        "RecurrentNetwork that is not bidirectional and has neither attention nor pairs of words. Try: "
        "--no-bidirectional --pooling mean_max, or leave out --streaming."
    )


def _lengths(sequences: np.ndarray) -> np.ndarray:
    """Return the steps (N,) of each sequence: numbers of words (N, T) end with the last that is not 0."""
    if sequences.ndim > 2:
        return np.full(len(sequences), sequences.shape[1])
    there = np.arange(1, sequences.shape[1] + 1) * (sequences != 0)
    return np.maximum(there.max(axis=1), 1)


def _compare(expected: Arrays, actual: Arrays, labels: np.ndarray) -> dict[str, float]:
    """Compare the answers, and the states too in the largest difference."""
    found = files.compare(expected, actual, labels)
    states = [np.abs(value - actual[name]).max() for name, value in expected.items() if name.startswith(NEXT)]
    return {**found, "max_difference": float(np.max([found["max_difference"], *states]))}  # NaN stays NaN


def _tolerances(kind: str) -> Limits:
    """Return the limits for one step, and those of 500 steps against whole passes."""
    streamed = by_kind(
        kind,
        exact={"stream_max_difference": ("<=", 1e-4)},
        float16={"stream_max_difference": ("<=", 5e-2)},
        quantized={"stream_total_variation": ("<=", 0.1)},
    )
    return {**files.tolerances(kind), **streamed}
