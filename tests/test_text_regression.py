"""Explanations of regressors of texts: what each word adds to a target, in the target's own units."""

import dataclasses
import json
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.cli import main
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.explain import words_page
from kerasdl.explain.explainer import Examples, Question
from kerasdl.explain.regressions import RegressionExplainer
from kerasdl.jobs.explain import explainer_of
from kerasdl.models.recurrent import RecurrentNetwork
from kerasdl.preprocessing.sequence import SequencePreprocessing
from kerasdl.tasks.regression.task import Regression

TEXT = "The film -- was NOT good, caf\u00e9 book"
TARGETS = Spec.of_numbers(np.array([[5.0, 100_000], [7, 300_000]], np.float32))
DATA = DataSpec(Spec((), "string"), dataclasses.replace(TARGETS, columns=("stars", "price")))
EXPLAINER = RegressionExplainer()


@pytest.mark.slow
@pytest.mark.parametrize("scaled", [True, False])
def test_scores_are_in_the_units_of_the_target(scaled):
    keras.utils.set_random_seed(3)
    layer = SequencePreprocessing(max_length=12, vocabulary=("good", "film", "book", "not", "was", "the"))
    network = RecurrentNetwork(
        num_outputs=2, units=5, embedding_size=4, pooling="attention", preprocessing=layer
    )
    network(tf.constant(["the film"]))
    network.set_weights([3 * weight for weight in network.get_weights()])
    task = Regression(scale_targets=scaled)
    examples = Examples(np.array([TEXT], object), ["x"], np.array([[6, 150_000]], np.float32))
    asked = Question(class_names=EXPLAINER.class_names(DATA), class_id=1, task=task)
    about = json.loads(str(EXPLAINER.explain(network, DATA, examples, asked)["about"]))
    (row,) = about["texts"]
    pieces = TEXT.split()
    places = [place for place in range(len(pieces)) if pieces[place] != "--"]
    without = [" ".join("qqq" if k == place else piece for k, piece in enumerate(pieces)) for place in places]
    texts = [text.encode() for text in (TEXT, " ".join(["qqq"] * len(places)), *without)]
    values = task.endpoints(network, DATA, {})[0].function(tf.constant(texts))["values"].numpy()[:, 1]
    assert np.ptp(values) > (1_000 if scaled else 0.05)
    assert about["methods"] == ["integrated-gradients", "occlusion", "attention"]
    assert {name: row[name] for name in ("target", "true")} == {"target": "price", "true": 150_000}
    assert row["value"] == pytest.approx(values[0], rel=1e-5) and "probability" not in row
    read = [row["words"][place] for place in places]
    falls = values[0] - values[2:]
    np.testing.assert_allclose([word["occlusion"] for word in read], falls, atol=1e-4 * np.ptp(values))
    total = sum(word["integrated-gradients"] for word in read)
    assert total == pytest.approx(values[0] - values[1], rel=0.011)
    assert words_page.section(about).blocks


def row_of(scores, **more):
    words = [{"word": word, "known": True, "occlusion": score} for word, score in scores.items()]
    return {"name": "x", "target": "price", "words": words, "unread": 0, **more}


@pytest.mark.parametrize(
    ("row", "said", "scores", "decimals"),
    [
        (row_of({"new": 91_234.5, "old": -40_000.0}, value=338_919.2, true=340_000.0),
         "price 338,919 (true 340,000)", "new +91,234 old -40,000", 0),
        (row_of({"new": 3e-5, "old": 0.0}, value=2.5e-4, difference=-2e-5),
         "price 0.0002500, -0.0000200 of it by the words", "new +0.0000300", 7),
        (row_of({"!": 0.0}, value=0.0), "price 0.00", "", 2),
    ],
    ids=["large", "small", "none"],
)  # fmt: skip
def test_numbers_of_any_size_can_be_read(row, said, scores, decimals):
    assert words_page.described(row) == said
    _, _, line = EXPLAINER.tables({"texts": [row], "methods": ["occlusion"]})
    assert line.renderable.plain.split(":")[1].split() == scores.split()
    page = words_page.sections({"texts": [row], "methods": ["occlusion"], "notes": []})
    assert page[0].blocks[1].decimals == decimals
    assert "logit" not in words_page.notices({"texts": [row], "methods": ["occlusion"], "notes": []})[0].text


def test_targets_without_names_are_called_as_predict_calls_them():
    def names(shape):
        spec = DataSpec(Spec((), "string"), Spec(shape, "float32", mean=(0.0,), std=(1.0,)))
        target = types.SimpleNamespace(path="runs/x/1", task=Regression(), spec=spec, endpoints={})
        return explainer_of(target).class_names(spec)

    assert names(()) == names((1,)) == ["value"]
    assert names((2,)) == ["value 0", "value 1"]


RECIPE = """
import numpy as np
from kerasdl import (ArraySplit, Config, DataSpec, Dataset, Recipe, RecurrentNetwork, Regression,
                     SequencePreprocessing, Source, Spec)


class Lengths(Source):
    def load(self):
        counts = np.arange(90) % 5 + 1
        texts = np.array([b"big " * count + b"<b>house" for count in counts], object)
        targets = 1000 * counts.astype("float32")
        splits = [ArraySplit(texts[part::3], targets[part::3]) for part in range(3)]
        return Dataset(*splits, DataSpec(Spec((), "string"), Spec.of_numbers(targets)), fingerprint="x")


RECIPE = Recipe(
    model=Config(RecurrentNetwork, cell="simple_rnn", units=4, embedding_size=4), data=Lengths(),
    task=Regression(), preprocessing=Config(SequencePreprocessing, max_length=8), epochs=1, batch_size=8,
)
"""


@pytest.mark.slow
def test_command_explains_a_regressor_of_texts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "big.py").write_text(RECIPE)
    assert main(["train", "big.py", "--no-export"]) == 0
    capsys.readouterr()
    assert main(["explain", "runs/big/1", "big house", "--class", "value"]) == 0
    printed = capsys.readouterr().out
    assert "text 1: value " in printed and " of it by the words" in printed
    assert main(["explain", "runs/big/1", "--json"]) == 0  # the largest errors
    found = json.loads(capsys.readouterr().out)
    assert [row["name"].split()[0] for row in found["texts"]] == ["test"] * 8
    assert all(row["true"] in range(1000, 6000, 1000) for row in found["texts"])
    report = (tmp_path / "runs/big/1/report.html").read_text()
    assert "own units: vermillion" in report and "&lt;b&gt;house" in report and "<b>house" not in report
    assert main(["explain", "runs/big/1", "big", "--class", "size"]) == 2
    assert "There is no class 'size'; there are 1: value." in capsys.readouterr().err
