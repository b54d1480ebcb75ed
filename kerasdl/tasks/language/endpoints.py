"""How an exported language model is called: with whole texts, and step by step."""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.dataset import Tree
from kerasdl.inference.answers import Answers
from kerasdl.inference.endpoint import Arrays, Endpoint
from kerasdl.inference.steps import NEXT, STEP, Step, zeros
from kerasdl.network.network import logits
from kerasdl.network.streaming import StreamingNetwork
from kerasdl.tasks.language import figures
from kerasdl.tasks.language.streaming import IDS, against_full_pass

if TYPE_CHECKING:
    import keras


def endpoints(network: "keras.Model | None") -> tuple[Endpoint, ...]:
    """Return `serving_default` (ids to logits) and, for networks that can, `step`.

    Args:
        network: float32 network over ids; None where nothing will be called.
    """
    import tensorflow as tf

    def predict(ids):
        return {"logits": tf.cast(logits(network, ids), tf.float32)}

    whole = Endpoint(
        "serving_default",
        predict,
        {"ids": tf.TensorSpec((None, None), tf.int32, "ids")},
        inputs_of=lambda features, seed: {"ids": features},
        compare=figures.compare,
        tolerances=figures.tolerances,
        judge=judge,
        of_length=lambda steps: np.ones((1, steps), np.int32),
    )
    if network is not None and not isinstance(network, StreamingNetwork):
        return (whole,)
    return whole, _step(network)


def judge(answers: Answers) -> dict[str, Any]:
    """Return the few figures that a bundle keeps of each file."""
    return figures.short(float(figures.nats_of(answers.outputs["logits"], answers.targets).mean()))


def _step(network: "StreamingNetwork | None") -> Endpoint:
    """Return the endpoint that takes a character of each text and all states, and returns the next ones."""
    import tensorflow as tf

    shapes = {} if network is None else network.state_shapes

    def step(ids, *states):
        kind = network.compute_dtype
        found, after = network.step(network.preprocess(ids), [tf.cast(state, kind) for state in states])
        after = {NEXT + name: tf.cast(state, tf.float32) for name, state in zip(shapes, after, strict=True)}
        return {"logits": tf.cast(found, tf.float32), **after}

    @tf.function(autograph=False, reduce_retracing=True)
    def full(ids, states):
        with tf.device("CPU:0"):
            return network.forward_from(network.preprocess(ids), states, training=False)

    def inputs_of(features: Tree, seed: int) -> Arrays:
        """Return the last character of each window, and the states before it."""
        _, states = full(tf.constant(features[:, :-1]), network.initial_states(len(features)))
        states = {name: state.numpy() for name, state in zip(shapes, states, strict=True)}
        return {IDS: np.ascontiguousarray(features[:, -1]), **states}

    def probe(call: Step, features: Tree) -> Mapping[str, float]:
        def answer(ids):
            return full(tf.constant(ids), network.initial_states(len(ids)))[0].numpy()

        return against_full_pass(call, features, answer, functools.partial(zeros, shapes))

    return Endpoint(
        STEP,
        step,
        {
            IDS: tf.TensorSpec((None,), tf.int32, IDS),
            **{name: tf.TensorSpec((None, *shape), tf.float32, name) for name, shape in shapes.items()},
        },
        inputs_of=inputs_of,
        asks_network=True,
        compare=figures.compare,
        tolerances=figures.tolerances_of_steps,
        probe=probe,
    )
