"""SavedModels that others made: each answers here as TensorFlow does with its folder."""

import shutil
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerasdl
from kerasdl.cli import main
from kerasdl.inference.saved_model_layer import SavedModelLayer
from kerasdl.jobs.import_model import Wanted, import_model
from kerasdl.recipe import trust
from kerasdl.training.foreign import saved_models

_IMAGES = tf.TensorSpec([None, 8, 8, 1], tf.uint8, name="image")


class Module(tf.Module):
    """Signatures of every kind: of pixels, of several inputs and outputs, of one example."""

    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(tf.random.stateless_normal((64, 3), (1, 2)))

    @tf.function(input_signature=[_IMAGES])
    def pixels(self, image):
        return {"logits": tf.reshape(tf.cast(image, tf.float32) / 255, (-1, 64)) @ self.weights}

    @tf.function(input_signature=[_IMAGES])
    def several(self, image):
        logits = self.pixels(image)["logits"]
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

    @tf.function(
        input_signature=[tf.TensorSpec([None, 4], name="a"), tf.TensorSpec([None, 3], tf.int64, name="b")]
    )
    def two(self, a, b):
        return {"y": tf.concat([a, tf.cast(b, tf.float32)], 1) @ self.weights[:7, :2]}

    @tf.function(input_signature=[tf.TensorSpec([1, 8, 8, 1], name="x")])
    def one_example(self, x):
        return {"y": tf.reshape(x, (1, 64)) @ self.weights}


class Words(tf.Module):
    """Classes of texts, by a table that a file of its own fills."""

    def __init__(self, file):
        super().__init__()
        index = tf.lookup.TextFileIndex
        lines = tf.lookup.TextFileInitializer(
            str(file), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
        )
        self.table = tf.lookup.StaticHashTable(lines, -1)
        self.weights = tf.Variable(tf.random.stateless_normal((4, 2), (1, 2)))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def __call__(self, text):
        places = self.table.lookup(tf.strings.split(text).to_tensor("")[:, :3]) + 1
        return {"y": tf.reduce_sum(tf.gather(self.weights, places), 1)}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with a SavedModel of `Module`, one without signatures, and data."""
    folder = tmp_path_factory.mktemp("saved_models")
    random, labels = np.random.default_rng(0), np.arange(40, dtype=np.int32)
    images = random.integers(0, 256, (40, 8, 8, 1), np.uint8)
    a, b = random.normal(0, 1, (40, 4)).astype(np.float32), random.integers(0, 9, (40, 3))
    train, test = slice(24), slice(24, None)
    np.savez(folder / "grey.npz", x_train=images[train], x_test=images[test],
             y_train=labels[train] % 3, y_test=labels[test] % 3)  # fmt: skip
    np.savez(folder / "both.npz", x_train_a=a[train], x_train_b=b[train], x_test_a=a[test], x_test_b=b[test],
             y_train=labels[train] % 2, y_test=labels[test] % 2)  # fmt: skip
    (folder / "texts.csv").write_text("text,label\n" + "a good film,pos\na bad film,neg\n" * 20)
    module = Module()
    signatures = {
        "serving_default": module.pixels, "several": module.several, "two": module.two,
        "one_example": module.one_example,
    }  # fmt: skip
    tf.saved_model.save(module, str(folder / "module"), signatures=signatures)
    tf.saved_model.save(module, str(folder / "bare"))
    return folder


def bring(here, name, data, tmp_path, *, trust=False, **options):
    """Import a SavedModel, and return the run."""
    wanted = Wanted(file=here / name, data=str(here / data), **options)
    return import_model(wanted, runs_dir=tmp_path / "runs", trust=trust)


def answers_of(made):
    """Return probabilities of the run for its test examples, opened anew, and these examples."""
    features = made.dataset.test.features
    return kerasdl.load(made.run.path).predict(features)["probabilities"], features


def answers_of_tensorflow(folder, signature, **inputs):
    """Return what TensorFlow alone answers."""
    function = tf.saved_model.load(str(folder)).signatures[signature]
    return function(**{name: tf.constant(value) for name, value in inputs.items()})


@pytest.mark.slow
def test_a_signature_answers_as_tensorflow_does(here, tmp_path, caplog):
    with caplog.at_level("INFO"):
        made = bring(here, "module", "grey.npz", tmp_path)
    found, features = answers_of(made)
    wanted = answers_of_tensorflow(here / "module", "serving_default", image=features)["logits"]
    np.testing.assert_allclose(found, tf.nn.softmax(wanted), atol=1e-6)
    assert np.std(found, axis=0).max() > 0.05  # they differ, so that agreeing means something
    assert made.run.read_json("receipt.json")["parameters"] == 64 * 3
    assert "cannot be trained on" in caplog.text
    with pytest.raises(kerasdl.UsageError, match=r"cannot be trained. Import the \.keras file"):
        kerasdl.train(made.run.recipe(), runs_dir=tmp_path / "more")
    made.run.model_file.rename(tmp_path / "model.keras")
    with (
        zipfile.ZipFile(tmp_path / "model.keras") as source,
        zipfile.ZipFile(made.run.model_file, "w") as copy,
    ):
        for entry in (name for name in source.namelist() if not name.startswith("assets")):
            copy.writestr(entry, source.read(entry))
    with pytest.raises(kerasdl.RunFailedError, match="files of the SavedModel are missing"):
        kerasdl.load(made.run.path).predict(features)


@pytest.mark.slow
def test_inputs_and_outputs_go_by_name(here, tmp_path):
    made = bring(here, "module", "both.npz", tmp_path, signature="two")
    found, features = answers_of(made)
    wanted = answers_of_tensorflow(here / "module", "two", **features)["y"]
    np.testing.assert_allclose(found, tf.nn.softmax(wanted), atol=1e-6)
    opened = saved_models.open_model(here / "module", "several", "probabilities")
    images = np.zeros((2, 8, 8, 1), np.uint8)
    np.testing.assert_allclose(opened.model(images).numpy().sum(1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("bare", {}, "has no signatures"),
        ("module", {"signature": "tow"}, "no signature 'tow'.*Did you mean 'two'"),
        ("module", {"signature": "several"}, r"several outputs.*one of logits \(None, 3\), prob"),
        ("module", {"signature": "several", "output": "scores"}, "no output 'scores'"),
        ("module", {"signature": "one_example"}, r"has shape \(1, 8, 8, 1\).*open first axis"),
        ("module", {"scaling": "tf"}, "takes whole numbers"),
        ("module", {"custom": "code.py"}, "--custom is for classes of Keras"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_said(here, tmp_path, name, options, words):
    with pytest.raises(kerasdl.UsageError, match=words):
        bring(here, name, "grey.npz", tmp_path, **options)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_what_reaches_beyond_itself_is_run_for_who_trusts_it_alone(here, tmp_path, monkeypatch):
    (tmp_path / "words.txt").write_text("good\nbad\nfilm\n")
    module = Words(tmp_path / "words.txt")
    tf.saved_model.save(module, str(tmp_path / "words"), signatures=module.__call__)
    (tmp_path / "words.txt").unlink()  # a copy lies in the folder
    shutil.copyfile(here / "texts.csv", tmp_path / "texts.csv")
    with pytest.raises(kerasdl.UsageError, match=r"InitializeTableFromTextFileV2.*--trust"):
        bring(tmp_path, "words", "texts.csv", tmp_path)
    made = bring(tmp_path, "words", "texts.csv", tmp_path, trust=True)
    shutil.move(tmp_path / "words", tmp_path / "moved")
    found, features = answers_of(made)
    wanted = answers_of_tensorflow(tmp_path / "moved", "serving_default", text=features)["y"]
    np.testing.assert_allclose(found, tf.nn.softmax(wanted), atol=1e-6)
    monkeypatch.setattr(trust, "_known", set())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "of somebody else"))
    with pytest.raises(kerasdl.UsageError, match="InitializeTableFromTextFileV2"):
        answers_of(made)
    layer = SavedModelLayer(signature="serving_default", output_name="y", shape=(2,))
    with pytest.raises(kerasdl.UsageError, match="InitializeTableFromTextFileV2"):
        layer.load_assets(tmp_path / "moved")  # as it lies in a file of somebody else
        layer.check_loaded()


def test_a_bundle_of_kerasdl_is_told_apart(here, tmp_path, capsys):
    shutil.copytree(here / "module", tmp_path / "bundle")
    (tmp_path / "bundle/card.json").write_text("{}")
    data = ["--data", str(here / "grey.npz")]
    assert main(["import", str(tmp_path / "bundle"), *data]) == 2
    assert "is a bundle that kerasdl made" in capsys.readouterr().err
    (tmp_path / "model.keras").touch()
    assert main(["import", str(tmp_path / "model.keras"), *data, "--signature", "two"]) == 2
    assert "--signature is for SavedModels" in capsys.readouterr().err


@pytest.mark.slow
def test_what_keras_and_tensorflow_1_export_becomes_a_bundle(here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = ["--data", str(here / "grey.npz"), "--preprocess", "none"]
    model = keras.Sequential([
        keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="relu"),
        layers.BatchNormalization(), layers.Flatten(), layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.export("of_keras", verbose=False)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.set_random_seed(0)  # a graph of its own has none, and a test before may require one
        x = tf.compat.v1.placeholder(tf.float32, (None, 8, 8, 1))
        y = tf.nn.softmax(tf.reshape(x, (-1, 64)) / 255 @ tf.compat.v1.get_variable("w", (64, 3)))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, "of_tensorflow_1", {"x": x}, {"y": y})
    assert main(["export", "of_keras", *data]) == 0
    assert main(["export", "of_tensorflow_1", *data, "--formats", "tflite,onnx"]) == 2  # unless trusted
    assert main(["export", "of_tensorflow_1", *data, "--formats", "tflite,onnx", "--trust"]) == 0
    for target in (
        "exported/of_keras/1",
        "exported/of_tensorflow_1-tflite-onnx/1/of_tensorflow_1.onnx",
        "runs/of_keras/1",
    ):
        assert main(["evaluate", target, *data[:2]]) == 0
    images = np.load(here / "grey.npz")["x_test"]
    found = kerasdl.load("exported/of_keras/1/of_keras.float32.tflite").predict(images)["probabilities"]
    np.testing.assert_allclose(found, model(images).numpy(), atol=1e-5)
