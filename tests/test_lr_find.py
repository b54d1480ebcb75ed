"""The learning-rate range test: its judgement on made-up curves, and real ones on the bundled digits."""

import json
import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.cli import main
from kerasdl.cli.commands.lr_find import train_command
from kerasdl.data import batches
from kerasdl.data.images.augment import ImageAugmentation
from kerasdl.data.images.digits import Digits
from kerasdl.errors import UsageError
from kerasdl.jobs import lr_find, recipe_data
from kerasdl.models.mlp import MLP
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Config, Recipe
from kerasdl.tasks.classification.task import Classification
from kerasdl.training import build, preparation
from kerasdl.training.loop import Loop

RATES = np.geomspace(1e-6, 10, 200)


def recipe(**fields):
    fields = {"task": Classification(), "batch_size": 64, "optimizer": "sgd", **fields}
    return Recipe(
        name="tiny",
        model=Config(MLP, hidden_units=(16,)),
        data=Digits(),
        preprocessing=Config(ImagePreprocessing),
        **fields,
    )


def curve(center=1e-3, minimum=1e-2, noise=0.0):
    """A loss that falls from 2.3 to 0.3 as a logistic around `center` and rises after `minimum`."""
    log = np.log10(RATES)
    falling = 0.3 + 2.0 / (1 + np.exp(8 * (log - math.log10(center))))
    rising = 3.0 * np.maximum(log - math.log10(minimum), 0) ** 2
    return falling + rising + noise * np.random.default_rng(0).normal(size=len(RATES))


@pytest.mark.parametrize("center", [1e-5, 1e-3, 1e-1])
def test_the_suggestion_is_the_steepest_descent(center):
    found = lr_find.judge(RATES, curve(center, 10 * center), "")
    assert center < found.suggestion < 2.5 * center  # the average lags a little behind
    assert center < found.tenth_of_minimum < 3 * center
    assert found.note == ""


def test_a_steeper_fall_after_the_minimum_does_not_count():
    losses = curve()
    losses[150:160] = 40.0  # it ran away and came back
    assert lr_find.judge(RATES, losses, "").suggestion < 2.5e-3


@pytest.mark.parametrize("level", [2.3, 0.0, -5.0])
def test_no_suggestion_where_the_loss_never_fell(level):
    noise = 0.05 * np.random.default_rng(1).normal(size=len(RATES))
    losses = level + noise + np.maximum(np.log10(RATES), 0)
    found = lr_find.judge(RATES, losses, "")
    assert found.suggestion is None
    assert found.tenth_of_minimum is None
    assert "never fell" in found.note
    assert "No learning rate can be suggested" in lr_find.answer(recipe(), found)


def test_losses_below_zero_are_judged_alike():
    assert lr_find.judge(RATES, curve() - 50, "").suggestion == lr_find.judge(RATES, curve(), "").suggestion


def test_what_is_not_finite_ends_the_judged_part():
    losses = curve()
    losses[140:] = np.nan
    found = lr_find.judge(RATES, losses, "")
    assert found.suggestion == lr_find.judge(RATES[:140], losses[:140], "").suggestion
    assert found.describe()["losses"][140:] == [None] * 60
    assert lr_find.judge(RATES[:3], [math.nan] * 3, "").suggestion is None


def test_a_loss_that_falls_to_the_end_asks_for_a_wider_range():
    assert "higher --max-learning-rate" in lr_find.judge(RATES[:105], curve()[:105], "").note


def test_the_average_is_corrected_for_its_beginning():
    assert lr_find.smooth([3.0] * 50) == pytest.approx([3.0] * 50)
    first, second = lr_find.smooth([1.0, 2.0])
    assert (first, second) == pytest.approx((1.0, (0.9 * 1 + 2) / 1.9))


@pytest.mark.slow
def test_each_loss_is_that_of_its_own_batch():
    """Against updates by hand: the batches, their losses before the update, and the rates."""
    wanted = recipe()
    found = lr_find.range_test(wanted, min_learning_rate=1e-3, max_learning_rate=1.0, steps=20)
    assert found.learning_rates == pytest.approx(np.geomspace(1e-3, 1.0, 20))

    splits = recipe_data.load(wanted.data, wanted.task)
    keras.utils.set_random_seed(wanted.seed)
    network = build.make_network(
        wanted, splits, preparation.make_preprocessing(wanted.preprocessing, splits, wanted.batch_size)
    )
    optimizer = keras.optimizers.SGD(momentum=wanted.momentum)
    optimizer.build(network.trainable_variables)
    dataset = batches.training_batches(splits.train, batch_size=64, seed=wanted.seed)
    losses = []
    for rate, (features, labels) in zip(np.geomspace(1e-3, 1.0, 20), dataset, strict=False):
        with tf.GradientTape() as tape:
            loss = wanted.task.loss(None)(labels, network(features, training=True))
        losses.append(float(loss))
        optimizer.learning_rate = rate
        optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
    assert found.losses == pytest.approx(losses, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("mixing", [{"mixup": 0.4}, {"cutmix": 1.0}], ids=str)
def test_mixed_labels_have_the_weights_of_their_classes(monkeypatch, mixing):
    """Keras's `fit` would take the largest of a mixed label's three numbers for its class."""
    task = Classification(class_weights=tuple(map(float, range(1, 11))))
    wanted = recipe(task=task, augmentation=ImageAugmentation(**mixing))
    given = {}

    def watched(network, blocks):
        features, labels, weights = (part[0] for part in next(iter(blocks)))
        outputs = network(features, training=True)
        given["loss"] = float(task.loss(None)(labels, outputs, sample_weight=weights))
        given["labels"], given["weights"] = labels, weights
        return Loop(network, blocks)

    monkeypatch.setattr(lr_find, "Loop", watched)
    found = lr_find.range_test(wanted, steps=20)
    first, second, share = np.transpose(given["labels"])
    assert np.any((share > 0) & (share < 1) & (first != second))
    expected = share * (1 + first) + (1 - share) * (1 + second)
    np.testing.assert_allclose(given["weights"], expected, rtol=1e-5)
    assert found.losses[0] == pytest.approx(given["loss"], rel=1e-4)


@pytest.mark.slow
def test_two_replicas_and_micro_batches_see_what_one_sees():
    wanted = {"min_learning_rate": 1e-3, "max_learning_rate": 1.0, "steps": 20}
    one = lr_find.range_test(recipe(), **wanted)
    two = lr_find.range_test(recipe(strategy="cpu:2", gradient_accumulation_steps=2), **wanted)
    assert two.losses == pytest.approx(one.losses, rel=1e-4)


@pytest.mark.slow
def test_it_stops_when_the_loss_has_run_away():
    found = lr_find.range_test(recipe(), max_learning_rate=1e6, steps=100)
    assert len(found.losses) < 100
    assert f"at update {len(found.losses)} of 100" in found.stopped
    assert 0.003 < found.suggestion < 3


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_schedule_average_and_precision_of_the_recipe_do_not_disturb(precision):
    """A warm-up would begin with a learning rate of 0, and so would its loss."""
    plain = lr_find.range_test(
        recipe(precision=precision, schedule="constant"), steps=20, min_learning_rate=1e-3
    )
    other = recipe(
        precision=precision, schedule="cosine", warmup_epochs=1.0, epochs=2, ema_momentum=0.9, min_steps=500
    )
    assert lr_find.range_test(other, steps=20, min_learning_rate=1e-3).losses == plain.losses
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_learning_rate": 0.0}, "above 0"),
        ({"min_learning_rate": 1.0, "max_learning_rate": 0.1}, "no range"),
        ({"steps": 3}, "--steps 20"),
    ],
)
def test_ranges_that_are_none(arguments, message):
    with pytest.raises(UsageError, match=message):
        lr_find.range_test(recipe(), **arguments)


@pytest.mark.slow
def test_the_command_answers_and_writes_the_plot(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["lr-find", "mlp", "--data", "digits", "--steps", "60", "--hidden-units", "16"]) == 0
    out = capsys.readouterr().out
    command = re.search(r"kerasdl train mlp --data digits --hidden-units 16 --learning-rate [\d.e-]+", out)
    assert command
    assert "<- steepest descent" in out
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    page = (tmp_path / "runs/lr-find/mlp.html").read_text()
    assert command[0] in page
    assert "Plotly" in page
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="http', page)


@pytest.mark.slow
def test_json_is_one_document(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["lr-find", "mlp", "--data", "digits", "--steps", "40", "--json", "--html", "plot.html"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["html"] == "plot.html"
    assert (tmp_path / "plot.html").is_file()
    assert len(found["losses"]) == len(found["learning_rates"]) == len(found["smoothed"])
    assert found["command"].endswith(f"--learning-rate {found['suggestion']:.2g}")


@pytest.mark.slow
def test_no_suggestion_is_exit_code_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["--min-learning-rate", "1e-9", "--max-learning-rate", "1e-8", "--steps", "20"]
    assert main(["lr-find", "mlp", "--data", "digits", *arguments]) == 1
    assert "No learning rate can be suggested" in capsys.readouterr().out


def test_mistakes_are_said_before_the_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["lr-find", "mlp", "--data", "digits", "--html", "missing/plot.html"]) == 2
    assert "--html" in capsys.readouterr().err
    assert main(["lr-find"]) == 2
    assert "kerasdl lr-find lenet5" in capsys.readouterr().err


def test_the_command_to_train_leaves_out_what_is_not_for_it():
    given = ["./my recipe.py", "--steps", "50", "--learning-rate=1", "--json", "--html=x.html", "--seed", "3"]
    assert train_command(given, 0.00123) == "kerasdl train './my recipe.py' --seed 3 --learning-rate 0.0012"
    assert train_command(given, None) is None
