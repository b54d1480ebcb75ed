"""What a network may define besides its forward pass, and how dicts of outputs are compared."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.errors import UsageError
from kerasdl.network.network import Network, logits
from kerasdl.training.optimizers.make import learning_rate, moving_averages
from tests.cases import TWO_HEADS, TWO_OPTIMIZERS, TwoHeads


class OldStyle(Network):
    """A network that takes raw examples in `call`, as all did once."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.head = keras.layers.Dense(3)

    def call(self, images, training=False):
        return self.head(self.preprocess(images))


def test_a_network_may_define_call_itself():
    network = OldStyle(preprocessing=keras.layers.Rescaling(0.5))
    x = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(network.infer(x), network.head(x / 2))
    np.testing.assert_array_equal(logits(network, x), network(x))


@keras.saving.register_keras_serializable("kerasdl_tests")
class Generator(Network):
    """A network whose call takes noise, with a part that no call reaches."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generate, self.judge = keras.layers.Dense(6), keras.layers.Dense(1)

    def build_on(self, inputs):
        self.judge(inputs["image"])
        self(keras.KerasTensor((None, 2)))

    def forward(self, x, training=False):
        return self.generate(x)


def test_a_file_makes_the_weights_that_build_on_makes(tmp_path):
    network = Generator()
    network.create_weights(
        {"image": keras.KerasTensor((None, 6)), "text": keras.KerasTensor((None,), "string")}
    )
    network.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert len(loaded.weights) == 4
    for left, right in zip(network.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(left, right)


def test_each_optimizer_has_its_recipe():
    network = TWO_OPTIMIZERS.compile(TWO_OPTIMIZERS.build(), learning_rate=0.2, schedule="constant")
    assert {name: learning_rate(one) for name, one in network.optimizers.items()} == pytest.approx(
        {"first": 0.2, "second": 0.1}
    )


@pytest.mark.slow
def test_a_network_says_which_weights_are_averaged(monkeypatch):
    case = TWO_OPTIMIZERS
    network = case.compile(case.build(), ema_momentum=0.5)
    network.fit(*case.batch(8), batch_size=8, verbose=0)
    assert len(moving_averages(network)) == 4
    monkeypatch.setattr(type(network), "averaged", property(lambda self: self.head.trainable_variables))
    assert [id(weight) for weight, _ in moving_averages(network)] == [
        id(weight) for weight in network.head.trainable_variables
    ]


def test_losses_of_outputs_are_weighted_and_their_means_exact():
    """The last batch is half as large as the others; Keras would count it as one of them."""
    network = TWO_HEADS.compile(TWO_HEADS.build())
    x, y, weights = TWO_HEADS.batch(20)
    found = network.evaluate(
        tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(8), verbose=0, return_dict=True
    )
    outputs = network(x)
    kind = keras.losses.sparse_categorical_crossentropy(y["kind"], outputs["kind"], from_logits=True)
    kind = np.mean(kind * weights["kind"])
    size = np.mean((y["size"] - outputs["size"])[:, 0] ** 2 * weights["size"])
    expected = {"kind_loss": kind, "size_loss": size, "loss": kind + 0.5 * size}
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert "kind_accuracy" in found


def test_terms_of_add_loss_are_added_to_those_of_outputs(monkeypatch):
    network = TWO_HEADS.compile(TWO_HEADS.build())
    x, y = TWO_HEADS.examples(4)
    before = network.compute_loss(x, y, network(x))
    monkeypatch.setattr(type(network), "losses", property(lambda self: [tf.constant(5.0)]))
    np.testing.assert_allclose(network.compute_loss(x, y, network(x)) - before, 5.0, rtol=1e-5)


def test_a_single_target_is_that_of_the_main_output():
    case = dataclasses.replace(TWO_HEADS, task=type(TWO_OPTIMIZERS.task)())
    network = case.compile(TWO_HEADS.build())
    x, y = case.examples(8)
    expected = case.task.loss(case.spec)(y["kind"], network(x)["kind"])
    np.testing.assert_allclose(network.compute_loss(x, y["kind"], network(x)), expected, rtol=1e-5)
    with pytest.raises(UsageError, match=r"returns a, b\..*main_output"):
        network.compute_loss(x, y["kind"], {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("targets", "said"),
    [({"weight": 1}, "targets weight. Give both the same names"), ({"kind": 1}, "a loss of size")],
)
def test_outputs_without_a_target_are_named(targets, said):
    network = TWO_HEADS.compile(TWO_HEADS.build())
    x, _ = TWO_HEADS.examples(4)
    with pytest.raises(UsageError, match=said):
        network.compute_loss(x, {name: np.zeros((4, 1), np.float32) for name in targets}, network(x))


def test_a_weight_without_a_loss_is_refused():
    with pytest.raises(UsageError, match="loss_weights names sise, but there are losses of kind"):
        TwoHeads().compile(loss={"kind": "mse"}, loss_weights={"sise": 1.0})
