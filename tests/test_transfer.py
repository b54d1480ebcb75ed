"""Training in two phases, with a part of the network frozen and then with all of it."""

import dataclasses
import functools
import itertools
import json
import os
import shutil
import signal

import numpy as np
import pytest
from rich.console import Console

from kerasdl.data.images.digits import Digits
from kerasdl.errors import UsageError
from kerasdl.jobs import lr_find
from kerasdl.jobs import train as trainer
from kerasdl.jobs.resume import resume
from kerasdl.layers import BatchNormalization
from kerasdl.models.convnet import ConvNet
from kerasdl.network import parts as backbone
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Config, Recipe
from kerasdl.runs.folder import Run
from kerasdl.tasks.classification.task import Classification
from kerasdl.training import build
from kerasdl.training.callbacks.position import Position
from kerasdl.training.devices import Devices
from kerasdl.training.interruption import Interrupted
from kerasdl.training.plan import plan_run

QUIET = Console(quiet=True)


class FirstIsBest(Classification):
    """Finds each epoch worse than the one before."""

    asked = itertools.count()

    def score(self, logs):
        return (-float(next(self.asked)),)


def make_recipe(**fields):
    parts = {
        "model": Config(ConvNet, filters=(4, 6), dropout=0.2),
        "data": Digits(classes=("5", "6", "7"), images_per_class=60),
        "task": Classification(),
        "preprocessing": Config(ImagePreprocessing),
    }
    given = {"epochs": 3, "batch_size": 20, "learning_rate": 5e-3, "checkpoint_every": "4"}
    return Recipe(name="tiny", **{**parts, **given, **fields})


def train(folder, **fields):
    return trainer.train(make_recipe(**fields), runs_dir=folder, export=False, console=QUIET).run


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A run on other classes, whose preprocessing has measured something."""
    return train(
        tmp_path_factory.mktemp("source"),
        data=Digits(classes=("0", "1", "2", "3")),
        preprocessing=Config(ImagePreprocessing, standardize=True),
    )


@pytest.fixture
def transfer(source):
    return phases(source)


def phases(source):
    """Return fields of a recipe with both phases: 9 steps an epoch, the border is after step 18."""
    return {
        "weights": str(source.path), "freeze": "backbone", "epochs": 2, "fine_tune_epochs": 2,
        "fine_tune_learning_rate": 2e-3, "weight_decay": 0.01,
    }  # fmt: skip


def rows(run):
    lines = [line.split(",") for line in (run.path / "history.csv").read_text().splitlines()]
    return [dict(zip(lines[0], map(float, line), strict=True)) for line in lines[1:]]


def assert_equal_weights(run, other):
    for left, right in zip(run.network().get_weights(), other.network().get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def _stop_at(step):
    """Return a callback's methods that send this process the signal that ends a training, at one step."""
    count, end = Position.on_train_batch_end, Position.on_epoch_end

    def on_train_batch_end(self, batch, logs=None):
        count(self, batch, logs)
        if self.num_updates >= step and self.step < self.steps_per_epoch:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_epoch_end(self, epoch, logs=None):
        end(self, epoch, logs)
        if self.num_updates == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return on_train_batch_end, on_epoch_end


def stopped_at(step, folder, monkeypatch, **fields):
    with monkeypatch.context() as patch:
        batch_end, epoch_end = _stop_at(step)
        patch.setattr(Position, "on_epoch_end", epoch_end)
        if step % 9:
            patch.setattr(Position, "on_train_batch_end", batch_end)
        with pytest.raises(Interrupted):
            train(folder, **fields)
    return Run(folder / "tiny/1")


@pytest.mark.slow
def test_what_is_frozen_does_not_move_and_the_head_does(tmp_path, source, transfer):
    frozen = {**transfer, "fine_tune_epochs": 0, "fine_tune_learning_rate": None}
    before, after = source.network(), train(tmp_path, **frozen).network()
    for left, right in zip(before.get_weights()[:-2], after.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(left, right)  # moving statistics included
    assert after.head.kernel.shape[-1] == 3
    assert all(layer.trainable for layer in after._flatten_layers())
    assert len(after.trainable_variables) == 8


@pytest.mark.slow
def test_frozen_batch_norm_takes_its_moving_statistics(source, transfer):
    recipe = make_recipe(**transfer)
    network, _ = build.make_pair(plan_run(recipe, recipe.data.load(), Devices()))
    (layer, *_) = (one for one in backbone.layers(network) if isinstance(one, BatchNormalization))
    inputs = np.random.default_rng(0).normal(3, 2, (4, 8, 8, layer.gamma.shape[0])).astype(np.float32)
    np.testing.assert_allclose(layer(inputs, training=True), layer(inputs, training=False), atol=1e-5)


@pytest.mark.slow
def test_optimizers_hold_only_what_trains(source, transfer):
    recipe = make_recipe(**transfer)
    plan = plan_run(recipe, recipe.data.load(), Devices())
    network, _ = build.make_pair(plan)
    assert len(network.optimizer._trainable_variables) == 2
    build.begin_phase(network, plan, plan.phases[1])
    assert len(network.optimizer._trainable_variables) == 8


@pytest.mark.slow
def test_fine_tuning_moves_all_from_a_lower_rate(tmp_path, source, transfer):
    run = train(tmp_path, **transfer)
    rates = [row["optimizer_learning_rate"] for row in rows(run)]
    assert len(rates) == 4 and rates[0] > rates[1]
    assert rates[2] == pytest.approx(2e-3 / 2, rel=0.02)  # half of the cosine over the phase's own 18 steps
    assert rates[3] == pytest.approx(0, abs=1e-8)
    status = run.read_json("status.json")
    assert (status["epoch"], status["epochs"], status["step"]) == (4, 4, 36)
    receipt = run.read_json("receipt.json")
    assert receipt["weights"]["path"] == str(source.model_file) and len(receipt["weights"]["sha256"]) == 64


@pytest.mark.parametrize("schedule", ["one_cycle", "plateau", "step"])
def test_the_default_rate_of_fine_tuning_is_a_tenth(schedule):
    fields = {"weights": "x", "freeze": 2, "fine_tune_epochs": 3, "warmup_epochs": 0}
    recipe = make_recipe(schedule=schedule, **fields)
    plan = plan_run(recipe, recipe.data.load(), Devices(), has_begun=True)
    first, second = plan.phases
    assert (first.recipe.epochs, second.recipe.epochs, second.first_epoch) == (3, 3, 3)
    assert second.recipe.learning_rate == pytest.approx(5e-4)
    assert plan.phase_at(2) is first and plan.phase_at(3) is second


VARIANTS = {
    "plain": {},
    "averages and micro-batches": {
        "ema_momentum": 0.9,
        "gradient_accumulation_steps": 2,
        "schedule": "plateau",
    },
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, source):
    """Return a function that trains a variant without interruption, once."""
    return functools.cache(
        lambda variant: train(tmp_path_factory.mktemp("whole"), **phases(source), **VARIANTS[variant])
    )


@pytest.mark.slow
@pytest.mark.parametrize("step", [5, 18, 25])
@pytest.mark.parametrize("variant", VARIANTS)
def test_both_phases_go_on_exactly_without_the_file_of_weights(
    tmp_path, source, whole, monkeypatch, variant, step
):
    copy = tmp_path / "source"
    shutil.copytree(source.path, copy)
    fields = {**phases(source), **VARIANTS[variant], "weights": str(copy)}
    whole = whole(variant)
    run = stopped_at(step, tmp_path / "cut", monkeypatch, **fields)
    shutil.rmtree(copy)
    state = json.loads(max(run.checkpoints.glob("*/state.json")).read_text())
    assert (state["position"]["num_updates"] >= step) and state["phase"] == (step > 18)
    resume(run.path, console=QUIET)
    assert_equal_weights(run, whole)
    assert [{**row, "seconds": 0} for row in rows(run)] == [{**row, "seconds": 0} for row in rows(whole)]
    assert run.read_json("receipt.json")["weights"]["path"] == str(copy / "model.keras")


@pytest.mark.slow
def test_more_epochs_of_fine_tuning(tmp_path, transfer):
    transfer |= {"schedule": "constant"}
    whole = train(tmp_path / "whole", **transfer)
    run = train(tmp_path / "short", **{**transfer, "fine_tune_epochs": 1})
    recipe = dataclasses.replace(run.recipe(), fine_tune_epochs=2)
    resume(run.path, recipe=recipe, console=QUIET)
    assert_equal_weights(run, whole)
    with pytest.raises(UsageError, match="fine-tunes already"):
        resume(run.path, recipe=dataclasses.replace(recipe, epochs=5), console=QUIET)


@pytest.mark.slow
def test_patience_begins_anew_with_the_second_phase(tmp_path, transfer):
    """Epoch 1 stays the best: without a new beginning, training would stop after epoch 3."""
    transfer |= {"task": FirstIsBest(), "fine_tune_epochs": 6, "early_stopping": 2}
    run = train(tmp_path, **transfer)
    figures = run.read_json("metrics.json")
    assert (figures["best_epoch"], figures["epochs"]) == (1, 4)


@pytest.mark.slow
def test_two_phases_on_two_replicas(tmp_path, transfer):
    run = train(tmp_path, strategy="cpu:2", **transfer)
    assert len(rows(run)) == 4
    assert all(np.isfinite(array).all() for array in run.network().get_weights())


@pytest.mark.slow
def test_a_search_for_the_learning_rate_freezes_too(transfer, monkeypatch):
    held = {}

    def spy(network, blocks):
        held["trained"] = len(network.optimizer._trainable_variables)
        raise KeyboardInterrupt

    monkeypatch.setattr(lr_find, "Loop", spy)
    with pytest.raises(KeyboardInterrupt):
        lr_find.range_test(make_recipe(**transfer), steps=20)
    assert held == {"trained": 2}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"fine_tune_epochs": 2}, "nothing is frozen before them"),
        ({"freeze": 0}, "a number of layers from 1 on"),
        ({"freeze": "backbone", "fine_tune_learning_rate": 1e-3}, "no epochs to use it in"),
        ({"freeze": "head"}, "freeze is 'head'"),
    ],
)
def test_contradictions_are_refused(fields, words):
    with pytest.raises(UsageError, match=words):
        make_recipe(**fields)


def test_what_would_stay_random_is_not_frozen(tmp_path):
    with pytest.raises(UsageError, match=r"would stay random\. Give --weights RUN"):
        train(tmp_path, freeze="backbone")
    assert not list(tmp_path.rglob("recipe.json"))


@pytest.mark.slow
def test_a_dry_run_goes_through_both_phases(transfer, capsys):
    recipe = make_recipe(**transfer)
    console = Console(width=120)
    trainer.train(recipe, dry_run=True, export=False, console=console)
    assert "epoch 2/2" in capsys.readouterr().out
