"""Flow matching: the path, the steps along it, guidance, and the layers of its U-Net."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.errors import UsageError
from kerasdl.layers import export_mode, noise
from kerasdl.layers.group_normalization import GroupNormalization
from kerasdl.layers.unet import PixelAttention, UNet
from kerasdl.models.flow_matching import FlowMatching

SMALL = {"image_shape": (4, 4, 1), "num_classes": 3, "widths": (8,), "groups": 2}


def small(**arguments):
    network = FlowMatching(**{**SMALL, **arguments})
    network.create_weights(keras.KerasTensor((None, *network.image_shape), "uint8"))
    return network


@pytest.fixture(scope="module")
def conditional():
    return small(conditional=True, guidance=2.5, num_steps=3)


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def images(count, *shape):
    return np.random.default_rng(1).integers(0, 256, (count, *(shape or (4, 4, 1)))).astype(np.uint8)


@pytest.mark.parametrize("offset", [0, 300])
def test_group_normalization_is_that_of_keras(offset):
    x = drawn(3, 4, 5, 6) + np.arange(6, dtype=np.float32) + offset
    ours, theirs = GroupNormalization(groups=3), keras.layers.GroupNormalization(3, epsilon=1e-5)
    for layer in (ours, theirs):
        layer.build(x.shape)
        layer.set_weights([drawn(6, seed=1), drawn(6, seed=2)])
    expected = theirs(x)
    np.testing.assert_allclose(ours(x), expected, atol=1e-5 if not offset else 2e-3)
    scale, shift = drawn(3, 6, seed=3), drawn(3, 6, seed=4)
    np.testing.assert_allclose(
        ours(x, scale, shift),
        expected * (1 + scale[:, None, None]) + shift[:, None, None],
        atol=1e-4 if not offset else 1e-2,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width", "channels"), [(7, 5, 3), (8, 8, 1)])
def test_images_of_any_size(height, width, channels):
    network = UNet(channels=channels, widths=(4, 8), groups=2, patch_size=2, attention=True)
    x = drawn(2, height, width, channels)
    assert network(x, drawn(2, 6)).shape == x.shape


def test_through_attention_each_pixel_sees_all():
    layer, x = PixelAttention(groups=2), drawn(2, 3, 2, 4)
    answer = layer(x)
    query, key, value = np.split(layer.project(layer.normalization(x)).numpy().reshape(2, 6, 12), 3, -1)
    weights = keras.ops.softmax(np.einsum("bqc,bkc->bqk", query, key) / 2)
    gathered = layer.answer(np.einsum("bqk,bkc->bqc", weights, value)).numpy()
    np.testing.assert_allclose(answer, x + gathered.reshape(x.shape), atol=1e-5)
    assert np.abs(gathered).max() > 0.1


def test_the_true_velocity_has_no_loss(monkeypatch):
    """At x = (1 - t) noise + t image the velocity image - noise is (image - x) / (1 - t)."""
    network, x = small(), images(64)
    whole = network.scaled(x)
    assert whole.numpy().min() == -1 and whole.numpy().max() == 1

    def velocity(x, times, labels=None, training=False):
        return (whole - x) / (1 - times)[:, None, None, None]

    monkeypatch.setattr(network, "velocity", velocity)
    with noise.scope(0, 1, 0):
        loss, _ = network.validation_loss(x, None, None)
    assert float(loss) < 1e-6
    monkeypatch.setattr(network, "velocity", lambda x, *_: tf.zeros_like(x))
    with noise.scope(0, 1, 0):
        loss, _ = network.training_loss(x, None, None)
    assert float(loss) == pytest.approx(1 + float(tf.reduce_mean(whole**2)), rel=0.1)


def seen(network, monkeypatch, loss, place=0, count=400):
    """Return the times and labels that the U-Net is asked at by a loss."""
    asked = []

    def velocity(x, times, labels=None, training=False):
        asked.append((times.numpy(), labels.numpy()))
        return x

    monkeypatch.setattr(network, "velocity", velocity)
    with noise.scope(0, 1, place):
        loss(images(count), np.arange(count, dtype=np.int32) % 3, None)
    return asked[0]


def test_labels_and_times_of_training(conditional, monkeypatch):
    times, labels = seen(conditional, monkeypatch, conditional.training_loss)
    left = labels != 3
    np.testing.assert_array_equal(labels[left], (np.arange(400) % 3)[left])
    assert 0.85 < left.mean() < 0.95
    assert 0.45 < times.mean() < 0.55 and times.min() < 0.02 and times.max() > 0.98
    monkeypatch.setattr(conditional, "times", "logit_normal")
    times, _ = seen(conditional, monkeypatch, conditional.training_loss)
    assert np.mean((times > 0.27) & (times < 0.73)) == pytest.approx(0.68, abs=0.06)


def test_times_of_validation_lie_evenly_and_go_by_place(conditional, monkeypatch):
    times, labels = seen(conditional, monkeypatch, conditional.validation_loss)
    assert (labels != 3).all()
    assert np.histogram(times, 20, (0, 1))[0] == pytest.approx(20, abs=2)
    later, _ = seen(conditional, monkeypatch, conditional.validation_loss, place=300, count=100)
    np.testing.assert_allclose(later, times[300:], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["training_loss", "validation_loss"])
def test_the_loss_of_a_batch_is_that_of_its_parts(conditional, loss):
    """On any number of replicas: noise, times and left-out classes go by place."""
    x, labels = images(8), np.arange(8, dtype=np.int32) % 3

    def of(first, last):
        with noise.scope(0, 1, first):
            return getattr(conditional, loss)(x[first:last], labels[first:last], None)[0]

    assert float(of(0, 8)) == pytest.approx(float(of(0, 4) + of(4, 8)) / 2, abs=1e-5)
    assert abs(float(of(0, 4) - of(4, 8))) > 1e-3


@pytest.mark.slow
def test_validation_is_the_same_in_each_epoch():
    network = small()
    network.compile(optimizer="sgd")
    data = tf.data.Dataset.from_tensor_slices((images(20), np.zeros(20, np.int32))).batch(8)
    first, again = (network.evaluate(data, verbose=0, return_dict=True) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(("solver", "power"), [("euler", 0), ("midpoint", 1)])
def test_steps_are_exact_for_what_a_solver_can(solver, power, monkeypatch):
    network = small(solver=solver, num_steps=4)
    speed = {0: lambda times: tf.ones_like(times), 1: lambda times: 2 * times}[power]
    monkeypatch.setattr(
        network, "velocity", lambda x, times, labels: tf.zeros_like(x) + speed(times)[:, None, None, None]
    )
    start = drawn(5, 4, 4, 1)
    np.testing.assert_allclose(network.generate(start), np.clip(start / 2 + 1, 0, 1), atol=1e-6)


@pytest.mark.slow
def test_a_loop_gives_what_unrolled_steps_give(conditional):
    start, labels = drawn(4, 4, 4, 1), np.array([0, 1, 2, 3], np.int32)
    looped = tf.function(conditional.generate)
    with export_mode.exporting("tflite", unroll=True):
        unrolled = conditional.generate(start, labels)
    np.testing.assert_allclose(looped(start, labels), unrolled, atol=1e-5)
    operators = looped.get_concrete_function(start, labels).graph.get_operations()
    assert any("While" in one.type for one in operators)
    assert np.ptp(unrolled, axis=0).max() > 0.05


def test_guidance_goes_further_than_the_class_says(conditional, monkeypatch):
    x, labels = drawn(2, 4, 4, 1), np.array([0, 2], np.int32)
    times = np.full(2, 0.3, np.float32)
    told, untold = conditional.velocity(x, times, labels), conditional.velocity(x, times)
    assert np.abs(told - untold).max() > 1e-4
    np.testing.assert_allclose(conditional._guided(x, 0.3, labels), untold + 2.5 * (told - untold), atol=1e-5)
    for none in (0, 1):
        monkeypatch.setattr(conditional, "guidance", none)
        np.testing.assert_allclose(conditional._guided(x, 0.3, labels), told, atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"guidance": -1.0}, {"num_steps": 0}, {"solver": "rk4"}, {"widths": (8, 9)}, {"widths": ()},
        {"patch_size": 0}, {"times": "normal"}, {"label_dropout": 1.0}, {"guidance": 2.0},
        {"guidance": 2.0, "conditional": True, "label_dropout": 0.0},
    ],
)  # fmt: skip
def test_settings_that_are_none(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        FlowMatching(**{**SMALL, **wrong})


def test_calls_take_what_they_say(conditional):
    calls = conditional.calls()
    assert list(calls) == ["generate", "velocity"]
    assert list(calls["generate"].inputs) == ["noise", "labels"]
    assert list(calls["velocity"].inputs) == ["x", "times", "labels"]
    x, times = drawn(2, 4, 4, 1), np.array([0.1, 0.9], np.float32)
    answer = calls["velocity"].function(x, times, np.array([1, 2], np.int32))["velocity"]
    np.testing.assert_array_equal(answer, conditional.velocity(x, times, np.array([1, 2])))
