"""Every property that each network of the conformance table has to have."""

import functools
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.layers import BatchNormalization, noise
from kerasdl.models.convnet import ConvNet
from kerasdl.models.lenet5 import LeNet5
from kerasdl.models.mlp import MLP
from kerasdl.models.nlinear import NLinear
from kerasdl.models.vae import Autoencoder
from kerasdl.network.network import logits
from tests.cases import ALL_CASES, CASES, EXTRA_CASES

each_case = pytest.mark.parametrize("case", ALL_CASES, ids=str)


def is_quick(case):
    """Tell whether a network is among the few that the default suite runs all properties over."""
    return case in EXTRA_CASES or case.model.target in (LeNet5, MLP, ConvNet, NLinear, Autoencoder)


by_default = pytest.mark.by_default(lambda case: is_quick(case))  # a mark takes no named function


def compiled(case, network, **fields):
    case.compile(network, **{"learning_rate": 1e-2, **fields})
    for layer in network._flatten_layers():
        if isinstance(layer, BatchNormalization):
            layer.momentum = 0.8  # tests train for few steps, after which 0.99 leaves the initial statistics
    return network


@functools.cache
def built(case):
    """Return a network whose weights no test sets."""
    return case.build()


def set_distinct_weights(network):
    """Give each weight its own values, so that a lost or swapped one shows."""
    rng = np.random.default_rng(7)
    network.set_weights([rng.uniform(0.01, 0.1, weight.shape) for weight in network.get_weights()])


@by_default
@each_case
def test_shape_and_parameters(case):
    network = built(case)
    images, _ = case.examples(4)
    answer = case.logits(network, images)
    assert answer.shape == (4, *case.output_shape)
    assert answer.dtype == tf.float32
    assert network.count_params() == case.parameters


@pytest.mark.by_default(lambda case: case.model.target in (LeNet5, MLP))  # the others: `test_zoo.py`
@pytest.mark.parametrize("case", CASES, ids=str)
def test_parameters_of_the_default(case):
    """Of the weights the shapes alone are made: 138 million numbers would take their time."""
    with keras.StatelessScope(initialize_variables=False):
        network = case.model.target()
        network.create_weights(keras.KerasTensor((None, *case.default_input_shape)))
    count = sum(math.prod(weight.shape) for weight in network.trainable_variables)
    assert count == case.default_parameters
    assert f"{count:,}" in case.model.target.__doc__


@by_default
@pytest.mark.parametrize("case", CASES, ids=str)
def test_head_follows_features(case):
    network = built(case)
    if not hasattr(network, "forward_features"):
        pytest.skip("its head is not the end of it")
    images, _ = case.examples(4)
    np.testing.assert_allclose(
        network.head(network.features(images)), case.logits(network, images), atol=1e-6
    )


@by_default
@each_case
def test_inference_is_the_answer(case):
    network = built(case)
    images, _ = case.examples(4)
    np.testing.assert_allclose(logits(network, images), case.logits(network, images), atol=1e-6)


@pytest.mark.slow
@each_case
def test_every_weight_has_a_gradient(case):
    network = compiled(case, case.build())
    batch = case.batch(16)
    with noise.scope(0, 0, 0), tf.GradientTape() as tape:
        loss, _ = network.training_loss(*batch, *[None] * (3 - len(batch)))
    for weight, gradient in zip(
        network.trainable_variables, tape.gradient(loss, network.trainable_variables), strict=True
    ):
        assert gradient is not None, weight.path
        gradient = tf.convert_to_tensor(gradient)  # of an embedding: rows of it
        assert np.isfinite(gradient).all(), weight.path
        if not re.search(case.idle, weight.path):
            assert np.abs(gradient).max() > 0, weight.path


@pytest.mark.by_default(lambda case: case in EXTRA_CASES[:1])
@each_case
def test_overfits_one_batch(case):
    network = compiled(case, case.build(), learning_rate=case.learning_rate)
    batch = tf.data.Dataset.from_tensors(case.batch(16)).repeat()
    network.fit(batch, steps_per_epoch=60, epochs=1, shuffle=False, verbose=0)
    images, targets = case.examples(16)
    case.assert_learned(network, images, targets)


@by_default
@each_case
def test_round_trip_keeps_arguments_and_weights(case, tmp_path):
    network = case.build()
    set_distinct_weights(network)
    network.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    if network.preprocessing is not None:
        assert loaded.preprocessing.get_config() == network.preprocessing.get_config()
    for name, value in case.model.arguments.items():
        assert getattr(loaded, name) == value
    assert len(loaded.weights) == len(network.weights)
    for before, after in zip(network.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(before, after)
    images, _ = case.examples(4)
    np.testing.assert_array_equal(case.logits(network, images), case.logits(loaded, images))


def assert_reduced(network, images, case, policy):
    """Layers compute in the reduced type, logits and weights stay float32."""
    assert case.logits(network, images).dtype == tf.float32
    kernels = [layer for layer in network._flatten_layers() if hasattr(layer, "kernel")]
    assert all(layer.kernel.dtype == "float32" for layer in kernels)
    reduced = [layer for layer in kernels if layer.compute_dtype == policy.removeprefix("mixed_")]
    assert {layer.name for layer in kernels if layer not in reduced} == case.heads


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if is_quick(case)], ids=str)
def test_heads_and_weights_stay_float32(case):
    """The others, and float16, in the slow suite: `test_a_step_in_reduced_precision_moves_the_weights`."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert_reduced(case.build(), case.examples(2)[0], case, "mixed_bfloat16")


@pytest.mark.slow
@each_case
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])  # a CPU emulates float16
def test_a_step_in_reduced_precision_moves_the_weights(case, policy):
    keras.config.set_dtype_policy(policy)
    network = compiled(case, case.build(), precision=policy)
    images, _ = case.examples(16)
    before = network.get_weights()
    batch = tf.data.Dataset.from_tensors(case.batch(16)).repeat()
    history = network.fit(batch, steps_per_epoch=3, epochs=1, shuffle=False, verbose=0)
    losses = [values[-1] for name, values in history.history.items() if name.endswith("loss")]
    assert losses and np.isfinite(losses).all()
    assert_reduced(network, images, case, policy)
    assert any(not np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True))


@pytest.mark.slow
@each_case
def test_evaluation_is_deterministic_and_training_noisy(case):
    network = built(case)
    images, _ = case.examples(8)
    np.testing.assert_array_equal(case.logits(network, images), case.logits(network, images))
    noisy = [case.logits(network, images, training=True) for _ in range(2)]
    assert np.array_equal(*noisy) != case.is_noisy


@pytest.mark.slow
@pytest.mark.parametrize("imports", ["import kerasdl, keras", "import keras, kerasdl"])
def test_keras_finds_the_classes_once_kerasdl_is_imported(tmp_path, imports):
    built(CASES[0]).save(tmp_path / "model.keras")
    code = f"{imports}; print(type(keras.saving.load_model('model.keras')).__name__)"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.stdout.split()[-1:] == [CASES[0].model.target.__name__], ran.stderr
