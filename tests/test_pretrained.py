"""Weights from elsewhere: of runs and files, and those that keras.applications publishes."""

import dataclasses
import json
import shutil

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format  # it has no public name
from rich.console import Console

from kerasdl.data.images.digits import Digits
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.jobs import train
from kerasdl.models.convnet import ConvNet
from kerasdl.models.googlenet import GoogLeNet
from kerasdl.models.resnet import ResNet
from kerasdl.models.vgg import VGG
from kerasdl.network import parts as backbone
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Config, Recipe
from kerasdl.tasks.classification.task import Classification
from kerasdl.training import build
from kerasdl.training.devices import Devices
from kerasdl.training.plan import plan_run
from kerasdl.training.weights import published
from kerasdl.training.weights import source as pretrained

NAMES = ("a", "b", "c")


def network_of(config, num_classes=3, shape=(8, 8, 1), **more):
    keras.utils.set_random_seed(num_classes)
    network = config.build(num_classes=num_classes, preprocessing=ImagePreprocessing(**more))
    network(keras.KerasTensor((None, *shape), dtype="uint8"))
    return network


def randomize(network, seed=0):
    """Draw all weights, moving statistics included, so that outputs stay of order 1 and differ."""
    random = np.random.default_rng(seed)
    for weight in network.weights:
        shape = tuple(weight.shape)
        if "variance" in weight.path:
            value = random.uniform(0.5, 1.5, shape)
        elif "gamma" in weight.path:
            value = random.uniform(0.1, 0.5, shape)
        elif len(shape) > 1:
            value = random.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
        else:
            value = random.normal(0, 0.3, shape)
        weight.assign(value.astype(np.float32))


TINY = Config(ConvNet, filters=(4, 6), dropout=0.1)
RECIPE = Recipe(
    name="tiny", model=TINY, data=Digits(), task=Classification(), preprocessing=Config(ImagePreprocessing),
    epochs=1, batch_size=64,
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    recipe = dataclasses.replace(RECIPE, preprocessing=Config(ImagePreprocessing, standardize=True))
    folder = tmp_path_factory.mktemp("pretraining")
    return train.train(recipe, runs_dir=folder, export=False, console=Console(quiet=True)).run


def recipe_with(weights, **fields):
    return dataclasses.replace(RECIPE, weights=str(weights), **fields)


def loaded(recipe, network, class_names=NAMES):
    return pretrained.find(recipe).load(network, class_names)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_files_of_keras_give_all_but_another_head(tmp_path, suffix, caplog):
    caplog.set_level("INFO", "kerasdl")
    theirs, same, other = network_of(TINY), network_of(TINY), network_of(TINY, 5)
    randomize(theirs)
    file = tmp_path / f"theirs{suffix}"
    theirs.save(file) if suffix == ".keras" else theirs.save_weights(file)
    assert loaded(recipe_with(file), same) == []
    for left, right in zip(theirs.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    head = other.head.get_weights()
    assert loaded(recipe_with(file), other) == [other.head]
    for left, right in zip(theirs.get_weights()[:-2], other.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(other.head.get_weights()[0], head[0])
    assert "Loaded 4 of 5 layers with weights" in caplog.text and "left as initialised" in caplog.text


@pytest.mark.slow
def test_auxiliary_classifiers_are_of_the_head(tmp_path):
    tiny = Config(GoogLeNet, width=8, stem="cifar")
    theirs, ours = (network_of(tiny, count, (16, 16, 3)) for count in (3, 5))
    randomize(theirs)
    theirs.save(tmp_path / "theirs.keras")
    left = loaded(recipe_with(tmp_path / "theirs.keras"), ours)
    assert left == backbone.head(ours)
    assert {id(layer) for layer in left} > {id(part.head) for part in (ours, *ours.classifiers)}
    for left, right in zip(theirs.inceptions, ours.inceptions, strict=True):
        for before, after in zip(left.get_weights(), right.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)


@pytest.mark.slow
def test_a_run_gives_its_preprocessing_and_its_head_only_for_its_classes(run):
    digits = tuple("0123456789")
    recipe = recipe_with(run.path)
    found = pretrained.find(recipe)
    adopted = found.adopt(recipe)
    assert adopted.preprocessing.mean == run.network().preprocessing.mean != (0.0,)
    assert not adopted.preprocessing.standardize and found.adopt(adopted) == adopted
    network = network_of(TINY, 10)
    assert found.load(network, digits) == []
    np.testing.assert_array_equal(network.head.get_weights()[0], run.network().head.get_weights()[0])
    assert found.load(network_of(TINY, 10), tuple("abcdefghij")) != []


def test_size_and_channels_stay_those_of_the_recipe(tmp_path):
    network_of(TINY, size=(8, 8), scale=0.5).save(tmp_path / "a.keras")
    own = Config(ImagePreprocessing, size=(6, 6), mean=(0.25,))
    adopted = pretrained.find(recipe_with(tmp_path / "a.keras")).adopt(
        recipe_with(tmp_path / "a.keras", preprocessing=own)
    )
    assert (adopted.preprocessing.size, adopted.preprocessing.scale) == ((6, 6), 0.5)
    assert adopted.preprocessing.mean == (0.0,)


@pytest.mark.slow
def test_what_cannot_be_loaded_is_said(tmp_path, run):
    network = network_of(TINY)
    with pytest.raises(UsageError, match="There are no weights"):
        pretrained.find(recipe_with(tmp_path / "missing.keras"))
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(UsageError, match="is no file of weights"):
        pretrained.find(recipe_with(tmp_path / "a.txt"))
    for name in ("a.keras", "a.h5"):
        (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n damaged")
        with pytest.raises(UsageError, match="is damaged"):
            pretrained.find(recipe_with(tmp_path / name)).adopt(recipe_with(tmp_path / name))
        with pytest.raises(UsageError, match="is damaged"):
            loaded(recipe_with(tmp_path / name), network)
    for other in (Config(ConvNet, filters=(4, 6, 8)), Config(ConvNet, filters=(4, 7))):
        network_of(other).save_weights(tmp_path / "other.weights.h5")
        before = network.get_weights()
        with pytest.raises(UsageError, match="another network than this ConvNet"):
            loaded(recipe_with(tmp_path / "other.weights.h5"), network)
        for left, right in zip(before, network.get_weights(), strict=True):
            np.testing.assert_array_equal(left, right)
    copy = shutil.copytree(run.path, tmp_path / "unfinished")
    (copy / "status.json").write_text(json.dumps({"stage": "training"}))
    with pytest.raises(UsageError, match=r"is not finished.*--resume"):
        pretrained.find(recipe_with(copy))
    shutil.copy(run.path / "status.json", copy / "status.json")
    (copy / "model.keras").unlink()
    with pytest.raises(UsageError, match=r"holds no model\.keras"):
        pretrained.find(recipe_with(copy))


@pytest.mark.slow
def test_arguments_that_shapes_do_not_tell_are_said(tmp_path, caplog):
    network_of(TINY).save(tmp_path / "a.keras")
    loaded(recipe_with(tmp_path / "a.keras"), network_of(TINY.replace(activation="elu")))
    assert "activation='relu'; here it is 'elu'" in caplog.text


# ------------------------------------------------------------------------------------- keras.applications


def application(name, path, shape=(64, 64, 3), include_top=False):
    """Make a network of keras.applications with random weights, and its file in the published layout."""
    keras.utils.set_random_seed(1)
    kind = getattr(keras.applications, name)
    top = {"classes": 1000, "classifier_activation": None} if include_top else {"pooling": "avg"}
    network = kind(weights=None, include_top=include_top, input_shape=shape, **top)
    randomize(network)
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    return network


@pytest.fixture(scope="module")
def resnet50(tmp_path_factory):
    """A file of a ResNet-50 in the published layout."""
    path = tmp_path_factory.mktemp("published") / "r.h5"
    application("ResNet50", path)
    return path


@pytest.mark.slow
def test_files_of_the_test_have_the_published_layout(resnet50):
    with h5py.File(resnet50) as file:
        assert {"layer_names", "backend", "keras_version"} <= set(file.attrs)
        names = published._texts(file["conv2_block1_0_bn"].attrs, "weight_names")
        parts = ["gamma", "beta", "moving_mean", "moving_variance"]
        assert [name.rpartition("/")[2] for name in names] == parts
        assert published.is_published(file)


OURS = {
    "VGG16": Config(VGG, depth=16, head_units=()),
    "VGG19": Config(VGG, depth=19, head_units=()),
    "ResNet50": Config(ResNet, depth=50, version="v1"),
}


def pixels(shape, count=2):
    return np.random.default_rng(5).integers(0, 256, (count, *shape)).astype(np.uint8)


def assert_equal_outputs(ours, theirs, unit=1.0):
    """Compare to 1e-4, in multiples of a unit for answers that are not of order 1."""
    ours, theirs = np.asarray(ours) / unit, np.asarray(theirs) / unit
    assert 0.1 < np.abs(theirs).max() < 100 and theirs.std() > 0.01
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_outputs_equal_keras_applications(tmp_path, name):
    """Features of a network with random weights, with and without the preprocessing that belongs to them."""
    shape = (32, 32, 3) if name.startswith("VGG") else (64, 64, 3)  # the five poolings of VGG leave 1x1
    theirs = application(name, tmp_path / "file.h5", shape)
    recipe = recipe_with(tmp_path / "file.h5", model=OURS[name])
    source = pretrained.find(recipe)
    preprocessing = source.adopt(recipe).preprocessing
    module = getattr(keras.applications, name.lower())
    images = pixels(shape)
    expected = module.preprocess_input(images.astype(np.float32))
    np.testing.assert_allclose(preprocessing.build()(images), expected, atol=1e-4)
    network = recipe.model.build(num_classes=3, preprocessing=preprocessing.build())
    network(keras.KerasTensor((None, *shape), dtype="uint8"))
    assert source.load(network, NAMES) == [network.head]
    answer = theirs(expected, training=False)  # random weights pass on that pixels go to 150
    assert_equal_outputs(network.features(images), answer, unit=np.abs(answer).max())
    bare = recipe.model.build(num_classes=3)
    bare(keras.KerasTensor((None, *shape)))
    source.load(bare, NAMES)
    raw = np.random.default_rng(6).normal(size=(2, *shape)).astype(np.float32)
    assert_equal_outputs(bare.features(raw), theirs(raw, training=False))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.large) if name in ("VGG16", "VGG19") else name for name in OURS],
)
def test_full_size_outputs_equal_keras_applications(tmp_path, name):
    """224x224, with the head of 1000 classes: as published."""
    theirs = application(name, tmp_path / "file.h5", (224, 224, 3), include_top=True)
    raw = np.random.default_rng(6).normal(size=(1, 224, 224, 3)).astype(np.float32)
    expected = np.asarray(theirs(raw, training=False))
    del theirs
    model = OURS[name].replace(head_units=(4096, 4096)) if name != "ResNet50" else OURS[name]
    network = model.build(num_classes=1000)
    network(keras.KerasTensor((None, 224, 224, 3)))
    assert loaded(recipe_with(tmp_path / "file.h5", model=model), network) == []
    assert_equal_outputs(network(raw), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Config(ResNet, depth=50, width=4), "version is v1.5. Give --version v1"),
        (Config(VGG, depth=16, width=4, head_units=()), "this network is a VGG"),
    ],
    ids=str,
)
def test_published_files_of_another_network_are_refused(tmp_path, other, words):
    with h5py.File(tmp_path / "r.h5", "w") as file:  # its names tell what it is
        file.attrs["layer_names"] = published.NETWORKS["resnet50"].layers
        for name in file.attrs["layer_names"]:
            file.create_group(name)["weight"] = np.zeros(1)
            file[name].attrs["weight_names"] = ["weight"]
    assert_refused(tmp_path / "r.h5", other, words)


@pytest.mark.slow
def test_published_files_of_another_width_are_refused(resnet50):
    assert_refused(resnet50, Config(ResNet, depth=50, version="v1", width=4), "has weights of the shape")


def assert_refused(file, model, words):
    network = model.build(num_classes=3)
    network(keras.KerasTensor((None, 64, 64, 3)))
    with pytest.raises(UsageError, match=words):
        loaded(recipe_with(file, model=model), network)


def test_imagenet_without_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network in tests")

    monkeypatch.setattr(keras.utils, "get_file", refuse)
    with pytest.raises(RunFailedError, match=r"cannot be downloaded.*resnet50_weights_tf.*give its path"):
        pretrained.find(recipe_with("imagenet", model=OURS["ResNet50"]))
    with pytest.raises(UsageError, match="no published weights"):
        pretrained.find(recipe_with("imagenet"))


def test_imagenet_takes_the_file_that_keras_fetched(monkeypatch, tmp_path):
    asked = []

    def get_file(name, *_, **__):
        asked.append(name)
        return tmp_path / "f.h5"

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    for model in (OURS["VGG16"], OURS["VGG16"].replace(head_units=(4096, 4096)), OURS["ResNet50"]):
        assert pretrained.find(recipe_with("imagenet", model=model)).path == tmp_path / "f.h5"
    assert asked == [
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "vgg16_weights_tf_dim_ordering_tf_kernels.h5",
        "resnet50_weights_tf_dim_ordering_tf_kernels.h5",
    ]


# ---------------------------------------------------------------------------------------------- freezing


def test_layers_come_in_their_order_and_the_head_is_the_last():
    network = network_of(TINY)
    kinds = [type(layer).__name__ for layer in backbone.layers(network)]
    assert kinds == ["Conv2D", "BatchNormalization"] * 2 + ["Dense"]
    assert backbone.head(network) == [network.head]


@pytest.mark.slow
@pytest.mark.parametrize(("freeze", "left"), [("none", 8), ("backbone", 2), (1, 7), (3, 4)])
def test_what_is_frozen(freeze, left):
    network = network_of(TINY)
    backbone.set_trainable(network, freeze, False)
    assert len(network.trainable_variables) == left
    backbone.set_trainable(network, freeze, True)
    assert len(network.trainable_variables) == 8


def test_too_much_frozen_is_refused():
    with pytest.raises(UsageError, match="from 1 to 4"):
        backbone.set_trainable(network_of(TINY), 5, False)


@pytest.mark.slow
def test_frozen_layers_without_weights_of_their_own_are_refused(tmp_path):
    application("VGG16", tmp_path / "v.h5", (32, 32, 3))
    model = Config(VGG, depth=16, head_units=(8,))
    recipe = recipe_with(tmp_path / "v.h5", model=model, freeze="backbone")
    splits = Digits(classes=("0", "1")).load()
    recipe = dataclasses.replace(recipe, preprocessing=Config(ImagePreprocessing, size=(32, 32), channels=3))
    with pytest.raises(UsageError, match=r"dense_1 is frozen.*--freeze 13 "):
        build.make_pair(plan_run(recipe, splits, Devices()))
