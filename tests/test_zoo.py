"""The networks of the papers: their published sizes, their arguments, and the auxiliary classifiers."""

import functools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.export.onnx import write_onnx
from kerasdl.export.saved_model import write_saved_model
from kerasdl.export.spec import ExportSpec
from kerasdl.models.alexnet import AlexNet
from kerasdl.models.convnet import ConvNet
from kerasdl.models.googlenet import GoogLeNet
from kerasdl.models.resnet import ResidualBlock, ResNet
from kerasdl.models.vgg import VGG
from kerasdl.tasks.classification.task import Classification
from tests.cases import CASES
from tests.test_models import compiled

PUBLISHED = [  # trainable weights at 224x224x3 with 1000 classes
    (VGG, {"depth": 11}, 132_863_336),
    (VGG, {"depth": 13}, 133_047_848),
    (VGG, {}, 138_357_544),
    (VGG, {"batch_normalization": True}, 138_365_992),
    (VGG, {"depth": 19}, 143_667_240),
    (AlexNet, {}, 61_100_840),
    (AlexNet, {"response_normalization": True}, 61_100_840),
    (GoogLeNet, {"auxiliary": False}, 6_624_904),
    (GoogLeNet, {}, 13_004_888),
    (GoogLeNet, {"form": "paper", "auxiliary": False}, 6_998_552),
    (GoogLeNet, {"form": "paper"}, 13_378_280),
    (ResNet, {"depth": 18}, 11_689_512),
    (ResNet, {"depth": 34}, 21_797_672),
    (ResNet, {}, 25_557_032),
    (ResNet, {"depth": 101}, 44_549_160),
    (ResNet, {"depth": 152}, 60_192_808),
]
SMALL = [  # at 32x32x3 with 10 classes
    (ResNet, {"depth": 20, "width": 16, "stem": "cifar", "shortcut": "A"}, 269_722),
    (ResNet, {"depth": 20, "width": 16, "stem": "cifar", "shortcut": "B"}, 272_474),
    (ConvNet, {}, 94_762),
]


def name(value):
    return getattr(value, "__name__", str(value))


def count(kind, size, **arguments):
    """Count trainable weights by their shapes; no values are made."""
    with keras.StatelessScope(initialize_variables=False):
        network = kind(**arguments)
        network(keras.KerasTensor((None, size, size, 3)))
    return sum(math.prod(weight.shape) for weight in network.trainable_variables)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "arguments", "published"), PUBLISHED, ids=name)
def test_published_sizes(kind, arguments, published):
    assert count(kind, 224, **arguments) == published
    assert f"{published:,}" in kind.__doc__


@pytest.mark.by_default(lambda kind, arguments, published: arguments.get("shortcut") == "A")
@pytest.mark.parametrize(("kind", "arguments", "published"), SMALL, ids=name)
def test_published_sizes_of_small_images(kind, arguments, published):
    assert count(kind, 32, num_classes=10, **arguments) == published
    assert f"{published:,}" in kind.__doc__


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["64x64", pytest.param("224x224", marks=pytest.mark.large)])
def test_vgg16_takes_the_weights_of_keras_applications(shape):
    """In order: a map that is flattened in another order would show, being of 2x2 places or more."""
    size = int(shape.partition("x")[0])
    theirs = keras.applications.VGG16(
        weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None
    )
    ours = VGG(num_classes=10)
    ours(keras.KerasTensor((None, size, size, 3)))
    ours.set_weights(theirs.get_weights())
    images = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype("float32")
    expected = theirs(images)
    np.testing.assert_allclose(ours(images), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        *({"activation": name} for name in ("leaky_relu", "elu", "maxout", "tanh", "sigmoid")),
        {"pooling": "average"},
        {"pooling": "stride", "convolutions": 2},
        {"early_pooling": True, "activation": "elu"},
        {"padding": "valid"},
        {"batch_normalization": False},
    ],
    ids=str,
)
def test_each_choice_of_a_convnet_makes_another_network(arguments):
    images = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype("float32")
    answers = []
    for more in ({}, arguments):
        keras.utils.set_random_seed(0)
        network = ConvNet(filters=(4, 8), **more)
        with tf.GradientTape() as tape:
            answer = network(images, training=True)
        gradients = tape.gradient(answer, network.trainable_variables)
        assert all(np.isfinite(gradient).all() for gradient in gradients)
        answers.append(answer)
    assert np.abs(answers[0] - answers[1]).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("early_pooling", [False, True])
@pytest.mark.parametrize("pooling", ["max", "average", "stride"])
def test_stages_halve_the_image_at_their_end_or_after_the_first_convolution(pooling, early_pooling):
    network = ConvNet(filters=(4, 8), pooling=pooling, convolutions=2, early_pooling=early_pooling)
    images = np.zeros((1, 16, 16, 3), "float32")
    network(images)  # builds it
    shapes = []
    for layer in (*(block.activate for block in network.blocks), network.mean):
        layer.call = lambda x, call=layer.call: (shapes.append(x.shape[1]), call(x))[1]
    network(images)
    late = [16, 8, 8, 4] if pooling == "stride" else [16, 16, 8, 8]
    assert shapes == [*([8, 8, 4, 4] if early_pooling else late), 4]


def test_momentum_of_a_convnets_statistics():
    network = ConvNet(filters=(4,), normalization_momentum=0.25)
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    network(images, training=True)
    block = network.blocks[0]
    mean = tf.reduce_mean(block.convolution(images), (0, 1, 2))
    np.testing.assert_allclose(block.normalization.moving_mean, 0.75 * mean, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_shortcut_a_is_every_other_pixel_between_zeros(dtype):
    images = np.random.default_rng(0).normal(size=(2, 7, 6, 4))
    images = tf.cast(images, dtype)
    block = ResidualBlock(filters=10, strides=2, shortcut="A", dtype=dtype)
    expected = tf.pad(images[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (3, 3)))
    np.testing.assert_array_equal(block._shortcut(images, training=False), expected)


GOOGLENET = next(case for case in CASES if case.model.target is GoogLeNet)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return compiled(GOOGLENET, GOOGLENET.build())


@functools.cache
def examples():
    return GOOGLENET.examples(8)


@pytest.mark.slow
@pytest.mark.parametrize("sample_weight", [None, np.arange(8, dtype="float32")], ids=["plain", "weighted"])
def test_auxiliary_classifiers_count_in_training_alone(network, sample_weight):
    images, labels = examples()
    outputs = network(images)
    assert list(outputs) == ["logits", "auxiliary_1", "auxiliary_2"]
    main, *middle = (
        float(GOOGLENET.task.loss(None)(labels, outputs[name], sample_weight=sample_weight))
        for name in outputs
    )
    losses = [
        float(network.compute_loss(images, labels, outputs, sample_weight, training=training))
        for training in (True, False)
    ]
    np.testing.assert_allclose(losses, [main + 0.3 * sum(middle), main], rtol=1e-5)
    assert abs(losses[0] - losses[1]) > 0.1


@pytest.mark.slow
def test_auxiliary_classifiers_do_not_count_other_losses_again(network, monkeypatch):
    images, labels = examples()
    outputs = network(images)
    before = network.compute_loss(images, labels, outputs, training=True)
    monkeypatch.setattr(type(network), "losses", property(lambda self: [tf.constant(5.0)]))
    after = network.compute_loss(images, labels, outputs, training=True)
    np.testing.assert_allclose(after - before, 5.0, rtol=1e-5)


@pytest.mark.slow
def test_evaluation_has_the_loss_of_the_logits(network):
    images, labels = examples()
    found = network.evaluate(images, labels, verbose=0, return_dict=True)
    expected = float(GOOGLENET.task.loss(None)(labels, network.infer(images)))
    assert found["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_a_network_without_auxiliary_classifiers_answers_with_logits():
    network = GOOGLENET.model.replace(auxiliary=False).build(num_classes=3)
    assert network(np.zeros((2, 16, 16, 3), "float32")).shape == (2, 3)


@pytest.mark.slow
@pytest.mark.parametrize("size", [8, 16])
def test_auxiliary_classifiers_take_maps_smaller_than_their_pooling(size):
    network = GOOGLENET.model.build(num_classes=3)
    outputs = network(keras.KerasTensor((None, size, size, 3)))
    assert [output.shape for output in outputs.values()] == [(None, 3)] * 3


@pytest.mark.slow
def test_no_export_holds_the_auxiliary_classifiers(tmp_path):
    """Their weights are all one number, the head's another: which of the two do the files hold?"""
    network = GOOGLENET.build()
    for weight in network.weights:
        if "auxiliary" in weight.path:
            weight.assign(np.full(weight.shape, 7.125))
    network.head.kernel.assign(np.full(network.head.kernel.shape, 3.0625))
    endpoints = Classification().endpoints(
        network, DataSpec(Spec(GOOGLENET.input_shape, "uint8"), Spec((), "int32")), {}
    )
    write_saved_model(endpoints, tmp_path / "saved")
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(tmp_path / "saved"), signature_keys=["serving_default"]
    )
    (tmp_path / "net.tflite").write_bytes(converter.convert())
    spec = ExportSpec("net", network, endpoints, ("a", "b", "c"), {})
    write_onnx(spec, endpoints[0], tmp_path / "net.onnx")
    variables = next((tmp_path / "saved" / "variables").glob("*.data*"))
    head, auxiliary = (np.full(8, value, "float32").tobytes() for value in (3.0625, 7.125))
    for file in (variables, tmp_path / "net.tflite", tmp_path / "net.onnx"):
        content = file.read_bytes()
        assert head in content and auxiliary not in content, file.name
