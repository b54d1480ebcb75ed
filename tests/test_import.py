"""Keras models that were not trained here: each answers here as plain Keras does with its file."""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import kerasdl
from kerasdl.cli import main
from kerasdl.export import operators
from kerasdl.jobs.import_model import Wanted, import_model
from kerasdl.network.imported import Imported
from kerasdl.network.network import main_output
from kerasdl.private import keras_config
from kerasdl.private.keras import all_parts_of
from kerasdl.recipe import trust
from kerasdl.runs.folder import Run
from kerasdl.training.foreign import files, inputs, judging, keras_2

FOREIGN = Path(__file__).parent / "foreign"  # models that others wrote, and their answers

CODE = """
import keras

class Scale(keras.layers.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class Net(keras.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.scale = Scale(1 / 255)
        self.flatten = keras.layers.Flatten()
        self.out = keras.layers.Dense(units, activation="softmax")

    def call(self, x, training=False):
        return self.out(self.flatten(self.scale(x)))

    def get_config(self):
        return {"units": self.units}
"""


def pixels(count, channels=1):
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, channels), np.uint8)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with data of every kind: three classes of grey and of colour images, two of other examples."""
    folder = tmp_path_factory.mktemp("models")
    random, labels = np.random.default_rng(0), np.arange(40, dtype=np.int32)

    def store(name, features, classes, **more):
        numbers = (labels % classes).astype(np.int32)
        named = features if isinstance(features, dict) else {"": features}
        arrays = {
            f"x_{split}{'_' * bool(key)}{key}": value[part]
            for key, value in named.items()
            for split, part in (("train", slice(24)), ("test", slice(24, None)))
        }
        np.savez(folder / name, y_train=numbers[:24], y_test=numbers[24:], **arrays)

    store("grey.npz", pixels(40), 3)
    store("two.npz", pixels(40), 2)
    store("colour.npz", pixels(40, 3), 3)
    store("series.npz", random.normal(0, 1, (40, 5, 2)).astype(np.float32), 2)
    both = {"a": random.normal(0, 1, (40, 4)), "b": random.integers(0, 9, (40, 3))}
    store("both.npz", both, 2)
    rows = [f"{a},{b},{200_000 + 50_000 * a}" for a, b in random.normal(0, 1, (40, 2))]
    (folder / "houses.csv").write_text("\n".join(["rooms,age,price", *rows]))
    (folder / "texts.csv").write_text("text,label\n" + "a good film,pos\na bad film,neg\n" * 20)
    (folder / "my_code.py").write_text(CODE)
    return folder


def sequential(shape, *parts):
    """Return a model with weights that make its answers differ."""
    model = keras.Sequential([keras.Input(shape), *parts])
    for weight in model.trainable_weights:
        weight.assign(np.random.default_rng(1).normal(0, 0.3, weight.shape))
    return model


def two_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    shared = layers.Dense(4, "relu")
    joined = layers.Concatenate()([shared(a), shared(layers.Dense(4)(b))])
    return keras.Model([a, b], layers.Dense(2, activation="softmax")(joined))


def bring(here, model, data, tmp_path, **options):
    """Save a model, import it, and return the run."""
    file = tmp_path / "model.keras"
    model.save(file)
    return import_model(Wanted(file=file, data=str(here / data), **options), runs_dir=tmp_path / "runs")


def answers_of(made):
    """Return what the run answers to its test examples, opened anew, and these examples."""
    features = made.dataset.test.features
    return kerasdl.load(made.run.path).predict(features), features


def applied(mode):
    """Return the function of `keras.applications` that a word of `--preprocess` stands for."""
    module = {"tf": "mobilenet_v2", "caffe": "resnet50", "torch": "densenet"}[mode]
    return getattr(keras.applications, module).preprocess_input


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["tf", "caffe", "torch"])
def test_the_proof_begins_at_the_file_and_the_function_of_keras_applications(here, tmp_path, mode):
    model = sequential(
        (8, 8, 3), layers.Conv2D(3, 3, activation="relu"), layers.BatchNormalization(), layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    )  # fmt: skip
    made = bring(here, model, "colour.npz", tmp_path, scaling=mode)
    found, features = answers_of(made)
    original = keras.saving.load_model(tmp_path / "model.keras")
    wanted = original(applied(mode)(features.astype(np.float32)), training=False).numpy()
    np.testing.assert_allclose(found["probabilities"], wanted, atol=2e-5)
    assert wanted.std(0).max() > 0.05  # they differ, so that agreeing means something
    assert isinstance(made.network.head, layers.Dense)


def grey(*parts):
    return sequential((8, 8, 1), layers.Rescaling(1 / 255), layers.Flatten(), *parts)


MODELS = {
    "logits": (lambda: grey(layers.Dense(3)), "grey.npz", "logits"),
    "a layer of softmax": (lambda: grey(layers.Dense(3), layers.Softmax()), "grey.npz", "logits"),
    "an activation": (lambda: grey(layers.Dense(3), layers.Activation("softmax")), "grey.npz", "logits"),
    "a sigmoid": (lambda: grey(layers.Dense(1, activation="sigmoid")), "two.npz", "logit"),
    "one logit": (lambda: grey(layers.Dense(1)), "two.npz", "logit"),
    "no channels": (
        lambda: sequential((8, 8), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3)), "grey.npz",
        "logits",
    ),
    "channels first": (
        lambda: sequential((3, 8, 8), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3)),
        "colour.npz", "logits",
    ),
    "flat": (lambda: sequential((64,), layers.Rescaling(1 / 255), layers.Dense(3)), "grey.npz", "logits"),
    "two inputs": (two_inputs, "both.npz", "logits"),
    "a recurrent one": (
        lambda: sequential((5, 2), layers.GRU(3), layers.Dense(2, activation="softmax")), "series.npz",
        "logits",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_what_a_model_answers_with_and_takes_is_recognised(here, tmp_path, name):
    make, data, outputs = MODELS[name]
    model = make()
    made = bring(here, model, data, tmp_path)
    assert made.network.outputs_are == outputs
    found, features = answers_of(made)
    if name == "two inputs":
        given = [features["a"], features["b"]]
    elif name == "channels first":
        given = features.transpose(0, 3, 1, 2)
    else:
        given = features.reshape(-1, *model.input_shape[1:])
    answers = model(given, training=False).numpy().astype(np.float64)
    if answers.shape[1] == 1:
        answers = answers if name == "a sigmoid" else 1 / (1 + np.exp(-answers))
        answers = np.concatenate([1 - answers, answers], axis=1)
    elif outputs == "logits" and np.abs(answers.sum(1) - 1).max() > 1e-4:
        answers = np.exp(answers) / np.exp(answers).sum(1, keepdims=True)
    np.testing.assert_allclose(found["probabilities"], answers, atol=2e-5)


def test_numbers_of_a_table_are_in_their_own_units(here, tmp_path):
    scale = layers.Normalization(mean=[0.0, 1.0], variance=[1.0, 2.0])
    model = sequential((2,), scale, layers.Dense(1), layers.Rescaling(50_000, 200_000))
    made = bring(here, model, "houses.csv", tmp_path, task="regression")
    found, features = answers_of(made)
    np.testing.assert_allclose(found["values"], model(features).numpy(), rtol=1e-5)
    assert made.dataset.spec.inputs.columns == ("rooms", "age")


@pytest.mark.slow
def test_texts_go_through_the_layer_of_the_model(here, tmp_path):
    words = layers.TextVectorization(output_sequence_length=4, vocabulary=["good", "bad", "film"])
    model = keras.Sequential([
        keras.Input((), dtype="string"), words, layers.Embedding(8, 3), layers.GlobalAveragePooling1D(),
        layers.Dense(2, activation="softmax"),
    ])  # fmt: skip
    found, features = answers_of(bring(here, model, "texts.csv", tmp_path))
    np.testing.assert_allclose(found["probabilities"], model(np.array(features, str)).numpy(), atol=1e-5)


@pytest.mark.slow
def test_lower_precision_becomes_float32(here, tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    model = grey(layers.Dense(3), layers.Activation("softmax", dtype="float32"))
    keras.config.set_dtype_policy("float32")
    made = bring(here, model, "grey.npz", tmp_path)
    assert {layer.compute_dtype for layer in all_parts_of(made.network)} == {"float32"}
    found, features = answers_of(made)
    np.testing.assert_allclose(found["probabilities"], model(features).numpy(), atol=0.01)


def test_classes_of_its_own_come_from_a_file_that_is_named_and_kept(here, tmp_path):
    spec = {}
    exec(CODE, spec)
    model = spec["Net"](3)
    model(pixels(1).astype(np.float32))
    model.save(tmp_path / "model.keras")
    wanted = Wanted(file=tmp_path / "model.keras", data=str(here / "grey.npz"), scaling="none")
    with pytest.raises(kerasdl.UsageError, match=r"uses Net.*--custom my_code\.py"):
        import_model(wanted, runs_dir=tmp_path / "runs")
    made = bring(here, model, "grey.npz", tmp_path, scaling="none", custom=here / "my_code.py")
    assert (made.run.path / "recipe.py").read_text() == CODE
    assert made.network.left_out is not None  # the softmax lies within a class that makes it anew
    found, features = answers_of(made)
    wanted = model(features.astype(np.float32)).numpy()
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-5)


@pytest.mark.slow
def test_a_lambda_layer_is_run_for_who_trusts_it_alone(here, tmp_path, monkeypatch):
    model = sequential((8, 8, 1), layers.Lambda(lambda x: x / 255), layers.Flatten(), layers.Dense(3))
    model.save(tmp_path / "model.keras")
    wanted = Wanted(file=tmp_path / "model.keras", data=str(here / "grey.npz"), scaling="none")
    with pytest.raises(kerasdl.UsageError, match=r"Lambda layer \('lambda.*--trust"):
        import_model(wanted, runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    made = import_model(wanted, runs_dir=tmp_path / "runs", trust=True)
    assert answers_of(made)[0]["probabilities"].shape == (16, 3)  # its own file is trusted with it
    monkeypatch.setattr(trust, "_known", set())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "of somebody else"))
    with pytest.raises(kerasdl.UsageError, match="Lambda layer"):
        answers_of(made)
    with pytest.raises(kerasdl.UsageError, match="does not let Keras build"):
        keras_config_of(here, tmp_path, "TFSMLayer")


def keras_config_of(here, tmp_path, kind):
    """Import a model whose file names another class."""
    file = tmp_path / "evil.keras"
    grey(layers.Dense(3)).save(tmp_path / "good.keras")
    with zipfile.ZipFile(tmp_path / "good.keras") as source, zipfile.ZipFile(file, "w") as copy:
        for name in source.namelist():
            content = source.read(name)
            copy.writestr(name, content.replace(b'"Rescaling"', f'"{kind}"'.encode()))
    return import_model(Wanted(file=file, data=str(here / "grey.npz")), runs_dir=tmp_path / "runs")


@pytest.mark.slow
def test_a_file_of_keras_2_answers_as_keras_2_did(tmp_path):
    """The file and its answers were written by tf-keras 2.21."""
    made = import_model(
        Wanted(file=FOREIGN / "keras_2.h5", data=str(FOREIGN / "keras_2.npz")), runs_dir=tmp_path
    )
    found, _ = answers_of(made)
    wanted = np.load(FOREIGN / "keras_2.npz")["answers"]
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-5)
    assert wanted.std(0).min() > 0.1  # a depthwise kernel, statistics and a hard sigmoid of its own matter
    page = (made.run.path / "report.html").read_text()
    assert "Report of an imported model" in page
    assert "Imported from" in page
    assert "Nothing was trained here" in page
    assert "Epochs trained" not in page


def test_what_keras_3_has_otherwise_is_said(tmp_path):
    for kind, words in {
        "TFOpLambda": "functions of TensorFlow",
        "RandomCrop": "something else there",
    }.items():
        with pytest.raises(kerasdl.UsageError, match=f"{words}.*tf.saved_model.save"):
            keras_2.check(tmp_path, {"Dense", kind})
    with zipfile.ZipFile(tmp_path / "old.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
    with pytest.raises(kerasdl.UsageError, match=r"Save it there as \.h5"):
        files.open_model(tmp_path / "old.keras")


@pytest.mark.slow
def test_what_does_not_fit_is_said(here, tmp_path):
    runs = tmp_path / "runs"

    def said(model, data, **options):
        with pytest.raises(kerasdl.UsageError) as raised:
            bring(here, model, data, tmp_path, **options)
        assert not runs.exists()  # nothing half-written
        return str(raised.value)

    assert "has 4 outputs, but the data has 3 classes" in said(grey(layers.Dense(4)), "grey.npz")
    assert "sigmoid for each class" in said(grey(layers.Dense(3, activation="sigmoid")), "grey.npz")
    percent = grey(layers.Dense(3, activation="softmax"), layers.Rescaling(100.0))
    assert "add up to 100 for every example" in said(percent, "grey.npz")
    plain = sequential((8, 8, 3), layers.Flatten(), layers.Dense(3))
    assert "--preprocess tf (-1..1)" in said(plain, "colour.npz")
    wrong = sequential((4, 4, 3), layers.Rescaling(1), layers.Flatten(), layers.Dense(3))
    assert "takes float32 of shape (4, 4, 3), but the data has uint8" in said(wrong, "colour.npz")
    assert "x_train_a, x_train_b" in said(two_inputs(), "series.npz")
    coloured = sequential((8, 8, 1), layers.Flatten(), layers.Dense(3))
    assert "is for colour images" in said(coloured, "grey.npz", scaling="torch")


def test_answers_that_depend_on_the_batch_are_no_answers(here, tmp_path):
    model = grey(layers.Dense(4), layers.UnitNormalization(axis=0), layers.Dense(3))
    with pytest.raises(kerasdl.RunFailedError, match="other examples of the batch"):
        bring(here, model, "grey.npz", tmp_path)
    assert not (tmp_path / "runs").exists()


def test_layers_of_networks_of_keras_may_be_named(tmp_path):
    """ConvNeXt has a layer that no module of layers has; functions beside it stay refused."""
    part = {"module": "keras.src.applications.convnext", "class_name": "LayerScale", "config": {}}
    keras_config.check({"layers": [part]}, "file")
    for name in ("ConvNeXtTiny", "preprocess_input", "layers"):
        with pytest.raises(kerasdl.UsageError, match="does not let Keras build"):
            keras_config.check({"layers": [{**part, "class_name": name}]}, "file")


def test_files_that_are_no_models_are_said(here, tmp_path):
    model = grey(layers.Dense(3))
    model.save_weights(tmp_path / "only.weights.h5")
    model.save(tmp_path / "cut.keras")
    (tmp_path / "cut.keras").write_bytes((tmp_path / "cut.keras").read_bytes()[:500])
    for name, words in {
        "only.weights.h5": "weights alone", "cut.keras": "cut short", "none.keras": "There is no file"
    }.items():  # fmt: skip
        with pytest.raises(kerasdl.UsageError, match=words):
            files.open_model(tmp_path / name)
    assert "saved by Keras 99.1" in str(files._unreadable(tmp_path / "x", "99.1.0", ValueError("groups")))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "m.keras"], "needs examples"),
        (["export", "n.keras", "--data", "x"], "There is no file n.keras"),
        (["import", "m.keras", "--data", "x", "--preprocess", "pytorch"], "'pytorch'"),
        (["export", "runs/m/1", "--preprocess", "tf"], "not trained here"),
        (["import", "m.keras", "--data", "x", "--size", "224"], "--size 224,224"),
    ],
)
def test_a_wrong_command_is_one_sentence(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("m.keras").touch()
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


def test_classes_in_another_order_are_noticed():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 200)
    order = np.array([2, 0, 3, 1])
    said = judging.doubts(order[labels], labels, ("a", "b", "c", "d"), "")
    assert "100.0% would be if the outputs were b, d, a, c" in said[0]
    assert judging.doubts(labels, labels, ("a", "b", "c", "d"), "") == []
    assert "no better than chance" in judging.doubts(random.integers(0, 4, 200), labels, tuple("abcd"), "")[0]
    assert "Only 5 examples" in judging.doubts(labels[:5], labels[:5], tuple("abcd"), "")[0]


def test_numbers_in_other_units_and_of_other_data_are_said(here, tmp_path, caplog):
    random = np.random.default_rng(0)
    wanted = random.normal(5, 2, (100, 1))
    answers = {
        "rise and fall together": (wanted - 5) / 2, "is this the data": random.normal(5, 4, (100, 1)),
        "": wanted + random.normal(0, 1, (100, 1)),
    }  # fmt: skip
    for words, values in answers.items():
        said = " ".join(judging.doubts_of_numbers(values, wanted)).lower()
        assert words in said and bool(words) == bool(said)
    model = sequential((2,), layers.Dense(1))
    bring(here, model, "houses.csv", tmp_path, task="regression")
    assert "examples judge the model: its errors are not worth much" in caplog.text


@pytest.mark.slow
def test_labels_give_the_order_of_the_outputs(here, tmp_path):
    (tmp_path / "labels.txt").write_text("2\n0\n1\n")
    made = bring(here, grey(layers.Dense(3)), "grey.npz", tmp_path, labels=tmp_path / "labels.txt")
    assert made.dataset.spec.class_names == Run(made.run.path).labels() == ("2", "0", "1")
    assert made.dataset.test.targets[0] == 1  # example 24 is of class "0"


@pytest.mark.slow
def test_layers_of_operators_that_no_file_can_hold_are_named(here, tmp_path):
    given = keras.Input((8, 8, 1))
    x = layers.Resizing(6, 6, interpolation="bicubic", name="enlarge")(layers.Rescaling(1 / 255)(given))
    made = bring(here, keras.Model(given, layers.Dense(3)(layers.Flatten()(x))), "grey.npz", tmp_path)
    endpoints = made.recipe.task.endpoints(made.network, made.dataset.spec, {})
    said = operators.located("no ResizeBicubic there", endpoints[:1])
    assert "ResizeBicubic is in " in said
    assert "enlarge" in said


def test_scalings_are_those_of_keras(here):
    images = pixels(2, 3)
    for mode in ("tf", "caffe", "torch"):
        layer = kerasdl.ImagePreprocessing(**inputs.SCALINGS[mode])
        wanted = applied(mode)(images.astype(np.float32))
        np.testing.assert_allclose(layer(images).numpy(), wanted, atol=2e-4)
        np.testing.assert_array_equal(inputs.as_keras_does(mode, images), wanted)


def three_outputs(structure):
    """Return a model with a softmax, a number and whole numbers beside each other."""
    given = keras.Input((8, 8, 1))
    flat = layers.Flatten()(layers.Rescaling(1 / 255)(given))
    kind = layers.Dense(3, activation="softmax", name="kind")(flat)
    return keras.Model(given, structure(kind, layers.Dense(1, name="b.c")(flat), keras.ops.argmax(kind, -1)))


@keras.saving.register_keras_serializable("tests")
class Pair(keras.Model):
    """Two outputs in a list, of a class of the user's own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3)

    def call(self, x):
        x = self.dense(keras.ops.reshape(keras.ops.cast(x, "float32") / 255, (-1, 64)))
        return [x, keras.ops.sum(x, -1, keepdims=True)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("structure", "names"),
    [
        (lambda kind, number, ids: {"z": kind, "a": {"b": number}, "ids": ids}, ("a_b", "ids", "z")),
        (lambda kind, number, ids: [kind, number], ("kind", "b_c")),
        (lambda kind, number, ids: [kind, kind], ("output_0", "output_1")),
    ],
)
def test_all_outputs_of_a_model_become_those_of_the_network(here, tmp_path, structure, names):
    model = three_outputs(structure)
    made = bring(here, model, "grey.npz", tmp_path, task="outputs")
    wanted = keras.tree.flatten(model(pixels(40)[24:]))
    found = kerasdl.load(made.run.path).predict(pixels(40)[24:])
    assert tuple(found) == names
    for array, tensor in zip(found.values(), wanted, strict=True):
        np.testing.assert_allclose(array, tensor.numpy(), atol=1e-5)
        assert (array.dtype.kind == "i") == ("int" in str(tensor.dtype))
    assert made.metrics["examples"] == 16
    assert made.metrics[f"{names[0]} mean"] == pytest.approx(float(wanted[0].numpy().mean()), abs=1e-5)
    with pytest.raises(kerasdl.UsageError, match="the data does not say what each should be"):
        made.recipe.task.loss(made.dataset.spec)
    with pytest.raises(kerasdl.UsageError, match=r"none of them is the one that answers"):
        main_output(made.network, made.network.infer(pixels(2)))


@pytest.mark.parametrize("axis", [0, None])
def test_an_output_that_is_not_one_of_each_example_is_refused(here, tmp_path, axis):
    model = three_outputs(lambda kind, number, ids: {"z": kind, "mean": keras.ops.mean(kind, axis)})
    with pytest.raises(kerasdl.UsageError, match=r"output mean has shape \(.*\) for 8 examples"):
        bring(here, model, "grey.npz", tmp_path, task="outputs")


@pytest.mark.slow
def test_one_output_of_a_model_is_judged(here, tmp_path):
    pair = Pair()
    pair(np.zeros((1, 8, 8, 1), np.uint8))
    model = three_outputs(lambda kind, number, ids: {"z": kind, "a": number})
    for one, name, other in ((model, "z", "a"), (pair, "output_0", "output_1")):
        with pytest.raises(kerasdl.UsageError, match=rf"several outputs: .*{other} \(1,\).* --task outputs"):
            bring(here, one, "grey.npz", tmp_path, scaling=None if one is model else "none")
        with pytest.raises(kerasdl.UsageError, match=f"no output 'none'.*{name}"):
            bring(here, one, "grey.npz", tmp_path, output="none")
        made = bring(here, one, "grey.npz", tmp_path, output=name, scaling=None if one is model else "none")
        logits = made.network.infer(pixels(40)[24:])
        assert logits.shape == (16, 3)
        right = np.argmax(logits, -1) == np.arange(40)[24:] % 3
        assert made.metrics["accuracy"] == pytest.approx(right.mean())


@pytest.mark.slow
def test_a_bundle_of_all_outputs_goes_through_every_command(here, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    three_outputs(lambda kind, number, ids: {"z": kind, "a": number}).save("two.keras")
    Image.fromarray(pixels(1)[0, ..., 0]).save("p.png")
    data = ["--data", str(here / "grey.npz")]
    assert main(["export", "two.keras", *data, "--task", "outputs"]) == 0
    assert main(["verify", "exported/two/1", *data]) == 0
    for target in ("exported/two/1", "exported/two/1/two.int8.tflite", "exported/two/1/two.onnx"):
        assert main(["evaluate", target, *data]) == 0
        capsys.readouterr()
        assert main(["predict", target, "p.png", "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)
        assert len(found["z"]) == 3 and isinstance(found["a"], float)
    assert main(["train", "runs/two/1"]) == 2
    assert main(["explain", "runs/two/1", "p.png"]) == 2


@pytest.mark.slow
def test_a_model_is_exported_evaluated_and_trained_on(here, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    groups = [
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 1),
        layers.Conv2D(4, 3, groups=2, activation="gelu"),
    ]
    sequential((8, 8, 1), *groups, layers.Flatten(), layers.Dense(3, activation="softmax")).save("mine.keras")
    data = ["--data", str(here / "grey.npz")]
    assert main(["export", "mine.keras", *data]) == 0
    assert main(["verify", "exported/mine/1", *data]) == 0
    for target in ("exported/mine/1", "exported/mine/1/mine.int8.tflite", "runs/mine/1"):
        assert main(["evaluate", target, *data]) == 0
    assert main(["train", "runs/mine/1", "--epochs", "2", "--freeze", "backbone", "--no-export"]) == 0
    assert "kerasdl train runs/mine/1 ..." in (tmp_path / "runs/mine/2/metrics.json").read_text()
    assert main(["train", "runs/mine/1", "--precision", "mixed_float16"]) == 2
    assert "has no effect on an imported network" in capsys.readouterr().err
    tuned = kerasdl.load("runs/mine/2").predictor
    assert tuned is not None
    assert main(["train", "runs/mine/1", *["--data", str(here / "two.npz")], "--no-export"]) == 0
    assert kerasdl.load("runs/mine/3").labels == ("0", "1")
    assert main(["train", "runs/mine/1", *["--data", str(here / "colour.npz")], "--no-export"]) == 2
    said = capsys.readouterr().err
    assert (
        "takes " in said and "(8, 8, 1), but this data has uint8 of shape (8, 8, 3) in each example" in said
    )
    assert main(["evaluate", "exported/mine/1"]) == 2
    assert "Give the place with --data." in capsys.readouterr().err
    assert main(["export", "runs/mine/2", "--formats", "onnx"]) == 0
    card = json.loads((tmp_path / "exported/mine/1/card.json").read_text())
    assert str(tmp_path) not in json.dumps(card)


ZOO = {
    "MobileNetV2": "tf", "MobileNetV3Small": "none", "EfficientNetB0": "none", "DenseNet121": "torch",
    "ResNet50V2": "tf", "InceptionV3": "tf", "Xception": "tf", "NASNetMobile": "tf", "ConvNeXtTiny": "none",
}  # fmt: skip


def photographs(file, side):
    """Write 15 images of three classes, with patches of one colour, into an `.npz` file."""
    images, labels = patches(15, side), np.arange(15, dtype=np.int32) % 3
    parts = {"train": slice(12), "test": slice(12, None)}
    np.savez(file, **{f"x_{split}": images[part] for split, part in parts.items()},
             **{f"y_{split}": labels[part] for split, part in parts.items()})  # fmt: skip


def patches(count, side):
    small = np.random.default_rng(0).integers(0, 256, (count, 6, 6, 3), np.uint8)
    return small.repeat(side // 6 + 1, 1).repeat(side // 6 + 1, 2)[:, :side, :side]


def network_of(name):
    """Return a network of `keras.applications` in random weights whose answers differ, and its size."""
    model = getattr(keras.applications, name)(weights=None, classes=3)
    side = model.input_shape[1] or 224
    given = inputs.as_keras_does(ZOO[name], patches(6, side))
    norms = [part for part in all_parts_of(model) if isinstance(part, layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0
    model(given, training=True)  # with statistics of other examples, random networks answer all alike
    last = [layer for layer in model.layers if layer.weights][-1]
    spread = keras.Model(model.inputs, last.input)(given, training=False)
    last.kernel.assign(last.kernel * (3 / np.std(np.asarray(spread), axis=0).mean()) ** 0.5)
    return model, side


@pytest.mark.slow
@pytest.mark.large
@pytest.mark.parametrize("name", ZOO)
def test_networks_of_keras_applications_are_exported(name, tmp_path):
    """Each takes 50 to 230 CPU seconds and up to 5 GiB; docs/any-model.md has the figures of all nine."""
    from kerasdl.export.tflite import Converter
    from kerasdl.jobs import export

    model, side = network_of(name)
    photographs(tmp_path / "photos.npz", side)
    model.save(tmp_path / "model.keras")
    wanted = Wanted(
        file=tmp_path / "model.keras", data=str(tmp_path / "photos.npz"), scaling=ZOO[name], size=(side, side)
    )
    made = import_model(wanted, runs_dir=tmp_path / "runs")
    assert isinstance(made.network, Imported)
    settings = export.Settings(exported_dir=tmp_path / "exported")
    with Converter() as converter:
        bundle = export.export_run(made.run, made.dataset, converter, settings, made.network)
    assert not bundle.failures
