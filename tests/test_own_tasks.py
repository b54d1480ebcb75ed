"""Kinds of problems that a user adds in a recipe file: all jobs run on them without a line in `kerasdl/`."""

import contextlib
import csv
import io
import json
import shutil

import numpy as np
import pytest

import kerasdl
from kerasdl.cli import main

NUMBERS = '''
import dataclasses

import keras
import numpy as np
from kerasdl import ArraySplit, Config, DataSpec, Dataset, Evaluation, Network, Recipe, Source, Spec, Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sums(Source):
    """Vectors of four numbers, with their sum and their product."""

    num_examples: int = 512

    def load(self):
        x = np.random.default_rng(0).uniform(-1, 1, (self.num_examples, 4)).astype("float32")
        y = np.stack([x.sum(-1), x.prod(-1)], -1)
        train, validation, test = (ArraySplit(x[part::4], y[part::4]) for part in range(3))
        spec = DataSpec(Spec((4,), "float32"), Spec((2,), "float32"))
        return Dataset(train, validation, test, spec, "sums")


@keras.saving.register_keras_serializable("mine")
class Small(Network):
    """Two dense layers.

    Args:
        units: width of the hidden layer.
    """

    def __init__(self, *, units: int = 16, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = keras.layers.Dense(units, activation="tanh")
        self.head = keras.layers.Dense(2)

    def forward(self, x, training=False):
        return self.head(self.hidden(x))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoNumbers(Task):
    """Regression of two numbers, with no more than a task needs."""

    def loss(self, data):
        return keras.losses.MeanSquaredError()

    def evaluate(self, answers, data, fitted):
        error = np.abs(answers.outputs["outputs"] - answers.targets)
        return Evaluation(figures={"mean_error": float(error.mean()), "examples": len(error)})


RECIPE = Recipe(
    model=Config(Small), data=Sums(), task=TwoNumbers(), epochs=12, batch_size=32, learning_rate=2e-2,
)


def space(hp, recipe):
    from kerasdl import replace

    return replace(recipe, learning_rate=hp.Float("learning_rate", 1e-3, 1e-1, sampling="log", default=1e-2))
'''

HEADS = '''
import dataclasses

import keras
import numpy as np
from kerasdl import ArraySplit, Config, DataSpec, Dataset, Evaluation, Network, Recipe, Source, Spec, Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cards(Source):
    """Small images of light or dark, beside a vector; the targets are the light and the vector's sum."""

    def load(self):
        rng = np.random.default_rng(0)
        light = rng.integers(0, 2, 384).astype("int32")
        images = (rng.integers(0, 100, (384, 6, 6, 1)) + 120 * light[:, None, None, None]).astype("uint8")
        vectors = rng.uniform(-1, 1, (384, 3)).astype("float32")
        features = {"image": images, "vector": vectors}
        targets = {"light": light, "sum": vectors.sum(-1, keepdims=True)}
        # The last examples of each part have a wrong light, and do not count for it.
        weights = {"light": np.ones(384, "float32"), "sum": np.ones(384, "float32")}
        weights["light"][-96:], targets["light"][-96:] = 0, 1 - light[-96:]

        def part(start):
            chosen = slice(start, None, 3)
            return ArraySplit(*(
                {name: array[chosen] for name, array in tree.items()}
                for tree in (features, targets, weights)
            ))

        spec = DataSpec(
            {"image": Spec((6, 6, 1), "uint8"), "vector": Spec((3,), "float32")},
            {"light": Spec((), "int32", ("dark", "bright")), "sum": Spec((1,), "float32")},
        )
        return Dataset(part(0), part(1), part(2), spec, "cards")


@keras.saving.register_keras_serializable("mine")
class TwoHeads(Network):
    """An image and a vector in, a class and a number out."""

    head_names = ("light", "sum")

    def __init__(self, *, units: int = 8, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.flatten = keras.layers.Flatten()
        self.of_image = keras.layers.Dense(units, activation="relu")
        self.of_vector = keras.layers.Dense(units, activation="tanh")
        self.light = keras.layers.Dense(2)
        self.sum = keras.layers.Dense(1)

    def forward(self, x, training=False):
        pixels = keras.ops.cast(x["image"], "float32") / 255
        parts = [self.of_image(self.flatten(pixels)), self.of_vector(x["vector"])]
        joined = keras.ops.concatenate(parts, axis=-1)
        return {"light": self.light(joined), "sum": self.sum(joined)}

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@dataclasses.dataclass(frozen=True, kw_only=True)
class LightAndSum(Task):
    """A class and a number at once."""

    # Weight of the error of the sum.
    weight_of_sum: float = 2.0

    columns = {"right": ("right", ".1%"), "max_difference": ("max difference", ".1e")}

    def loss(self, data):
        return {
            "light": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "sum": keras.losses.MeanSquaredError(),
        }

    def loss_weights(self):
        return {"light": 1.0, "sum": self.weight_of_sum}

    def evaluate(self, answers, data, fitted):
        counted = answers.weights["light"] > 0
        right = answers.outputs["light"].argmax(-1) == answers.targets["light"]
        error = np.abs(answers.outputs["sum"] - answers.targets["sum"]).mean()
        return Evaluation(figures={
            "right": float(right[counted].mean()), "error": float(error), "examples": len(right),
        })


RECIPE = Recipe(
    model=Config(TwoHeads), data=Cards(), task=LightAndSum(), epochs=15, batch_size=32, learning_rate=2e-2,
)


def space(hp, recipe):
    from kerasdl import replace

    return replace(recipe, model=recipe.model.replace(units=hp.Int("units", 4, 12, default=8)))
'''

TEXTS = '''
import dataclasses

import keras
import numpy as np
import tensorflow as tf
from kerasdl import (
    ArraySplit, Classification, Config, DataSpec, Dataset, Network, Preprocessing, Recipe, Source, Spec,
)

WORDS = {"good": ["fine", "great", "lovely"], "bad": ["awful", "poor", "dull"]}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reviews(Source):
    """Texts of three to nine words, one of which says whether they are good or bad."""

    def load(self):
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 2, 300).astype("int32")
        texts = []
        for label in labels:
            words = list(rng.choice(["the", "film", "was", "a", "b\\u00e9b\\u00e9"], rng.integers(2, 9)))
            words.insert(rng.integers(0, len(words)), rng.choice(WORDS["bad" if label else "good"]))
            texts.append(" ".join(words).encode())
        texts = np.array(texts, object)
        train, validation, test = (ArraySplit(texts[part::3], labels[part::3]) for part in range(3))
        spec = DataSpec(Spec((), "string"), Spec((), "int32", ("good", "bad")))
        return Dataset(train, validation, test, spec, "reviews")


@keras.saving.register_keras_serializable("mine")
class Words(Preprocessing):
    """Texts to bags of words of a vocabulary that is taken from the training texts."""

    def __init__(self, *, vocabulary=(), **kwargs):
        super().__init__(**kwargs)
        self.vocabulary = list(vocabulary)

    def fit(self, examples):
        self.vocabulary = sorted({
            word for texts in examples() for text in texts for word in text.decode().split()
        })

    def call(self, texts):
        table = tf.constant(self.vocabulary)
        words = tf.strings.split(texts).to_tensor("")  # (B, T)
        counts = tf.reduce_sum(tf.cast(words[..., None] == table, tf.float32), axis=1)
        return tf.ensure_shape(counts, (None, len(self.vocabulary)))  # (B, words)

    def compute_output_spec(self, texts):
        return keras.KerasTensor((texts.shape[0], len(self.vocabulary)), "float32")

    def assets(self):
        return {"vocab.txt": "".join(f"{word}\\n" for word in self.vocabulary)}

    def get_config(self):
        return {**super().get_config(), "vocabulary": self.vocabulary}


@keras.saving.register_keras_serializable("mine")
class Bag(Network):
    """One layer over a bag of words."""

    def __init__(self, *, num_classes: int = 2, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.head = keras.layers.Dense(num_classes)

    def forward(self, x, training=False):
        return self.head(x)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


RECIPE = Recipe(
    model=Config(Bag), data=Reviews(), task=Classification(), preprocessing=Config(Words), epochs=15,
    batch_size=20, learning_rate=5e-2,
)


def space(hp, recipe):
    from kerasdl import replace

    return replace(recipe, learning_rate=hp.Float("learning_rate", 1e-3, 1e-1, sampling="log", default=5e-2))
'''
FILES = {"numbers": NUMBERS, "heads": HEADS, "texts": TEXTS}


@pytest.fixture(
    scope="module",
    params=[name if name == "heads" else pytest.param(name, marks=pytest.mark.slow) for name in FILES],
)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def place(kind, tmp_path_factory):
    """A folder with a recipe file, a run of it that was stopped after four epochs, and one that was not."""
    folder = tmp_path_factory.mktemp(kind)
    (folder / "mine.py").write_text(FILES[kind], encoding="utf-8")
    with contextlib.chdir(folder):
        assert main(["train", "mine.py"]) == 0
    return folder


@pytest.fixture(autouse=True)
def there(place, monkeypatch):
    monkeypatch.chdir(place)


def said(capsys, *arguments):
    """Run a command that has to work; return the JSON that it prints."""
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_it_learns_and_says_how_well(kind, place):
    test = json.loads((place / "runs/mine/1/metrics.json").read_text())["test"]
    if kind == "numbers":
        assert test == {"mean_error": test["mean_error"], "examples": 128}
        assert test["mean_error"] < 0.12  # the mean of the targets is some 0.5 away
    elif kind == "heads":
        assert test["right"] > 0.8 and test["error"] < 0.2
    else:
        assert test["accuracy"] > 0.95


@pytest.mark.slow
def test_every_file_that_can_hold_it_is_verified(kind, place):
    card = json.loads((place / "exported/mine/1/card.json").read_text())
    kinds = [row["kind"] for row in card["artefacts"]]
    if kind == "texts":
        assert kinds == ["saved_model"]
        words = (place / "exported/mine/1/vocab.txt").read_text(encoding="utf-8").split()
        assert {"fine", "awful", "b\u00e9b\u00e9"} < set(words)
        assert (place / "exported/mine/1/labels.txt").read_text() == "good\nbad\n"
    else:
        assert kinds == ["saved_model", "float32", "float16", "dynamic", "int8", "onnx"]
    assert all("error" not in row and row["examples"] > 90 for row in card["artefacts"])
    assert card["samples"] is not None


@pytest.mark.slow
def test_evaluate_gives_the_same_figures_of_run_and_files(place, capsys):
    of_run = said(capsys, "evaluate", "runs/mine/1")
    written = json.loads((place / "runs/mine/1/metrics.json").read_text())["test"]
    assert of_run | written == of_run
    of_bundle = said(capsys, "evaluate", "exported/mine/1")
    for name, value in written.items():
        if isinstance(value, float):
            assert of_bundle[name] == pytest.approx(value, abs=1e-4), name


@pytest.mark.slow
def test_verify_uses_the_samples_and_the_data(capsys):
    found = said(capsys, "verify", "exported/mine/1")
    assert found["verified"] and "test examples" in found["note"]


@pytest.mark.slow
def test_predict_from_python_and_from_the_command_line(kind, place, capsys):
    run, bundle = kerasdl.load("runs/mine/1"), kerasdl.load("exported/mine/1")
    features = run.data.load().test.features
    first = {name: array[:3] for name, array in features.items()} if kind == "heads" else features[:3]
    answers, again = run.predict(first), bundle.predict(first)
    assert (
        answers.keys()
        == again.keys()
        >= ({"outputs"} if kind == "numbers" else {"light", "sum"} if kind == "heads" else {"probabilities"})
    )
    for name, value in answers.items():
        np.testing.assert_allclose(again[name], value, atol=1e-5)
    if kind == "texts":
        texts = ["a great film", "the film was awful"]
        capsys.readouterr()
        assert main(["predict", "exported/mine/1", *texts, "--json"]) == 0
        assert [answer["class"] for answer in json.loads(capsys.readouterr().out)] == ["good", "bad"]
    else:
        assert main(["predict", "exported/mine/1", "1,2,3,4"]) == 2
        assert "kerasdl.load(...).predict(features)" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_that_was_stopped_resumes_exactly(place, tmp_path):
    whole = main(["train", "mine.py", "--epochs", "6", "--no-export", "--runs-dir", str(tmp_path),
                  "--schedule", "constant"])  # fmt: skip
    part = main(["train", "mine.py", "--epochs", "3", "--no-export", "--runs-dir", str(tmp_path),
                 "--schedule", "constant"])  # fmt: skip
    assert whole == part == 0
    resumed = ["train", "--resume", str(tmp_path / "mine/2"), "--epochs", "6", "--no-export"]
    assert main(resumed) == 0
    rows = [read_history(tmp_path / "mine" / number / "history.csv") for number in "12"]
    assert len(rows[0]) == 6
    for one, other in zip(*rows, strict=True):
        assert {k: v for k, v in one.items() if k != "seconds"} == {
            k: v for k, v in other.items() if k != "seconds"
        }


def read_history(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.mark.slow
def test_the_report_and_a_comparison_are_written(kind, place, capsys, tmp_path):
    assert main(["report", "runs/mine/1"]) == 0
    page = (place / "runs/mine/1/report.html").read_text(encoding="utf-8")
    assert ("mean error" if kind == "numbers" else "right" if kind == "heads" else "Confusion") in page
    shutil.copytree("runs/mine/1", tmp_path / "other")
    capsys.readouterr()
    found = said(capsys, "compare", "runs/mine/1", tmp_path / "other")
    sentence = found["differences"][0]["sentence"]
    assert ("within chance" if kind == "texts" else "kept no answers") in sentence


@pytest.mark.slow
def test_a_search_aims_at_the_objective_of_the_task(kind, place, capsys):
    arguments = ["tune", "mine.py", "--epochs", "2", "--max-trials", "2", "--tuner", "random"]
    assert main(arguments) == 0
    assert main(["tune", "show", "searches/mine/1"]) == 0
    out = capsys.readouterr().out
    assert "2 of 2 trials (2 completed)" in out
    assert ("val_accuracy" if kind == "texts" else "val_loss") in out


@pytest.mark.slow
def test_two_replicas_give_the_losses_of_one(kind, tmp_path, capsys):
    command = ["train", "mine.py", "--epochs", "2", "--no-export", "--optimizer", "sgd",
               "--runs-dir", str(tmp_path), "--strategy"]  # fmt: skip
    if kind == "texts":
        assert main([*command, "cpu:2"]) == 2
        assert "cannot divide among 2 replicas" in capsys.readouterr().err
        return
    assert main([*command, "none"]) == main([*command, "cpu:2"]) == 0
    rows = [read_history(tmp_path / "mine" / number / "history.csv") for number in "12"]
    for one, other in zip(*rows, strict=True):
        assert float(one["loss"]) == pytest.approx(float(other["loss"]), rel=1e-4)
        assert float(one["val_loss"]) == pytest.approx(float(other["val_loss"]), rel=1e-4)
