"""Optimizers and schedules: their values, and that two replicas change nothing about them."""

import functools
import math
from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data.images.digits import Digits
from kerasdl.network.network import Network
from kerasdl.recipe import Recipe
from kerasdl.training import devices
from kerasdl.training.optimizers.make import make_optimizer
from kerasdl.training.optimizers.schedules import OneCycle, Warmup, make_schedule
from tests.cases import ALL_CASES, EXTRA_CASES
from tests.test_distribute import assert_same_update, trained

NORMALIZED = EXTRA_CASES[0]
PLAIN = ALL_CASES[1]  # no batch normalisation


def recipe(**fields):
    fields = {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.0, "schedule": "constant", **fields}
    return Recipe(model=PLAIN.model, data=Digits(), task=PLAIN.task, **fields)


def values(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


def test_warmup_rises_to_the_first_value_of_what_follows():
    after = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.8, 0.2])
    schedule = Warmup(steps=4, after=after)
    np.testing.assert_allclose(values(schedule, range(9)), [0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8, 0.2, 0.2])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    np.testing.assert_array_equal(values(again, range(9)), values(schedule, range(9)))


def test_one_cycle_is_that_of_pytorch():
    """PyTorch's `_annealing_cos` with total_steps=10: up from step 0 to 2 (0.3 * 10 - 1), down to step 9."""

    def annealed(start, end, part):
        return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)

    first, peak, last = 2.0 / 25, 2.0, 2.0 / 25 / 1e4
    expected = [annealed(first, peak, step / 2) for step in (0, 1, 2)]
    expected += [annealed(peak, last, (step - 2) / 7) for step in range(3, 10)]
    schedule = OneCycle(peak=2.0, steps=10)
    np.testing.assert_allclose(values(schedule, range(10)), expected, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(values(schedule, [0, 1, 2, 9]), [0.08, 1.04, 2.0, 8e-6], rtol=1e-4)
    assert float(schedule(10)) == pytest.approx(last, rel=1e-2)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    np.testing.assert_array_equal(values(again, range(10)), values(schedule, range(10)))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # Step -> learning rate, of 3 epochs with 10 updates each.
        ({"schedule": "cosine"}, {0: 0.1, 15: 0.05, 30: 0.0, 40: 0.0}),
        ({"schedule": "cosine", "warmup_epochs": 1}, {0: 0.01, 9: 0.1, 10: 0.1, 20: 0.05, 30: 0.0, 99: 0.0}),
        ({"schedule": "cosine", "warmup_epochs": 0.5}, {0: 0.02, 4: 0.1, 5: 0.1, 30: 0.0}),
        (
            {"schedule": "step", "schedule_epochs": 1},
            {0: 0.1, 9: 0.1, 10: 0.01, 19: 0.01, 20: 1e-3, 29: 1e-3},
        ),
        (
            {"schedule": "step", "schedule_epochs": 1, "schedule_factor": 0.5, "warmup_epochs": 1},
            {0: 0.01, 9: 0.1, 10: 0.1, 19: 0.1, 20: 0.05, 29: 0.05},
        ),
        ({"schedule": "one_cycle"}, {0: 0.004, 8: 0.1, 29: 4e-7, 50: 4e-7}),
        ({"schedule": "constant", "warmup_epochs": 1}, {0: 0.01, 9: 0.1, 10: 0.1, 29: 0.1, 99: 0.1}),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if "schedule" in value else "",
)
def test_schedules_of_recipes(fields, expected):
    schedule = make_schedule(recipe(epochs=3, **fields), 10)
    np.testing.assert_allclose(
        values(schedule, expected), list(expected.values()), rtol=1e-4, atol=1e-8, err_msg=str(fields)
    )


@pytest.mark.parametrize(
    ("schedule", "kind"),
    [
        ("constant", float),
        ("plateau", float),  # a number, for a schedule cannot be lowered by a callback
        ("one_cycle", OneCycle),
        ("cosine", keras.optimizers.schedules.LearningRateSchedule),
        ("step", keras.optimizers.schedules.LearningRateSchedule),
    ],
)
def test_kinds_of_schedules(schedule, kind):
    made = make_schedule(recipe(schedule=schedule), 10)
    assert isinstance(made, kind)
    assert isinstance(make_optimizer(recipe(schedule=schedule), 10).learning_rate, keras.Variable) == (
        kind is float
    )


def applied(variables, gradients, **fields):
    """Return an optimizer that has made one update with each of `gradients`."""
    optimizer = make_optimizer(recipe(**fields), 10)
    optimizer.build(variables)
    for gradient in gradients:
        optimizer.apply([tf.constant(part, tf.float32) for part in gradient], variables)
    return optimizer


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_weight_decay_spares_biases_and_scales(optimizer):
    network = NORMALIZED.build()
    variables = network.trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    applied(
        variables,
        [[np.zeros(variable.shape) for variable in variables]],
        optimizer=optimizer,
        weight_decay=0.5,
    )
    names = {variable.name for variable in variables}
    assert names == {"kernel", "bias", "gamma", "beta"}
    for variable in variables:
        expected = 0.95 if variable.name == "kernel" else 1.0  # 1 - learning rate * decay
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-6, err_msg=variable.path)


def test_averages_are_those_of_the_weights():
    weight = keras.Variable([1.0], name="weight")
    applied([weight], [[[1.0]], [[2.0]], [[3.0]]], ema_momentum=0.9)
    np.testing.assert_allclose(weight.numpy(), [0.4], rtol=1e-6)  # by way of 0.9 and 0.7
    # The first average is the first weight, not a tenth of it: 0.9; 0.9 * 0.9 + 0.1 * 0.7; ...
    optimizer = applied([again := keras.Variable([1.0])], [[[1.0]], [[2.0]], [[3.0]]], ema_momentum=0.9)
    (average,) = optimizer._model_variables_moving_average
    np.testing.assert_allclose(average.numpy(), [0.9 * (0.9 * 0.9 + 0.1 * 0.7) + 0.1 * 0.4], rtol=1e-6)
    assert again.numpy() == weight.numpy()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ([3.0, 4.0], [12.0])),
        ({"clip_norm": 1.0}, ([0.6, 0.8], [1.0])),
        ({"clip_norm": 10.0}, ([3.0, 4.0], [10.0])),
        ({"global_clip_norm": 1.0}, ([3 / 13, 4 / 13], [12 / 13])),
        ({"global_clip_norm": 100.0}, ([3.0, 4.0], [12.0])),
    ],
    ids=str,
)
def test_clipping_bounds_the_update(fields, expected):
    variables = [keras.Variable([0.0, 0.0]), keras.Variable([0.0])]
    applied(variables, [([3.0, 4.0], [12.0])], learning_rate=1.0, **fields)
    for variable, update in zip(variables, expected, strict=True):
        np.testing.assert_allclose(-variable.numpy(), update, rtol=1e-6)


def replicas_of(variables, strategy):
    """Return what each replica holds: a list of arrays for each of the variables."""
    return [
        [copy.numpy() for copy in strategy.experimental_local_results(variable.value)]
        for variable in variables
    ]


@pytest.mark.slow
def test_loss_scale_halves_on_an_infinity_of_the_last_replica():
    """Without batch normalisation, which would carry the infinity to the other replica."""
    strategy = devices.choose("cpu:2").strategy
    with strategy.scope():
        keras.config.set_dtype_policy("mixed_float16")
        network = PLAIN.build()
        optimizer = make_optimizer(recipe(precision="mixed_float16"), 1)
        network.compile(optimizer=optimizer, loss=PLAIN.task.loss(None))
        optimizer.build(network.trainable_variables)
    images, labels = PLAIN.examples(16)
    for last in (np.inf, 0.01):
        weights = np.full(16, 0.01, np.float32)
        weights[-1] = last
        before, scale = replicas_of(network.trainable_variables, strategy), optimizer.dynamic_scale.numpy()
        data = tf.data.Dataset.from_tensors((images, labels, weights))
        network.fit(data, epochs=1, shuffle=False, verbose=0)
        after = replicas_of(network.trainable_variables, strategy)
        for variable, new in zip(network.trainable_variables, after, strict=True):
            assert len(new) == 2
            np.testing.assert_array_equal(new[0], new[1], err_msg=variable.path)
        moved = [(old[1] != new[1]).any() for old, new in zip(before, after, strict=True)]
        assert any(moved) == np.isfinite(last)
        assert optimizer.dynamic_scale.numpy() == (scale if np.isfinite(last) else scale / 2)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop"])
def test_adaptive_optimizers_on_two_replicas(optimizer):
    """Two updates: the first of Adam is but the sign of the gradient."""
    fields = {"optimizer": optimizer, "learning_rate": 1e-3, "weight_decay": 0.1, "examples": 16}
    assert_same_update(PLAIN, **fields)


@pytest.mark.slow
def test_class_weights_on_two_replicas(monkeypatch):
    unweighted, _, _ = trained(PLAIN, "none", examples=41)
    weighted = functools.partialmethod(Network.fit, class_weight={0: 0.2, 1: 1.0, 2: 5.0})
    monkeypatch.setattr(Network, "fit", weighted)
    assert_same_update(PLAIN, examples=41)  # 9 in the last batch
    changed, _, _ = trained(PLAIN, "none", examples=41)
    assert max(np.abs(left - right).max() for left, right in zip(unweighted, changed, strict=True)) > 1e-3


def _updated(optimizer, gradients):
    """Return weights, and what an optimizer keeps, after an update for each gradient, made in a graph."""
    weight = keras.Variable(np.linspace(-1, 1, 12).reshape(6, 2), dtype="float32", name="kernel")
    optimizer.build([weight])
    update = tf.function(lambda gradient: optimizer.apply([gradient], [weight]))
    for gradient in gradients:
        update(gradient)
    operations = update.get_concrete_function(gradients[0]).graph.as_graph_def()
    names = {node.op for node in operations.node}
    names |= {node.op for part in operations.library.function for node in part.node_def}
    return [weight.numpy(), *(variable.numpy() for variable in optimizer.variables)], names


FUSED = [
    ("sgd", {"momentum": 0.9}, "ResourceApplyKerasMomentum"),
    ("sgd", {"momentum": 0.9, "nesterov": True}, "ResourceApplyKerasMomentum"),
    ("sgd", {"momentum": 0.0}, "ResourceApplyGradientDescent"),
    ("adam", {}, "ResourceApplyAdam"),
    ("adamw", {"weight_decay": 0.1}, "ResourceApplyAdam"),
    ("rmsprop", {"momentum": 0.9}, "ResourceApplyRMSProp"),
    ("rmsprop", {"momentum": 0.0}, None),
]


@pytest.mark.by_default(lambda name, fields, operator, sparse: name == "adam" and not sparse)
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize(("name", "fields", "operator"), FUSED, ids=str)
def test_fused_updates_are_those_of_keras(name, fields, operator, sparse):
    stock = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}[name]
    rng = np.random.default_rng(0)
    gradients = [tf.constant(rng.normal(size=(6, 2)), tf.float32) for _ in range(4)]
    if sparse:  # of an embedding; row 1 twice
        gradients = [
            tf.IndexedSlices(value[:3], tf.constant([1, 4, 1]), tf.constant([6, 2])) for value in gradients
        ]
    ours, used = _updated(make_optimizer(recipe(optimizer=name, **fields), 10), gradients)
    # Keras squares the two parts of row 1 apart, so that its update depends on how a batch is divided.
    dense = [tf.convert_to_tensor(value) for value in gradients]
    expected, _ = _updated(getattr(keras.optimizers, stock)(0.1, **fields), dense)
    for left, right in zip(ours, expected, strict=False):  # ours counts the updates it left out, last
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)
    assert len(ours) == len(expected) + 1
    fused = {op for op in used if op.startswith("ResourceApply")}
    assert fused == {operator} - {None}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_what_all_weights_share_is_stated_once(name):
    """A schedule's operators, and Adam's powers, are as many for nine weights as for one."""

    def operators(num_weights):
        optimizer = make_optimizer(recipe(optimizer=name, schedule="cosine", weight_decay=0.1), 10)
        weights = [keras.Variable(np.ones(3), dtype="float32") for _ in range(num_weights)]
        optimizer.build(weights)
        gradients = [tf.ones(3)] * num_weights
        update = tf.function(lambda: optimizer.apply(gradients, weights)).get_concrete_function()
        library = update.graph.as_graph_def().library
        return Counter(node.op for part in library.function for node in part.node_def)

    few, many = operators(1), operators(9)
    assert few["Cos"] and few["AssignSubVariableOp"] and (few["Pow"] or "adam" not in name)
    assert {op: many[op] for op in ("Cos", "Pow")} == {op: few[op] for op in ("Cos", "Pow")}
    assert many["AssignSubVariableOp"] == 9 * few["AssignSubVariableOp"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_one_number_that_is_not_finite_leaves_the_update_out(bad, sparse):
    gradient = np.full((6, 2), 1e30, np.float32)
    gradient[3, 1] = bad
    value = (
        tf.IndexedSlices(tf.constant(gradient), tf.range(6), tf.constant([6, 2]))
        if sparse
        else tf.constant(gradient)
    )
    optimizer = make_optimizer(recipe(), 10)
    (weight, *_), _ = _updated(optimizer, [value])
    np.testing.assert_array_equal(weight, np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2))
    assert int(optimizer.num_skipped.numpy()) == 1


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_optimizers_survive_a_file(name, precision):
    optimizer = make_optimizer(recipe(optimizer=name, precision=precision, weight_decay=0.1), 1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
