"""What a training run does and leaves behind, on the bundled digits."""

import csv
import dataclasses
import gc
import itertools
import logging
import shlex
import subprocess
import sys
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kerasdl.cli import main
from kerasdl.data.images.digits import Digits
from kerasdl.jobs import stages
from kerasdl.jobs import train as trainer
from kerasdl.models.convnet import ConvNet
from kerasdl.models.mlp import MLP
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Config, Recipe
from kerasdl.tasks.classification.task import Classification
from kerasdl.training import build, devices
from kerasdl.training.callbacks.best import Best
from kerasdl.training.optimizers.make import moving_averages


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorstIsBest(Classification):
    """Ranks epochs the wrong way round, so that the first is the best one as soon as anything is learned."""

    def score(self, logs):
        return (logs["val_loss"],)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlwaysBetter(Classification):
    """Finds each epoch better than the one before."""

    def score(self, logs):
        return (-logs["loss"],)


def train(folder, **fields):
    fields = {"task": Classification(), "epochs": 2, "batch_size": 64, "learning_rate": 5e-3, **fields}
    parts = {"model": Config(MLP, hidden_units=(16,)), "data": Digits()}
    recipe = Recipe(name="tiny", preprocessing=Config(ImagePreprocessing), **{**parts, **fields})
    return trainer.train(recipe, runs_dir=folder, export=False, console=Console(quiet=True))


def history(result):
    with (result.run.path / "history.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def validation_of(result):
    """Evaluate the saved network on the validation split, on one device."""
    network = keras.saving.load_model(result.run.model_file)
    dataset, task = result.recipe.data.load(), result.recipe.task
    network.compile(loss=task.loss(dataset.spec), metrics=task.metrics(dataset.spec))
    split = dataset.validation
    return network.evaluate(split.features, split.targets, verbose=0, return_dict=True)


def assert_saved_is_that_of_epoch(result, epoch):
    row, figures = history(result)[epoch - 1], validation_of(result)
    assert figures["loss"] == pytest.approx(row["val_loss"], rel=1e-5)
    assert figures["accuracy"] == pytest.approx(row["val_accuracy"], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_averages_are_validated_and_saved(tmp_path, monkeypatch, precision):
    held = {}
    save = Best.save

    def spy(self):
        pairs = moving_averages(self.model)
        held["trained"], held["averages"] = (
            [part.numpy() for part in parts] for parts in zip(*pairs, strict=True)
        )
        save(self)

    monkeypatch.setattr(Best, "save", spy)
    result = train(tmp_path, epochs=1, ema_momentum=0.9, precision=precision, schedule="constant")
    saved = keras.saving.load_model(result.run.model_file).trainable_variables
    for variable, trained, average in zip(saved, held["trained"], held["averages"], strict=True):
        np.testing.assert_array_equal(variable.numpy(), average)
        assert np.abs(variable.numpy() - trained).max() > 1e-3
    if precision == "float32":
        assert_saved_is_that_of_epoch(result, 1)


@pytest.mark.slow
def test_early_stopping_waits_for_its_patience(tmp_path):
    result = train(
        tmp_path, epochs=9, early_stopping=2, optimizer="sgd", learning_rate=1e-12, schedule="constant"
    )
    assert result.run.read_json("metrics.json")["epochs"] == 3
    assert result.run.read_json("metrics.json")["best_epoch"] == 1
    assert len(history(result)) == 3


@pytest.mark.slow
def test_early_stopping_goes_on_while_it_gets_better(tmp_path):
    result = train(tmp_path, epochs=4, early_stopping=1, task=AlwaysBetter())
    assert result.run.read_json("metrics.json")["epochs"] == 4


@pytest.mark.slow
@pytest.mark.parametrize(("learning_rate", "drops"), [(1e-12, 3), (0.01, 0)])
def test_plateau_drops_the_learning_rate_where_nothing_gets_better(tmp_path, learning_rate, drops):
    result = train(
        tmp_path, epochs=4, schedule="plateau", schedule_epochs=1, schedule_factor=0.5,
        optimizer="sgd", learning_rate=learning_rate,
    )  # fmt: skip
    rates = [row["optimizer_learning_rate"] for row in history(result)]
    assert rates[0] == pytest.approx(learning_rate)
    assert rates[-1] == pytest.approx(learning_rate / 2**drops)
    assert all(after <= before for before, after in itertools.pairwise(rates))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unranked(Classification):
    """Ranks no epoch."""

    def score(self, logs):
        return ()


@pytest.mark.slow
def test_without_a_rank_the_last_epoch_is_kept(tmp_path):
    result = train(tmp_path, epochs=3, task=Unranked(), early_stopping=1)
    assert result.run.read_json("metrics.json")["best_epoch"] == 3


def test_the_best_epoch_is_kept_and_not_the_last(tmp_path):
    result = train(tmp_path, epochs=3, task=WorstIsBest())
    rows = history(result)
    assert rows[0]["val_loss"] > 1.2 * rows[-1]["val_loss"]
    assert result.run.read_json("metrics.json")["best_epoch"] == 1
    assert result.run.read_json("metrics.json")["epochs"] == 3
    assert_saved_is_that_of_epoch(result, 1)


TRAIN_TWICE = """
import sys
import kerasdl
from rich.console import Console
from tensorflow.python.framework.config import is_op_determinism_enabled

for seed in (3, 4):
    recipe = kerasdl.load_recipe("mlp", data="digits", epochs=1, seed=seed, deterministic=True)
    kerasdl.train(recipe, runs_dir=sys.argv[1], export=False, console=Console(quiet=True))
assert is_op_determinism_enabled()
"""


@pytest.mark.slow  # `test_reproduce.py` compares the weights of two processes by default
def test_the_seed_decides_every_bit(tmp_path):
    """Two processes, since TensorFlow's determinism cannot be turned off again."""
    started = [
        subprocess.Popen([sys.executable, "-c", TRAIN_TWICE, tmp_path / name], stderr=subprocess.PIPE)
        for name in ("first", "second")
    ]
    for process in started:
        _, errors = process.communicate()
        assert process.returncode == 0, errors.decode()

    def weights(name, number):
        network = keras.saving.load_model(tmp_path / name / "mlp" / str(number) / "model.keras")
        return network.get_weights()

    for number in (1, 2):
        for left, right in zip(weights("first", number), weights("second", number), strict=True):
            np.testing.assert_array_equal(left, right)
    changed = [(a != b).any() for a, b in zip(weights("first", 1), weights("first", 2), strict=True)]
    assert all(changed)


EVERYTHING = shlex.split("""
    --strategy cpu:2 --batch-size 128 --gradient-accumulation-steps 2 --global-clip-norm 1 --ema-momentum 0.9
    --optimizer sgd --learning-rate 0.1 --schedule plateau --early-stopping 5 --epochs 3
    --class-weights balanced --label-smoothing 0.1
""")


@pytest.mark.slow
def test_everything_at_once_on_two_replicas(tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO, "kerasdl")
    assert main(["train", "mlp", "--data", "digits", "--no-export", *EVERYTHING]) == 0
    assert "2 replicas" in "".join(capsys.readouterr()) + caplog.text
    network = keras.saving.load_model(tmp_path / "runs/mlp/1/model.keras")
    assert all(np.isfinite(array).all() for array in network.get_weights())


@pytest.mark.slow
def test_validation_split_smaller_than_the_batch_on_two_replicas(tmp_path):
    """143 validation examples: odd, and fewer than a batch."""
    result = train(tmp_path, batch_size=256, strategy="cpu:2")
    assert len(result.recipe.data.load().validation) == 143
    assert_saved_is_that_of_epoch(result, result.run.read_json("metrics.json")["best_epoch"])


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_changeable_learning_rates_on_two_replicas(tmp_path, schedule):
    result = train(tmp_path, strategy="cpu:2", schedule=schedule, epochs=1, learning_rate=5e-3)
    (row,) = history(result)
    assert row["optimizer_learning_rate"] == pytest.approx(5e-3)
    assert_saved_is_that_of_epoch(result, 1)


@pytest.mark.slow
def test_mixed_bfloat16_saves_float32_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(devices.machine, "cpuinfo", lambda: "")  # of a machine that does not tell
    result = train(tmp_path, precision="mixed_bfloat16", epochs=3)
    rows = history(result)
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    network = keras.saving.load_model(result.run.model_file)
    assert {variable.dtype for variable in network.variables} == {"float32"}
    assert {layer.compute_dtype for layer in network._flatten_layers()} == {"float32"}


@pytest.mark.slow
def test_tensorboard_shows_what_the_history_says(tmp_path):
    result = train(tmp_path)
    rows = history(result)
    for folder, prefix in [("train", ""), ("validation", "val_")]:
        events = EventAccumulator(str(result.run.path / "logs" / folder)).Reload()
        assert {"epoch_loss", "epoch_accuracy"} <= set(events.Tags()["tensors"])
        for name in ("loss", "accuracy"):
            shown = [float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(f"epoch_{name}")]
            assert shown == pytest.approx([row[prefix + name] for row in rows], rel=1e-6)


@pytest.mark.slow
def test_recipe_of_the_run_is_that_of_the_result(tmp_path):
    """Both resolved: 50 updates of 20 an epoch are 3 epochs."""
    result = train(tmp_path, epochs=1, min_steps=50)
    assert (result.run.recipe().epochs, result.run.recipe().min_steps) == (3, 0)
    assert len(history(result)) == 3
    assert result.run.recipe() == result.recipe


@pytest.mark.slow
@pytest.mark.parametrize(("momentum", "lags"), [(0.99, True), (0.89, False)])
def test_statistics_that_cannot_follow_are_said(tmp_path, caplog, momentum, lags):
    """In 20 batches; 0.89 ** 20 is 0.097: less than a tenth."""
    network = Config(ConvNet, filters=(4,), normalization_momentum=momentum)
    run = train(tmp_path, model=network, epochs=1).run
    said = "momentum of 0.99: after the 20 batches of this run, 82% of its moving statistics are still the"
    assert (said in caplog.text) == ("Batch normalisation has" in caplog.text) == lags
    if lags:
        caplog.clear()
        train(tmp_path, model=network, epochs=1, gradient_accumulation_steps=16)  # 0.99 ** 320 is 0.04
        train(tmp_path, model=network, epochs=1, weights=str(run.path))
        assert "Batch normalisation has" not in caplog.text


@pytest.mark.slow
def test_a_class_without_weight_is_never_learned(tmp_path):
    weights = (1.0,) * 5 + (0.0,) * 5
    result = train(tmp_path, task=Classification(class_weights=weights), epochs=4)
    answers = np.load(result.run.path / "predictions.npz")
    assert set(answers["class_ids"]) == set(range(5))


@pytest.mark.slow
def test_nothing_of_the_trained_networks_is_held_after_training(tmp_path, monkeypatch):
    """Evaluation and export have the memory of weights, twin and optimizer slots for themselves."""
    make_pair, evaluate = build.make_pair, stages.evaluate_network
    built, alive = [], []

    def watched(plan, check):
        pair = make_pair(plan, check)
        built.extend(weakref.ref(part) for part in (*pair, pair[0].optimizer))
        return pair

    def looking(*given):
        gc.collect()
        alive.extend(reference() for reference in built)
        return evaluate(*given)

    monkeypatch.setattr(build, "make_pair", watched)
    monkeypatch.setattr(stages, "evaluate_network", looking)
    train(tmp_path, ema_momentum=0.9)
    assert alive == [None, None, None]
