"""The loop runs every step once and in order, however many it runs in a call, on any number of replicas."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data.batches import steps_per_epoch, training_batches, training_blocks
from kerasdl.data.splits import ArraySplit
from kerasdl.network.network import Network
from kerasdl.training import devices, loop
from kerasdl.training.loop import Loop
from tests.cases import EXTRA_CASES, TWO_HEADS

CASE = EXTRA_CASES[0]  # batch normalisation and dropout
EXAMPLES, BATCH = 100, 16
STEPS = steps_per_epoch(ArraySplit(np.zeros(EXAMPLES), np.zeros(EXAMPLES, np.int32)), BATCH)


def make_split():
    return ArraySplit(*CASE.examples(EXAMPLES))


def compiled(strategy):
    keras.utils.set_random_seed(1)
    with devices.choose(strategy).scope():
        return CASE.compile(CASE.build(), steps=STEPS, seed=3, optimizer="sgd", learning_rate=0.1)


def blocks(strategy="none", **arguments):
    num_parts = 2 if strategy == "cpu:2" else 1
    return training_blocks(make_split(), batch_size=BATCH, seed=5, num_parts=num_parts, **arguments)


def run(network, dataset, steps, limit=10**9):
    """Run steps; return how many each call ran, and the last logs."""
    made, counts, logs = Loop(network, dataset), [], {}
    while sum(counts) < steps:
        count, logs = made.run(min(limit, steps - sum(counts)))
        counts.append(count)
    return counts, {name: float(value) for name, value in logs.items()}


@pytest.fixture(scope="module")
def reference():
    """Weights and logs of Keras's own `fit`, one step a call."""
    network = compiled("none")
    batches = training_batches(make_split(), batch_size=BATCH, seed=5)
    logs = network.fit(batches, steps_per_epoch=2 * STEPS, shuffle=False, verbose=0).history
    return network.get_weights(), {name: values[-1] for name, values in logs.items()}


def assert_same(network, logs, reference, tolerance):
    for left, right in zip(network.get_weights(), reference[0], strict=True):
        np.testing.assert_allclose(left, right, atol=tolerance)
    assert logs == pytest.approx(reference[1], abs=1e-5)


@pytest.mark.by_default(lambda strategy, seconds: (strategy, seconds) == ("none", 0.1))
@pytest.mark.parametrize("seconds", [0.0, 0.1, 1e9], ids=["a step a call", "default", "a block a call"])
@pytest.mark.parametrize("strategy", ["none", "mirrored", "cpu:2"])
def test_equals_fit(reference, strategy, seconds, monkeypatch):
    monkeypatch.setattr(loop, "CALL_SECONDS", seconds)
    network = compiled(strategy)
    counts, logs = run(network, blocks(strategy), 2 * STEPS)
    assert_same(network, logs, reference, 0 if strategy == "none" else 1e-5)
    assert int(network.optimizer.iterations.numpy()) == 2 * STEPS
    if seconds != 0.1:
        assert counts == ([1] * 2 * STEPS if seconds == 0 else [1, 1, 2 * STEPS - 2])


@pytest.mark.slow
def test_a_limit_and_the_end_of_a_block_end_a_call(reference, monkeypatch):
    monkeypatch.setattr("kerasdl.data.batches._BLOCK_STEPS", 5)
    monkeypatch.setattr(loop, "CALL_SECONDS", 1e9)
    network = compiled("none")
    counts, logs = run(network, blocks(), 2 * STEPS, limit=2)
    assert counts == [1, 1, 2, 1, 2, 2, 1, 2]
    assert_same(network, logs, reference, 0)


@pytest.mark.slow
def test_the_number_of_steps_follows_their_length(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(loop.time, "perf_counter", lambda: next(clock) * 0.03)  # a call takes 0.03 s
    monkeypatch.setattr("kerasdl.data.batches._BLOCK_STEPS", 1000)
    counts, _ = run(compiled("none"), blocks(), 60)
    # The first call compiles and counts for nothing; then 0.1 s / 0.03 s = 3, which brings a step to 0.02 s.
    assert counts[:4] == [1, 1, 3, 5]


class _Counting(Network):
    """A network whose step has logs that no metric has."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def forward(self, x, training=False):
        return self.dense(x)

    def train_step(self, data):
        self.seen.assign_add(1)
        return {"first_label": tf.cast(data[1][0], tf.float32), "steps": self.seen.value}


@pytest.mark.slow
def test_logs_are_those_of_the_last_step():
    split = ArraySplit(np.zeros((12, 2), np.float32), np.arange(12, dtype=np.int32))
    labels = [
        batch[0] for _, batch in itertools.islice(
            training_batches(split, batch_size=3, seed=0).as_numpy_iterator(), 7)
    ]  # fmt: skip
    network = _Counting()
    network.compile()
    _, logs = run(network, training_blocks(split, batch_size=3, seed=0), 7)
    assert logs == {"first_label": labels[-1], "steps": 7}


def tree_split():
    """Examples of two inputs and two outputs, with weights of their own for each output."""
    features, targets = TWO_HEADS.examples(EXAMPLES)
    rng = np.random.default_rng(1)
    return ArraySplit(features, targets, {name: rng.random(EXAMPLES).astype(np.float32) for name in targets})


def compiled_tree(strategy):
    keras.utils.set_random_seed(1)
    with devices.choose(strategy).scope():
        return TWO_HEADS.compile(TWO_HEADS.build(), steps=STEPS, seed=3, optimizer="sgd", learning_rate=0.1)


@pytest.fixture(scope="module")
def tree_reference():
    network = compiled_tree("none")
    batches = training_batches(tree_split(), batch_size=BATCH, seed=5)
    logs = network.fit(batches, steps_per_epoch=STEPS, shuffle=False, verbose=0).history
    return network.get_weights(), {name: values[-1] for name, values in logs.items()}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["none", "cpu:2"])
def test_dicts_of_features_targets_and_weights_train(tree_reference, strategy):
    network = compiled_tree(strategy)
    num_parts = 2 if strategy == "cpu:2" else 1
    blocks = training_blocks(tree_split(), batch_size=BATCH, seed=5, num_parts=num_parts)
    _, logs = run(network, blocks, STEPS)
    assert_same(network, logs, tree_reference, 0 if strategy == "none" else 1e-5)
    unweighted = ArraySplit(*TWO_HEADS.examples(EXAMPLES))
    _, others = run(compiled_tree("none"), training_blocks(unweighted, batch_size=BATCH, seed=5), STEPS)
    assert others["loss"] != pytest.approx(logs["loss"], rel=0.1)


@pytest.mark.slow
def test_each_call_is_compiled_once():
    network, traces = compiled("none"), []
    step = network.train_step
    network.train_step = lambda data: traces.append(1) or step(data)
    run(network, blocks(), 30)
    assert len(traces) == 1
