"""What picks the best epoch of a classifier, and what is said of a result before it is shipped."""

import dataclasses
import json

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import balanced_accuracy_score

from kerasdl import environment, load_recipe
from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.images.digits import Digits
from kerasdl.data.splits import ArraySplit
from kerasdl.export.readme.choice import choice_text
from kerasdl.export.readme.text import readme_text
from kerasdl.inference.answers import Answers
from kerasdl.jobs import train as trainer
from kerasdl.jobs import verdicts
from kerasdl.models.mlp import MLP
from kerasdl.recipe import Config, Recipe, replace
from kerasdl.runs.folder import Run
from kerasdl.tasks.classification.losses import BalancedAccuracy
from kerasdl.tasks.classification.task import Classification
from kerasdl.tasks.task import Verdict
from kerasdl.training.devices import Devices
from kerasdl.training.plan import plan_run

NAMES = ("a", "b", "c")


def figures_of(labels, predicted, confidence=0.8):
    probabilities = np.full((len(labels), 3), (1 - confidence) / 2)
    probabilities[np.arange(len(labels)), predicted] = confidence
    spec = DataSpec(Spec((2,), "float32"), Spec((), "int32", NAMES))
    return (
        Classification()
        .evaluate(Answers({"probabilities": probabilities}, np.array(labels)), spec, {})
        .figures
    )


def texts(found):
    return [verdict["text"] if isinstance(verdict, dict) else verdict.text for verdict in found]


def test_a_good_result_gets_no_verdict():
    figures = figures_of([0, 1, 2] * 20, [0, 1, 2] * 20)
    assert Classification().verdicts(figures) == []
    assert "Recall" not in Classification().summary(figures)


def test_no_better_than_guessing():
    (found, *_) = Classification().verdicts(figures_of([0, 1, 2] * 20, [0, 2, 1] * 20))
    assert found.text.startswith("No better than guessing: to answer 'a' always would be right for 33.3%")


def test_a_class_that_is_never_predicted_is_named_with_all_recalls():
    figures = figures_of([0] * 50 + [1] * 50 + [2] * 2, [0] * 50 + [1] * 50 + [0] * 2)
    assert texts(Classification().verdicts(figures)) == ["One class is never predicted: c."]
    assert Classification().summary(figures).endswith("\nRecall of the classes: c 0%, a 100%, b 100%.")


def test_probabilities_that_are_far_off():
    figures = figures_of([0, 1, 2] * 20, [0, 1, 2] * 20, confidence=0.4)
    assert texts(Classification().verdicts(figures)) == [
        "The probabilities are off by 60% on average (calibration error): is there a softmax in the network?"
    ]


def folder(tmp_path, scores, updates):
    lines = [f"{epoch},{score},1.0" for epoch, score in enumerate(scores, 1)]
    (tmp_path / "history.csv").write_text("\n".join(["epoch,val_accuracy,val_loss", *lines]) + "\n")
    (tmp_path / "status.json").write_text(json.dumps({"step": updates, "stopped": "max_time"}))
    best = int(np.argmax(scores)) + 1
    (tmp_path / "metrics.json").write_text(
        json.dumps({"best_epoch": best, "epochs": len(scores), "test": {}})
    )
    recipe = Recipe(
        name="tiny", model=Config(MLP), data=Digits(), task=Classification(), epochs=9, batch_size=128
    )
    (tmp_path / "recipe.json").write_text(json.dumps({"type": "kerasdl>Recipe", "fields": {}}))
    return Run(tmp_path), recipe


GOOD = figures_of([0, 1, 2] * 20, [0, 1, 2] * 20)


@pytest.mark.parametrize(
    ("scores", "updates", "said"),
    [
        ([0.3, 0.5, 0.6], 24, ["Only 24 updates of the weights, and the network was still getting better."]),
        ([0.3, 0.5, 0.6], 2000, []),
        ([0.3, 0.9, 0.9, 0.9, 0.9], 24, []),  # it has found what it can
        (
            [0.4, 0.9, 0.96, 0.33, 0.5],
            2000,
            [
                "Training collapsed at epoch 4: it lost what it had learned. The network of epoch 3, before "
                "that, was kept."
            ],
        ),
        ([0.5, 0.52, 0.49], 2000, []),  # noise
    ],
)
def test_how_training_went(tmp_path, scores, updates, said):
    run, recipe = folder(tmp_path, scores, updates)
    assert texts(verdicts.judge(run, recipe, GOOD)) == said
    kept = run.read_json("metrics.json").get("verdicts", [])
    assert texts(kept) == said
    assert all(one["command"].startswith("kerasdl train tiny ... --") for one in kept)
    run.write("receipt.json", {"command": ["__main__.py", "train", "mine/tiny.py"]})
    found = verdicts.judge(run, recipe, GOOD)
    assert all(one["command"].startswith("kerasdl train ./tiny.py ... --") for one in found)


def test_verdicts_of_a_short_run_agree(tmp_path, monkeypatch):
    run, recipe = folder(tmp_path, [0.5], 25)
    bad = figures_of([0] * 50 + [1] * 50 + [2] * 2, [0] * 102, confidence=1.0)
    found = verdicts.judge(run, recipe, bad)
    assert found[0]["text"] == "Only 25 updates of the weights, too few to judge the network by."
    assert len(found) > 2 and {one["command"] for one in found} == {"kerasdl train tiny ... --epochs 40"}
    for is_command, words in ((True, found[0]["command"]), (False, 'kerasdl.train("tiny", ..., epochs=40)')):
        monkeypatch.setattr(environment, "is_command", is_command)
        *others, last = verdicts.told(found)
        assert last == f"{found[-1]['text']} Try: {words}"
        assert not any("Try:" in text for text in others)
    flags = {"--class-weights balanced": 'class_weights="balanced"', "--conditional": "conditional=True"}
    for flag, words in flags.items():
        (text,) = verdicts.told([{"text": "Bad.", "command": f"kerasdl train tiny ... {flag}"}])
        assert text == f'Bad. Try: kerasdl.train("tiny", ..., {words})'
    assert verdicts.judge(run, recipe, GOOD) == []


def test_the_kept_epoch_and_the_end_of_training_are_told(tmp_path):
    run, recipe = folder(tmp_path, [0.4, 0.9, 0.8], 2000)
    assert verdicts.kept_epoch(run, recipe) == (
        "Kept the network of epoch 2 of 3 (val_accuracy 0.9000, val_loss 1.0000). Training ended before "
        "epoch 9: max_time."
    )


def test_a_bundle_tells_the_verdicts():
    said = {"text": "Bad.", "command": "kerasdl train tiny ... --epochs 9"}
    card = {
        "name": "tiny", "versions": {"kerasdl": "0"}, "created": "2026-01-01", "labels": [], "artefacts": [],
        "endpoints": [], "examples": 1, "metrics": {"verdicts": [said]},
    }  # fmt: skip
    assert "**Bad.** Try: `kerasdl train tiny ... --epochs 9`" in readme_text(card)


def test_a_bundle_says_which_file_to_take_for_what():
    kinds = ("saved_model", "float32", "float16", "int8", "onnx")
    rows = [{"kind": kind, "file": f"x.{kind}", "bytes": 1000} for kind in kinds]
    told = choice_text({"artefacts": rows})
    assert "| a phone | `x.int8` (smallest), or `x.float16` (closest to Keras) |" in told
    assert "| a browser | `x.onnx` (onnxruntime-web), or `x.float32` (LiteRT.js) |" in told
    assert "| a server | this folder, a SavedModel (TF Serving), or `x.onnx`" in told
    assert "kerasdl export RUN --tflite-io int8" in told
    assert "NPU | `x.int8` |" in choice_text({"artefacts": rows, "tflite_io": "int8"})
    assert choice_text({"artefacts": [{"kind": "onnx", "file": "x", "error": "no"}]}) == ""
    small = {"kind": "dynamic", "file": "x.dynamic", "bytes": 900}
    assert "| a phone | `x.dynamic` (smallest)" in choice_text({"artefacts": [*rows, small]})
    step = {"kind": "onnx", "file": "x.step", "endpoint": "step", "bytes": 100}
    assert choice_text({"artefacts": [*rows, step]}) == told
    assert "| a browser | `x.step` (onnxruntime-web) |" in choice_text({"artefacts": [step]})


def data_of(counts):
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    split = ArraySplit(np.zeros((len(labels), 2), np.float32), labels)
    return Dataset(split, split, split, DataSpec(Spec((2,), "float32"), Spec((), "int32", NAMES)), "x")


@pytest.mark.parametrize(
    ("fields", "counts", "picks"),
    [
        ({}, (10, 10, 8), "accuracy"),
        ({}, (100, 20, 30), "balanced_accuracy"),
        ({}, (100, 30, 0), "accuracy"),  # a class without examples
        ({"class_weights": "balanced"}, (10, 10, 10), "balanced_accuracy"),
        ({"class_weights": (1.0, 2.0, 1.0), "judge_by": "accuracy"}, (100, 1, 1), "accuracy"),
    ],
)
def test_imbalance_and_class_weights_decide_what_picks_the_epoch(fields, counts, picks):
    task = Classification(**fields).resolve(data_of(counts))
    assert task.judge_by == picks
    assert task.resolve(data_of((1, 1, 1))) is task
    assert task.objectives == (f"val_{picks}",)


def test_the_majority_classifier_is_not_the_best_epoch():
    """100:1 with weights: epoch 1 of a public report had accuracy 0.9901 and had not found the rare class."""
    task = dataclasses.replace(Classification(class_weights=(1.0, 30.0, 1.0)), judge_by="balanced_accuracy")
    majority = {"val_accuracy": 0.9901, "val_balanced_accuracy": 0.5, "val_loss": 0.1}
    useful = {"val_accuracy": 0.957, "val_balanced_accuracy": 0.95, "val_loss": 0.2}
    assert task.score(useful) > task.score(majority)


def test_balanced_accuracy_is_that_of_scikit_learn():
    generator = np.random.default_rng(0)
    labels, logits = generator.integers(0, 3, 40), generator.normal(size=(40, 5))
    metric = BalancedAccuracy(num_classes=5)
    for part in (slice(15), slice(15, 40)):
        metric.update_state(labels[part], logits[part])
    assert float(metric.result()) == pytest.approx(balanced_accuracy_score(labels, logits.argmax(1)))
    mixed = np.stack([labels, (labels + 1) % 3, np.where(labels == 0, 0.3, 0.7)], axis=1)
    metric.reset_state()
    metric.update_state(mixed, logits)
    larger = np.where(labels == 0, 1, labels)
    assert float(metric.result()) == pytest.approx(balanced_accuracy_score(larger, logits.argmax(1)))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["cpu:2"])
def test_an_imbalanced_run_is_judged_by_the_recalls(tmp_path, strategy, capsys):
    recipe = Recipe(
        name="tiny", model=Config(MLP, hidden_units=(8,)), data=Digits(images_per_class=40),
        task=Classification(class_weights="balanced"), epochs=2, batch_size=40, strategy=strategy,
    )  # fmt: skip
    run = trainer.train(recipe, runs_dir=tmp_path, export=False, console=Console(width=200)).run
    assert "Kept the network of epoch" in capsys.readouterr().out
    assert run.recipe().task.judge_by == "balanced_accuracy"
    data, last = recipe.data.load(), (run.path / "history.csv").read_text().splitlines()
    rows = [dict(zip(last[0].split(","), map(float, line.split(",")), strict=True)) for line in last[1:]]
    best = rows[run.read_json("metrics.json")["best_epoch"] - 1]
    predicted = np.asarray(run.network()(data.validation.features)).argmax(1)
    assert best["val_balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(data.validation.targets, predicted)
    )


@pytest.mark.parametrize(
    ("count", "fields", "batch_size", "learning_rate"),
    [
        (432, {}, 32, 0.05),  # 13 updates an epoch
        (60, {}, 8, 0.0125),  # fewer examples than a batch, and not even so 10 updates
        (1280, {}, 128, 0.2),
        (432, {"optimizer": "adamw"}, 32, 0.1),
        (432, {"gradient_accumulation_steps": 4}, 32, 0.05),
        (20, {"gradient_accumulation_steps": 4}, 8, 0.0125),  # each replica's part divides by 4
        (432, {"min_steps_per_epoch": 0}, 128, 0.2),
    ],
)
def test_small_data_gets_smaller_batches_and_a_lower_rate(count, fields, batch_size, learning_rate):
    given = {
        "min_steps_per_epoch": 10,
        "batch_size": 128,
        "learning_rate": 0.2,
        "optimizer": "sgd",
        "epochs": 5,
    }
    recipe = Recipe(name="x", model=Config(MLP), data=Digits(), task=Classification(), **{**given, **fields})
    plan = plan_run(recipe, data_of((count, 0, 0)), Devices())
    assert (plan.recipe.batch_size, plan.recipe.learning_rate) == (batch_size, learning_rate)
    again = plan_run(plan.recipe, data_of((count, 0, 0)), Devices()).recipe
    assert again == plan.recipe and again.min_steps_per_epoch == 0


def test_what_the_user_gives_is_kept():
    recipe = Recipe(name="x", model=Config(MLP), data=Digits(), task=Classification(), min_steps_per_epoch=10)
    assert replace(recipe, batch_size=64).min_steps_per_epoch == 0
    assert replace(recipe, learning_rate=0.1).min_steps_per_epoch == 0
    assert replace(recipe, batch_size=64, min_steps_per_epoch=5).min_steps_per_epoch == 5
    assert replace(recipe, epochs=3).min_steps_per_epoch == 10


def test_flags_that_the_run_had_already_are_not_offered():
    verdict = Verdict(text="", flags="--ema-momentum 0.998")
    recipe = load_recipe("lenet5", ema_momentum=0.998, epochs=3)
    assert verdicts._flags(verdict, recipe) == "--epochs 6"
    assert verdicts._flags(verdict, load_recipe("lenet5", ema_momentum=0.9)) == verdict.flags
