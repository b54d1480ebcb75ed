"""A run trained again: which weights are the same, what agrees, and what is refused."""

import csv
import hashlib
import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from rich.console import Console

from kerasdl.cli import main
from kerasdl.data.npz.source import Npz
from kerasdl.errors import UsageError
from kerasdl.jobs import reproduce, train
from kerasdl.models.mlp import MLP
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Config, Recipe
from kerasdl.runs import agreement, receipt
from kerasdl.runs.folder import Run
from kerasdl.tasks.classification.task import Classification
from tests.test_recipe import OWN_RECIPE


def save_examples(path, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(90, dtype=np.int32) % 3
    images = (rng.integers(0, 100, (90, 6, 6)) + 60 * labels[:, None, None]).astype(np.uint8)
    np.savez_compressed(
        path, x_train=images[:60], y_train=labels[:60], x_test=images[60:], y_test=labels[60:]
    )
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run on an .npz file."""
    folder = tmp_path_factory.mktemp("trained")
    source = save_examples(folder / "examples.npz")
    recipe = Recipe(
        name="tiny",
        model=Config(MLP, hidden_units=(8,)),
        data=Npz(path=str(source)),
        task=Classification(),
        preprocessing=Config(ImagePreprocessing),
        epochs=2,
        batch_size=16,
    )
    return train.train(recipe, runs_dir=folder, export=False, console=Console(quiet=True)).run


@pytest.fixture
def pair(trained, tmp_path):
    """The run, and a copy of it that a test may change."""
    shutil.copytree(trained.path, tmp_path / "2")
    return trained, Run(tmp_path / "2")


def edit(run, name, change):
    content = run.read_json(name)
    change(content)
    run.write(name, content)


def shift_weights(run, by):
    network = run.network()
    network.set_weights([weight + np.float32(by) for weight in network.get_weights()])
    network.save(run.model_file)
    edit(run, "receipt.json", lambda receipt: receipt.pop("weights_sha256", None))


def row(found, what):
    return next(row for row in found.rows if row.what == what)


def test_the_hash_is_that_of_shapes_types_and_bytes():
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="first")])
    network.set_weights([np.array([[1.0], [2.0]], np.float32), np.array([3.0], np.float32)])
    content = (
        b"(2, 1) float32\n"
        + np.array([1, 2], "<f4").tobytes()
        + b"(1,) float32\n"
        + np.array([3], "<f4").tobytes()
    )
    assert receipt.hash_weights(network) == hashlib.sha256(content).hexdigest()
    named = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="other")])
    named.set_weights(network.get_weights())
    assert receipt.hash_weights(named) == receipt.hash_weights(network)
    named.set_weights([np.array([[2.0], [1.0]], np.float32), np.array([3.0], np.float32)])
    assert receipt.hash_weights(named) != receipt.hash_weights(network)


@pytest.mark.slow
def test_equal_runs_are_the_same_bit_for_bit(pair):
    found = agreement.compare(*pair, [])
    assert (found.same_weights, found.agrees, found.largest_difference) == (True, True, 0.0)
    assert found.verdict == "Same weights, bit for bit."
    assert all(row.agrees in (True, None) for row in found.rows)


@pytest.mark.slow
def test_another_bit_is_found_and_explained(pair):
    first, second = pair
    shift_weights(second, 1e-3)
    found = agreement.compare(first, second, ["versions tensorflow: 1 then, 2 now"])
    assert not found.same_weights
    assert found.agrees  # the run was not deterministic, and the figures are the same
    assert found.largest_difference == pytest.approx(1e-3, rel=1e-3)
    assert "not deterministic" in found.verdict
    assert "tensorflow: 1 then, 2 now" in found.verdict


@pytest.mark.slow
def test_a_deterministic_run_has_to_give_the_same_weights(pair):
    first, second = pair
    shift_weights(second, 1e-3)
    copy = second.path.parent / "first"
    shutil.copytree(first.path, copy)
    edit(Run(copy), "receipt.json", lambda receipt: receipt.update(deterministic=True))
    found = agreement.compare(Run(copy), second, [])
    assert not found.agrees
    assert "Nothing is known that would explain it" in found.verdict


@pytest.mark.slow
@pytest.mark.parametrize(("accuracy", "agrees"), [(0.5, True), (0.61, False), (0.39, False)])
def test_figures_agree_within_their_interval(pair, accuracy, agrees):
    first, second = pair
    shift_weights(second, 1e-3)
    copy = Run(second.path.parent / "first")
    shutil.copytree(first.path, copy.path)
    edit(copy, "metrics.json", lambda it: it["test"].update(accuracy=0.45, accuracy_interval=[0.4, 0.6]))
    edit(second, "metrics.json", lambda it: it["test"].update(accuracy=accuracy))
    found = agreement.compare(copy, second, [])
    assert found.agrees == agrees
    assert row(found, "test accuracy").agrees == agrees
    assert "0.4 to 0.6" in row(found, "test accuracy").first


@pytest.mark.slow
@pytest.mark.parametrize(("accuracy", "agrees"), [(0.98, True), (0.94, False)])
def test_figures_of_older_runs_agree_within_five_percent(pair, accuracy, agrees):
    first, second = pair
    shift_weights(second, 1e-3)
    copy = Run(second.path.parent / "first")
    shutil.copytree(first.path, copy.path)
    copy.write("metrics.json", {"best_epoch": 1, "epochs": 2, "test": {"accuracy": 1.0, "crossentropy": 0.1}})
    second.write("metrics.json", {"best_epoch": 1, "test": {"accuracy": accuracy, "crossentropy": 0.5}})
    assert agreement.compare(copy, second, []).agrees == agrees


@pytest.mark.slow
def test_history_is_compared_line_by_line_without_seconds(pair):
    first, second = pair
    path = second.path / "history.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    for line in rows:
        line["seconds"] = "99"
    write(path, rows)
    assert row(agreement.compare(first, second, []), "history.csv").agrees
    rows[1]["loss"] = str(float(rows[1]["loss"]) + 0.25)
    write(path, rows)
    found = row(agreement.compare(first, second, []), "history.csv")
    assert not found.agrees
    assert "1 of 2 lines agree, epoch 2 differs first, most in loss by 0.25" in found.second


def write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.slow
def test_what_differs_now_is_said(pair):
    _, run = pair
    assert reproduce.differences_now(run) == []

    def older(receipt):
        receipt["versions"]["tensorflow"] = "2.0.0"
        receipt["hardware"]["processor"] = "Abacus"
        receipt["hardware"]["memory_gib"] = 0.1

    edit(run, "receipt.json", older)
    found = reproduce.differences_now(run)
    assert len(found) == 2
    assert found[0].startswith("versions tensorflow: 2.0.0 then, ")
    assert found[1].startswith("hardware processor: Abacus then, ")


@pytest.mark.slow
def test_runs_that_never_finished_are_refused(pair):
    _, run = pair
    edit(run, "status.json", lambda status: status.update(stage="training"))
    with pytest.raises(UsageError, match=r"never finished.*kerasdl train --resume"):
        reproduce.check_finished(run)
    edit(run, "status.json", lambda status: status.update(stage="finished"))
    reproduce.check_finished(run)
    edit(run, "metrics.json", lambda metrics: metrics.pop("test"))
    with pytest.raises(UsageError, match="no test figures"):
        reproduce.check_finished(run)


@pytest.mark.slow
def test_moved_data_is_taken_and_other_data_refused(pair, tmp_path):
    first, _ = pair
    moved = tmp_path / "elsewhere.npz"
    shutil.copy(first.recipe().data.path, moved)
    assert reproduce.check_data(first, str(moved)).data.path == str(moved)
    other = save_examples(tmp_path / "other.npz", seed=1)
    with pytest.raises(UsageError, match="not the data"):
        reproduce.check_data(first, str(other))
    assert (
        main(["reproduce", str(first.path), "--data", str(other), "--runs-dir", str(tmp_path / "runs")]) == 2
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_the_command_gives_the_same_weights_in_another_process(tmp_path):
    """Of a recipe of the user's own, whose file is gone by then: the run has its copy."""

    def run(*arguments):
        ran = subprocess.run(
            [sys.executable, "-m", "kerasdl", *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    (tmp_path / "mine.py").write_text(OWN_RECIPE)
    run("train", "mine.py", "--no-export", "--deterministic", "--strategy", "cpu:2")
    (tmp_path / "mine.py").unlink()
    found = json.loads(run("reproduce", "runs/mine/1", "--json"))
    assert (found["same_weights"], found["agrees"]) == (True, True)
    assert found["verdict"] == "Same weights, bit for bit."
    assert (tmp_path / "runs/mine/2/recipe.py").read_text() == OWN_RECIPE


@pytest.mark.slow
def test_the_command_prints_what_agrees(pair, tmp_path, capsys):
    first, _ = pair
    assert main(["reproduce", str(first.path), "--runs-dir", str(tmp_path / "runs")]) == 0
    out = capsys.readouterr().out
    assert "weights (SHA-256)" in out
    assert "seed 0" in out
    assert "weights" in out.splitlines()[-1]
