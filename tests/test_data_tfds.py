"""Sets of tensorflow-datasets: prepared here, read with and without memory, and never fetched unasked."""

import dataclasses
import socket
import threading

import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data import Tfds
from kerasdl.data.batches import evaluation_batches
from kerasdl.data.tfds import builder
from kerasdl.errors import RunFailedError, UsageError


@pytest.fixture(autouse=True)
def attempts(monkeypatch):
    """Refuse every connection, and list what was tried."""
    tried = []

    def refuse(*arguments, **_):
        tried.append(arguments)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tried


def pictures(count, shape, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Return a function that prepares the set `tiny_set` of given splits and features in a fresh folder."""
    import tensorflow_datasets as tfds

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))

    def build(splits, *, shape=(4, 5, 3), unlabelled=(), supervised=("image", "label"), dtype=np.uint8):
        with tfds.core.registered.skip_registration():

            class TinySet(tfds.core.GeneratorBasedBuilder):
                """A few pictures."""

                VERSION = tfds.core.Version("1.0.0")
                pkg_dir_path = tmp_path

                def _info(self):
                    features = {
                        "image": tfds.features.Image(shape=shape, dtype=dtype),
                        "label": tfds.features.ClassLabel(names=["cat", "dog"]),
                        "id": tfds.features.Scalar(np.int64),
                    }
                    return self.dataset_info_from_configs(
                        features=tfds.features.FeaturesDict(features), supervised_keys=supervised
                    )

                def _split_generators(self, _):
                    return {name: self._generate_examples(name) for name in splits}

                def _generate_examples(self, name):
                    size = [5 if length is None else length for length in shape]
                    images = pictures(splits[name], size, len(name)).astype(dtype)
                    for index, image in enumerate(images):
                        label = -1 if name in unlabelled else index % 2
                        yield index, {"image": image, "label": label, "id": index}

        TinySet(data_dir=tmp_path).download_and_prepare(
            download_config=tfds.download.DownloadConfig(num_shards=2, try_download_gcs=False)
        )

    return build


def examples(split):
    batches = list(evaluation_batches(split, batch_size=4).as_numpy_iterator())
    return np.concatenate([batch[0] for batch in batches]), np.concatenate([batch[1] for batch in batches])


def test_a_prepared_set(prepare, attempts):
    prepare({"train": 20, "test": 6})
    splits = Tfds(name="tiny_set").load()
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (18, 2, 6)
    assert splits.spec.class_names == ("cat", "dog") and splits.spec.inputs.shape == (4, 5, 3)
    found = {image.tobytes() for image in np.concatenate([splits.train.features, splits.validation.features])}
    assert found == {image.tobytes() for image in pictures(20, (4, 5, 3), len("train"))}
    assert splits.train.targets.dtype == np.int32 and splits.notes == ()
    assert attempts == []


@pytest.mark.slow
def test_what_is_streamed_equals_what_is_in_memory(prepare):
    prepare({"train": 20, "test": 6})
    memory, stream = Tfds(name="tiny_set").load(), Tfds(name="tiny_set", max_memory_mb=0).load()
    for name in ("train", "validation", "test"):
        held, read = getattr(memory, name), getattr(stream, name)
        assert type(held).__name__ == "ArraySplit" and type(read).__name__ == "StreamSplit"
        for one, other in zip(examples(held), examples(read), strict=True):
            assert (one == other).all()
        assert (examples(read)[1] == read.targets).all()
    assert memory.fingerprint == stream.fingerprint


@pytest.mark.slow
def test_the_sets_own_validation_split_is_used(prepare):
    prepare({"train": 20, "validation": 8, "test": 6})
    splits = Tfds(name="tiny_set").load()
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (20, 8, 6)


@pytest.mark.slow
@pytest.mark.parametrize("max_memory_mb", [0, 2048])
def test_validation_is_the_test_where_the_test_has_no_labels(prepare, max_memory_mb):
    prepare({"train": 20, "validation": 8, "test": 6}, unlabelled=("test",))
    splits = Tfds(name="tiny_set", max_memory_mb=max_memory_mb).load()
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (18, 2, 8)
    found = {image.tobytes() for image in examples(splits.test)[0]}
    assert found == {image.tobytes() for image in pictures(8, (4, 5, 3), len("validation"))}
    assert "its validation split is the test split" in splits.notes[0]


def test_a_set_with_a_train_split_only(prepare):
    prepare({"train": 20})
    splits = Tfds(name="tiny_set").load()
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (14, 2, 4)


@pytest.mark.slow
def test_images_of_any_size_need_a_size(prepare):
    prepare({"train": 20, "test": 6}, shape=(None, None, 1))
    with pytest.raises(UsageError, match=r"differ in size.* --image-size"):
        Tfds(name="tiny_set").load()
    assert Tfds(name="tiny_set", image_size=(3, 2)).load().test.features.shape == (6, 3, 2, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": (4, 5, 4)}, "4 channels of uint8"),
        ({"shape": (4, 5, 1), "dtype": np.uint16}, "1 channels of uint16"),
        ({"supervised": None}, "no pair of input and label"),
        ({"supervised": ("image", "id")}, "examples are Image and Scalar"),
        ({"unlabelled": ("train",)}, "no labelled train split; it has train, test"),
    ],
)
def test_sets_of_another_kind_are_refused(prepare, changes, words):
    prepare({"train": 20, "test": 6}, **changes)
    with pytest.raises(UsageError, match=words):
        Tfds(name="tiny_set").load()


def test_a_set_that_is_not_prepared_is_reported_at_once(tmp_path, monkeypatch, attempts):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(UsageError, match=r"(?s)'mnist' is not prepared.*--download.*TFDS_DATA_DIR"):
        Tfds().load()
    assert attempts == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mnits", "Did you mean 'mnist'"),
        ("emnist/lettrs", "no configuration 'lettrs'.* Did you mean 'letters'"),
        ("mnist:9.9.9", r"9\.9\.9"),
        ("tiny_shakespeare", "no labelled images or texts"),
        ("kaggle:mnist", "no data set 'kaggle:mnist'"),
    ],
)
@pytest.mark.parametrize("download", [False, True])
def test_names_that_cannot_be_used(tmp_path, monkeypatch, attempts, name, words, download):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(UsageError, match=words):
        Tfds(name=name, download=download).load()
    assert attempts == []


def test_a_download_without_network_fails_soon(tmp_path, monkeypatch, attempts):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(RunFailedError, match=r"does not answer.* network"):
        Tfds(download=True).load()
    assert attempts


def test_a_name_server_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(builder, "_PROBE_SECONDS", 0.2)
    given_up, answered = threading.Event(), []

    def hang(*_, **__):
        answered.append(given_up.wait(30))
        raise OSError("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(RunFailedError, match="no answer in time"):
        Tfds(download=True).load()
    assert answered == []
    given_up.set()


def test_a_set_to_be_fetched_by_hand_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(UsageError, match="by hand"):
        Tfds(name="imagenet2012", download=True).load()


@pytest.mark.slow
def test_reading_does_not_depend_on_the_global_seed(prepare):
    prepare({"train": 20, "test": 6})
    tf.random.set_seed(1)
    first = Tfds(name="tiny_set").load()
    tf.random.set_seed(2)
    assert first.fingerprint == Tfds(name="tiny_set").load().fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("max_memory_mb", [0, 2048])
def test_chosen_classes_have_labels_in_the_order_of_the_choice(prepare, max_memory_mb):
    prepare({"train": 40, "test": 6})
    whole = Tfds(name="tiny_set").load()
    splits = Tfds(
        name="tiny_set", classes=("dog", "0"), images_per_class=5, max_memory_mb=max_memory_mb
    ).load()
    assert splits.spec.class_names == ("dog", "cat")
    assert np.bincount(splits.train.targets).tolist() == [5, 5]
    assert (len(splits.validation), len(splits.test)) == (4, 6)
    names = {}
    for name in ("train", "validation", "test"):
        images, labels = examples(getattr(whole, name))
        names |= {
            image.tobytes(): whole.spec.class_names[label]
            for image, label in zip(images, labels, strict=True)
        }
    for name in ("train", "validation", "test"):
        images, labels = examples(getattr(splits, name))
        assert (labels == getattr(splits, name).targets).all()
        for image, label in zip(images, labels, strict=True):
            assert splits.spec.class_names[label] == names[image.tobytes()]
    assert splits.fingerprint != whole.fingerprint


def test_a_choice_of_some_classes_leaves_the_others_out(prepare):
    from kerasdl.data import Digits

    splits = Digits(classes=("7", "3", "5"), images_per_class=20).load()
    assert splits.spec.class_names == ("7", "3", "5")
    assert np.bincount(splits.train.targets).tolist() == [20, 20, 20]
    others = [Digits(classes=("7", "3", "5"), images_per_class=20, split_seed=seed) for seed in (0, 1)]
    assert splits.fingerprint == others[0].load().fingerprint != others[1].load().fingerprint
    few = Digits(classes=("7", "3"), images_per_class=10**6).load()
    assert few.fingerprint == Digits(classes=("7", "3")).load().fingerprint


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"classes": ("cat",)}, "needs two or more"),
        ({"classes": ("cat", "dgo")}, "Did you mean 'dog'"),
        ({"classes": ("cat", "0")}, "names a class twice"),
        ({"classes": ("cat", "2")}, "numbers from 0 to 1"),
        ({"images_per_class": 0}, "at least 1"),
    ],
)
def test_choices_that_cannot_be_made(prepare, fields, words):
    prepare({"train": 20, "test": 6})
    with pytest.raises(UsageError, match=words):
        Tfds(name="tiny_set", **fields).load()


def test_no_choice_can_be_typed():
    from kerasdl.recipe import values

    annotation = {field.name: field.type for field in dataclasses.fields(Tfds)}["classes"]
    assert values.parse(annotation, "none") is None
    assert values.parse(annotation, "3,dog") == ("3", "dog")


def test_names_are_read_from_the_files_of_the_package():
    assert set(builder.known_names()) <= builder.written_names()
    assert "mnist" in builder.written_names() and not builder.is_known("mnst")
