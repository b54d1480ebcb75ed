"""When a run may go on and when not, what damaged checkpoints cost, and runs that end early on purpose."""

import dataclasses
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from kerasdl import checkpointing, checkpoints, fitting, resuming, trainer
from kerasdl.callbacks import Position
from kerasdl.data.digits import Digits
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.interruption import Interrupted, Interruptions
from kerasdl.models.mlp import MLP
from kerasdl.preprocessing import ImagePreprocessing
from kerasdl.recipe import Config, Recipe
from kerasdl.run import Run
from kerasdl.tasks.classification import Classification

QUIET = Console(quiet=True)


def make_recipe(**fields):
    fields = {"epochs": 3, "batch_size": 64, "learning_rate": 5e-3, "checkpoint_every": "7", **fields}
    return Recipe(
        name="tiny",
        model=Config(MLP, hidden_units=(16,)),
        data=Digits(),
        task=Classification(),
        preprocessing=Config(ImagePreprocessing),
        **fields,
    )


def train(folder, **fields):
    return trainer.train(make_recipe(**fields), runs_dir=folder, export=False, console=QUIET)


def resume(run, **options):
    changes = {name: options.pop(name) for name in list(options) if name not in ("force", "export")}
    recipe = dataclasses.replace(run.recipe(), **changes) if changes else None
    return trainer.resume(run.path, recipe=recipe, console=QUIET, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run that is finished; nothing changes it."""
    return train(tmp_path_factory.mktemp("finished")).run.path


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a run that stopped in its second epoch; nothing changes it."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Position, "on_train_batch_end", _stop_in_second_epoch(Position.on_train_batch_end))
        with pytest.raises(Interrupted):
            train(folder)
    return folder / "tiny/1"


def _stop_in_second_epoch(count):
    """Return a callback's method that sends this process the signal that ends a training."""

    def on_train_batch_end(self, batch, logs=None):
        count(self, batch, logs)
        if self.num_updates >= 25:
            os.kill(os.getpid(), signal.SIGTERM)

    return on_train_batch_end


@pytest.fixture
def copy_of(tmp_path):
    def make(path):
        return Run(shutil.copytree(path, tmp_path / "runs/tiny/1"))

    return make


def weights(run):
    return run.network().get_weights()


def assert_equal_weights(run, other):
    for left, right in zip(weights(run), weights(other), strict=True):
        np.testing.assert_array_equal(left, right)


def test_going_on_ends_where_the_uninterrupted_run_ended(stopped, finished, copy_of):
    run = copy_of(stopped)
    assert not run.is_finished()
    result = resume(run)
    assert run.is_finished()
    assert_equal_weights(run, Run(finished))
    assert result.metrics == Run(finished).read_json("metrics.json")["test"]
    assert run.read_json("receipt.json")["resumed"][0]["step"] >= 25


def test_a_finished_run_is_left_alone(finished, copy_of, caplog):
    run = copy_of(finished)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.name != ".lock"}
    caplog.set_level(logging.INFO, "kerasdl")
    assert resume(run).metrics["accuracy"] > 0.5
    assert "is finished; there is nothing to do" in caplog.text
    assert before == {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.name != ".lock"}


def test_more_epochs(finished, copy_of):
    run = copy_of(finished)
    resume(run, epochs=5)
    assert run.read_json("metrics.json")["epochs"] == 5
    assert len((run.path / "history.csv").read_text().splitlines()) == 1 + 5
    assert run.recipe().epochs == 5
    with pytest.raises(UsageError, match="epochs was 5, now it is 4"):
        resume(run, epochs=4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.1}, "learning_rate was 0.005, now it is 0.1"),
        ({"seed": 3}, "seed was 0, now it is 3"),
        ({"model": Config(MLP, hidden_units=(17,))}, r"model.hidden_units was \[16\], now it is \[17\]"),
        ({"data": Digits(validation_fraction=0.2)}, "other data"),
        ({"strategy": "none"}, "strategy was auto, now it is none"),
    ],
)
def test_another_recipe_is_refused(stopped, copy_of, changes, message):
    run = copy_of(stopped)
    with pytest.raises(UsageError, match=message) as caught:
        resume(run, **changes)
    assert "--force" in str(caught.value)
    assert run.recipe() == Run(stopped).recipe()


def test_force_goes_on_and_says_what_differs(stopped, copy_of, caplog):
    run = copy_of(stopped)
    resume(run, learning_rate=0.1, force=True)
    assert "learning_rate was 0.005, now it is 0.1" in caplog.text
    assert run.is_finished()


def test_force_cannot_fit_other_weights(stopped, copy_of):
    run = copy_of(stopped)
    with pytest.raises(UsageError, match="was written by another network"):
        resume(run, model=Config(MLP, hidden_units=(17,)), force=True)


def test_another_version_is_refused(stopped, copy_of, monkeypatch):
    versions = {**resuming.receipt.versions(), "tensorflow": "1.15"}
    monkeypatch.setattr(resuming.receipt, "versions", lambda: versions)
    with pytest.raises(UsageError, match=r"tensorflow was 2\.\d+\.\d+, now it is 1.15"):
        resume(copy_of(stopped))


def test_two_processes_on_one_run(stopped, copy_of):
    run = copy_of(stopped)
    with run.locked():
        assert run.is_active()
        with pytest.raises(UsageError, match=f"process {os.getpid()}"):
            resume(run)
    assert not run.is_active()


def test_a_dead_owner_holds_no_lock(stopped, copy_of):
    run = copy_of(stopped)
    code = (
        "import os, pathlib; from kerasdl.run import Run\n"
        f"with Run(pathlib.Path({str(run.path)!r})).locked(): print('locked', flush=True); input()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout.readline() == "locked\n"
    assert run.is_active()
    owner.kill()
    owner.wait()
    with run.locked():
        pass


def truncate(path):
    os.truncate(path / "variables.npz", 1000)


def flip(path):
    content = bytearray((path / "variables.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (path / "variables.npz").write_bytes(content)


def tear_state(path):
    (path / "state.json").write_text("{")


def lose_sums(path):
    (path / "SHA256SUMS").unlink()


@pytest.mark.parametrize("damage", [truncate, flip, tear_state, lose_sums])
def test_the_checkpoint_before_a_damaged_one(stopped, finished, copy_of, caplog, damage):
    run = copy_of(stopped)
    numbers = sorted(int(path.name) for path in run.checkpoints.iterdir())
    assert len(numbers) == 2
    damage(run.checkpoints / f"{numbers[-1]:08}")
    assert int(checkpoints.newest(run.checkpoints).path.name) == numbers[0]
    assert "is damaged" in caplog.text
    if damage is flip:  # and the end is the same
        resume(run)
        assert_equal_weights(run, Run(finished))


def test_without_any_checkpoint_the_run_begins_anew(stopped, finished, copy_of):
    run = copy_of(stopped)
    shutil.rmtree(run.checkpoints)
    resume(run)
    assert_equal_weights(run, Run(finished))


def test_what_is_not_a_run(finished, tmp_path):
    with pytest.raises(UsageError, match="is not a run"):
        trainer.resume(tmp_path)
    with pytest.raises(UsageError, match=f"for example {finished}"):
        trainer.resume(finished.parent)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_finish_the_step_and_say_how_to_go_on(tmp_path, signum, code):
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    program = (  # a shell in the background has SIGINT ignored: set it as a terminal has it
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from kerasdl.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = ["train", "mlp", "--data", "digits", "--epochs", "100000", "--no-export"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *command],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout.readline().startswith("epoch 1/")
    process.send_signal(signum)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert errors.endswith("  kerasdl train --resume runs/mlp/1\n")
    run = Run(tmp_path / "runs/mlp/1")
    step = checkpoints.newest(run.checkpoints).state["position"]["num_updates"]
    assert f"Stopped after step {step:,}" in errors
    assert not run.is_active()


def test_a_second_signal_does_not_wait():
    with Interruptions() as interruptions, pytest.raises(Interrupted), interruptions.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            time.sleep(0.001)
            if interruptions.signum == signal.SIGTERM:
                break
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
        pytest.fail("waited")


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruptions() as interruptions:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
            assert interruptions.signum is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_max_time_ends_the_epoch_and_the_run(tmp_path):
    result = train(tmp_path, epochs=100_000, max_time="3s")
    status = result.run.read_json("status.json")
    assert status["stopped"] == "max time"
    assert 3 <= status["elapsed_seconds"] < 6
    assert result.metrics["accuracy"] > 0.5
    with pytest.raises(UsageError, match="max_time was 3s, now it is 2s"):
        resume(result.run, max_time="2s")
    resume(result.run, max_time="4s")
    assert 4 <= result.run.read_json("status.json")["elapsed_seconds"] < 7


@pytest.mark.parametrize(("limit", "steps"), [(3, 3), (0.5, 10), (1.0, 20), (1000, 20), (1e-6, 1)])
def test_limited_batches(limit, steps):
    recipe, splits = make_recipe(limit_train_batches=limit), Digits().load()
    assert fitting.resolve(recipe, splits)[2] == steps


def test_one_batch_is_learned_by_heart(tmp_path):
    result = train(tmp_path, overfit_batches=1)
    assert result.run.read_json("status.json")["stopped"] == "learned"
    last = (result.run.path / "history.csv").read_text().splitlines()[-1].split(",")
    assert float(last[1]) > 0.9


def test_a_network_that_cannot_learn_is_told_so(tmp_path):
    with pytest.raises(RunFailedError, match="could not learn one batch by heart in 500 steps"):
        train(tmp_path, overfit_batches=1, optimizer="sgd", learning_rate=1e-12)


@pytest.mark.parametrize("text", ["0", "-3", "10", "1x", "1.5", "5m3h", "", "m"])
def test_spans_of_time_that_are_none(text):
    with pytest.raises(UsageError, match="span of time"):
        make_recipe(max_time=text)


@pytest.mark.parametrize(
    ("text", "steps", "seconds"), [("7", 7, np.inf), ("1h30m", np.inf, 5400), ("none", np.inf, np.inf)]
)
def test_how_often_checkpoints_are_written(text, steps, seconds):
    keeper = checkpointing.Checkpoints(None, None, text, dict, None, 1)
    assert (keeper.every_steps, keeper.every_seconds) == (steps, seconds)


@pytest.mark.parametrize("text", ["0", "often", "1.5"])
def test_how_often_checkpoints_cannot_be_written(text):
    with pytest.raises(UsageError, match="checkpoint_every is"):
        make_recipe(checkpoint_every=text)


def test_only_the_newest_two_checkpoints_stay(finished):
    assert len(list((finished / "checkpoints").iterdir())) == 2


def test_sha256sum_reads_the_sums(finished):
    newest = checkpoints.newest(finished / "checkpoints").path
    assert {path.name for path in Path(newest).iterdir()} == {
        "variables.npz", "state.json", "model.keras", "SHA256SUMS",
    }  # fmt: skip
    ran = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=newest, capture_output=True, text=True)
    assert ran.returncode == 0
    assert ran.stdout.count(": OK") == 3
