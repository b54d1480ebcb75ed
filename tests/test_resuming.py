"""When a run may go on and when not, what damaged checkpoints cost, and runs that end early on purpose."""

import dataclasses
import errno
import functools
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from kerasdl.data.images.digits import Digits
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.jobs import resume as job
from kerasdl.jobs import train as trainer
from kerasdl.models.mlp import MLP
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Config, Recipe
from kerasdl.runs.folder import Run
from kerasdl.tasks.classification.task import Classification
from kerasdl.training import checkpoint
from kerasdl.training import resume as resuming
from kerasdl.training.callbacks import checkpoint_writer
from kerasdl.training.callbacks.best import Best
from kerasdl.training.callbacks.position import Position
from kerasdl.training.devices import Devices
from kerasdl.training.interruption import Interrupted, Interruptions
from kerasdl.training.plan import plan_run
from tests.cases import TwoOptimizers

QUIET = Console(quiet=True)


def make_recipe(**fields):
    parts = {"model": Config(MLP, hidden_units=(16,)), "data": Digits(), "task": Classification()}
    fields = {"epochs": 3, "batch_size": 64, "learning_rate": 5e-3, "checkpoint_every": "7", **fields}
    return Recipe(name="tiny", preprocessing=Config(ImagePreprocessing), **{**parts, **fields})


def train(folder, **fields):
    return trainer.train(make_recipe(**fields), runs_dir=folder, export=False, console=QUIET)


def resume(run, **options):
    changes = {name: options.pop(name) for name in list(options) if name not in ("force", "export")}
    recipe = dataclasses.replace(run.recipe(), **changes) if changes else None
    return job.resume(run.path, recipe=recipe, console=QUIET, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run that is finished; nothing changes it."""
    return train(tmp_path_factory.mktemp("finished")).run.path


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a run that stopped in its second epoch; nothing changes it."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Position, "on_train_batch_end", _stop_after(25, Position.on_train_batch_end))
        with pytest.raises(Interrupted):
            train(folder)
    return folder / "tiny/1"


def _stop_after(step, count):
    """Return a callback's method that sends this process the signal that ends a training."""

    def on_train_batch_end(self, batch, logs=None):
        count(self, batch, logs)
        if self.num_updates >= step and self.step < self.steps_per_epoch:
            os.kill(os.getpid(), signal.SIGTERM)

    return on_train_batch_end


@pytest.fixture(scope="module")
def constant(tmp_path_factory):
    """The folder of a finished run whose learning rate stays; nothing changes it."""
    return train(tmp_path_factory.mktemp("constant"), schedule="constant").run.path


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirstIsBest(Classification):
    """Finds each epoch worse than the one before, as soon as anything is learned."""

    def score(self, logs):
        return (logs["val_loss"],)


@keras.saving.register_keras_serializable("kerasdl_tests")
class WithSeedGenerator(TwoOptimizers):
    """A network with a step of its own, and with Keras's dropout, whose seed generator is a variable."""

    kind_of_dropout = keras.layers.Dropout


VARIANTS = {
    "mixed_float16": {"precision": "mixed_float16", "schedule": "plateau", "ema_momentum": 0.9},
    "accumulation": {
        "task": Classification(class_weights="balanced", label_smoothing=0.1),
        "gradient_accumulation_steps": 2,
        "schedule": "one_cycle",
        "optimizer": "rmsprop",
    },
    "two optimizers": {"model": Config(WithSeedGenerator), "schedule": "plateau"},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a function that trains a variant without interruption, once."""
    return functools.cache(lambda variant: train(tmp_path_factory.mktemp("whole"), **VARIANTS[variant]).run)


@pytest.mark.slow
@pytest.mark.parametrize("step", [10, 30])
@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_go_on_exactly(tmp_path, whole, variant, step):
    whole = whole(variant)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Position, "on_train_batch_end", _stop_after(step, Position.on_train_batch_end))
        with pytest.raises(Interrupted):
            train(tmp_path / "cut", **VARIANTS[variant])
    run = Run(tmp_path / "cut/tiny/1")
    resume(run)
    assert_equal_weights(run, whole)
    left, right = ((path / "history.csv").read_text().splitlines() for path in (run.path, whole.path))
    assert [line.rpartition(",")[0] for line in left] == [line.rpartition(",")[0] for line in right]


def test_a_finished_run_is_left_alone(finished, copy_of, caplog):
    run = copy_of(finished)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.name != ".lock"}
    caplog.set_level(logging.INFO, "kerasdl")
    assert resume(run).metrics["accuracy"] > 0.5
    assert "is finished; there is nothing to do" in caplog.text
    assert before == {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.name != ".lock"}


@pytest.mark.slow
def test_more_epochs(tmp_path, constant, copy_of):
    run = copy_of(constant)
    whole = train(tmp_path / "whole", schedule="constant", epochs=5).run
    resume(run, epochs=5)
    assert_equal_weights(run, whole)
    assert len((run.path / "history.csv").read_text().splitlines()) == 1 + 5
    assert run.recipe().epochs == 5
    with pytest.raises(UsageError, match=r"has trained 5 epochs\. Give --epochs 5 or more"):
        resume(run, epochs=4)


@pytest.mark.slow
def test_more_epochs_move_a_schedule_and_it_is_said(finished, copy_of, caplog):
    run = copy_of(finished)
    resume(run, epochs=4)
    assert "cosine schedule is now that of 4 epochs, not 3" in caplog.text
    assert run.read_json("receipt.json")["resumed"][-1]["changes"] == ["epochs was 3, now it is 4"]


@pytest.mark.slow
def test_more_epochs_after_early_stopping_need_more_patience(tmp_path):
    fields = {"optimizer": "sgd", "learning_rate": 1e-12, "schedule": "constant", "epochs": 6}
    run = train(tmp_path, early_stopping=2, **fields).run
    assert run.read_json("metrics.json")["epochs"] == 3
    with pytest.raises(UsageError, match="give a larger --early-stopping"):
        resume(run, epochs=8)
    resume(run, epochs=8, early_stopping=4)
    assert run.read_json("metrics.json")["epochs"] == 5


def test_a_free_setting_is_no_reason_to_work_again(finished, copy_of):
    run = copy_of(finished)
    before = (run.path / "metrics.json").stat().st_mtime_ns
    resume(run, checkpoint_every="11")
    assert (run.path / "metrics.json").stat().st_mtime_ns == before


def test_a_run_of_an_older_version_is_finished(finished, copy_of, caplog):
    run = copy_of(finished)
    (run.path / "status.json").unlink()
    shutil.rmtree(run.checkpoints)
    caplog.set_level(logging.INFO, "kerasdl")
    resume(run)
    assert "there is nothing to do" in caplog.text


@pytest.mark.slow
def test_a_trained_run_without_checkpoints_is_not_begun_anew(finished, copy_of):
    run = copy_of(finished)
    for path in run.checkpoints.iterdir():
        truncate(path)
    with pytest.raises(UsageError, match="what is there is lost"):
        resume(run, epochs=5)
    assert_equal_weights(run, Run(finished))
    assert len(list(run.checkpoints.iterdir())) == 2


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_read_just_now_is_not_damaged(stopped, copy_of, monkeypatch):
    run = copy_of(stopped)

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "hash_file", fail)
        with pytest.raises(RunFailedError):
            resume(run)
    assert len(list(run.checkpoints.iterdir())) == 2
    resume(run)


@pytest.mark.slow
def test_before_the_first_checkpoint_the_recipe_counts_too(stopped, copy_of):
    run = copy_of(stopped)
    shutil.rmtree(run.checkpoints)
    with pytest.raises(UsageError, match="seed was 0, now it is 7"):
        resume(run, seed=7)
    resume(run, seed=7, data=Digits(validation_fraction=0.2), force=True)
    receipt = run.read_json("receipt.json")
    assert receipt["seed"] == 7
    assert receipt["data"]["fingerprint"] == Digits(validation_fraction=0.2).load().fingerprint


@pytest.mark.slow
def test_forced_changes_of_the_steps_begin_the_epoch_again(stopped, copy_of):
    run = copy_of(stopped)
    position = checkpoint.newest(run.checkpoints).state["position"]
    assert position["step"] > 0
    resume(run, batch_size=512, force=True)
    assert run.read_json("status.json")["step"] == position["num_updates"] + 2 * (3 - position["epoch"])


@pytest.mark.slow
def test_a_forced_learning_rate_is_used(constant, copy_of):
    run = copy_of(constant)
    resume(run, epochs=4, learning_rate=1e-4, force=True)
    assert rates_of(run) == pytest.approx([5e-3] * 3 + [1e-4])


@pytest.mark.slow
def test_a_forced_learning_rate_is_used_by_the_plateau_schedule(tmp_path):
    run = train(tmp_path, schedule="plateau", epochs=1).run
    resume(run, epochs=2, learning_rate=1e-4, force=True)
    assert rates_of(run) == pytest.approx([5e-3, 1e-4])


def rates_of(run):
    rates = [line.split(",")[5] for line in (run.path / "history.csv").read_text().splitlines()]
    assert rates[0] == "optimizer_learning_rate"
    return [float(rate) for rate in rates[1:]]


FAULTS = {
    "disk": (OSError(errno.ENOSPC, "No space left on device"), "is full"),
    "rights": (PermissionError(errno.EACCES, "Permission denied"), "cannot be read or written"),
    "memory": (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"), "--batch-size 32"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", ["checkpoint", "step"])
def test_faults_leave_the_last_checkpoint_whole(tmp_path, finished, monkeypatch, fault, place):
    """The fault comes when there is a checkpoint already, and while the next one is written."""
    error, words = FAULTS[fault]
    target, name = (np, "savez") if place == "checkpoint" else (Position, "on_epoch_end")
    work, calls = getattr(target, name), []

    def fail_at_second(*arguments, **keywords):
        calls.append(1)
        if len(calls) == 2:
            raise error
        return work(*arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(target, name, fail_at_second)
        with pytest.raises(RunFailedError, match=words) as caught:
            train(tmp_path)
    run = Run(tmp_path / "tiny/1")
    assert "kerasdl train --resume" in str(caught.value)
    assert run.read_json("status.json")["error"] == str(caught.value)
    assert checkpoint.newest(run.checkpoints) is not None
    assert not list(run.checkpoints.glob(".*"))
    resume(run)
    assert_equal_weights(run, Run(finished))


@pytest.mark.by_default(lambda changes, message: "learning_rate" in changes or "data" in changes)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.1}, "learning_rate was 0.005, now it is 0.1"),
        ({"seed": 3}, "seed was 0, now it is 3"),
        ({"epochs": 2}, "epochs was 3, now it is 2"),
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


@pytest.mark.slow
def test_force_goes_on_and_says_what_differs(stopped, copy_of, caplog):
    run = copy_of(stopped)
    resume(run, learning_rate=0.1, force=True)
    assert "learning_rate was 0.005, now it is 0.1" in caplog.text
    assert run.is_finished()


def test_force_cannot_fit_other_weights(stopped, copy_of):
    run = copy_of(stopped)
    with pytest.raises(UsageError, match="was written by another network"):
        resume(run, model=Config(MLP, hidden_units=(17,)), force=True)
    assert run.recipe() == Run(stopped).recipe()
    assert len(list(run.checkpoints.iterdir())) == 2


def test_another_version_is_refused(stopped, copy_of, monkeypatch):
    versions = {**resuming.machine.versions(), "tensorflow": "1.15"}
    monkeypatch.setattr(resuming.machine, "versions", lambda: versions)
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
        "import os, pathlib; from kerasdl.runs.folder import Run\n"
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


@pytest.mark.slow
@pytest.mark.parametrize("damage", [truncate, flip, tear_state, lose_sums])
def test_the_checkpoint_before_a_damaged_one(stopped, finished, copy_of, caplog, damage):
    run = copy_of(stopped)
    numbers = sorted(int(path.name) for path in run.checkpoints.iterdir())
    assert len(numbers) == 2
    damage(run.checkpoints / f"{numbers[-1]:08}")
    assert int(checkpoint.newest(run.checkpoints).path.name) == numbers[0]
    assert "is damaged" in caplog.text
    if damage is flip:  # and the end is the same
        resume(run)
        assert_equal_weights(run, Run(finished))


@pytest.mark.slow
def test_what_an_interrupted_training_has_left_behind_is_removed(stopped, copy_of):
    run = copy_of(stopped)
    (run.checkpoints / "00000033").mkdir()  # torn, and between two steps that are written again
    (run.checkpoints / ".writing-1").mkdir()
    (run.path / ".writing-2").mkdir()
    resume(run)
    assert not [path for path in run.checkpoints.iterdir() if not (path / "SHA256SUMS").is_file()]
    assert not list(run.path.glob(".writing-*"))


@pytest.mark.slow
def test_the_best_network_is_again_that_of_the_checkpoint(finished, copy_of):
    """The one in the run may be of an epoch after it, which is not known to be better any more."""
    run = copy_of(finished)
    twin = run.network()
    twin.set_weights([np.zeros_like(value) for value in twin.get_weights()])
    twin.save(run.model_file)
    Best(run, twin, None, None, None).restore_files(checkpoint.newest(run.checkpoints).path)
    assert_equal_weights(run, Run(finished))
    for value, wanted in zip(twin.get_weights(), weights(Run(finished)), strict=True):
        np.testing.assert_array_equal(value, wanted)


@pytest.mark.slow
def test_without_any_checkpoint_the_run_begins_anew(stopped, finished, copy_of):
    run = copy_of(stopped)
    shutil.rmtree(run.checkpoints)
    resume(run)
    assert_equal_weights(run, Run(finished))


def test_what_is_not_a_run(finished, tmp_path):
    with pytest.raises(UsageError, match="is not a run folder"):
        job.resume(tmp_path)
    with pytest.raises(UsageError, match=f"Give one of {finished}"):
        job.resume(finished.parent)


@pytest.mark.slow
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
    _, errors = process.communicate(timeout=600)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert errors.endswith("  kerasdl train --resume runs/mlp/1\n")
    run = Run(tmp_path / "runs/mlp/1")
    step = checkpoint.newest(run.checkpoints).state["position"]["num_updates"]
    assert f"Stopped after step {step:,}" in errors
    assert not run.is_active()


def test_a_second_signal_does_not_wait():
    survived = []
    with Interruptions() as interruptions, pytest.raises(Interrupted), interruptions.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            time.sleep(0.001)
            if interruptions.signum == signal.SIGTERM:
                break
        os.kill(os.getpid(), signal.SIGTERM)  # an echo: `timeout` signals the process, and then its group
        time.sleep(0.15)
        survived.append("the echo")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
        pytest.fail("waited")
    assert survived == ["the echo"]


def test_a_signal_is_handled_without_a_lock(monkeypatch, capfd):
    """The thread that is interrupted may hold any lock: that of a logger, that of a stream."""
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(logging.Logger, "_log", lambda *_, **__: pytest.fail("logged"))
    with pytest.raises(Interrupted), Interruptions() as interruptions, interruptions.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
    assert "writing a checkpoint; once more stops at once." in capfd.readouterr().err


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruptions() as interruptions:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
            assert interruptions.signum is None
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_max_time_ends_the_epoch_and_the_run(tmp_path):
    result = train(tmp_path, epochs=100_000, max_time="3s")
    status = result.run.read_json("status.json")
    assert status["stopped"] == "max time"
    assert status["elapsed_seconds"] >= 3
    assert result.metrics["examples"] > 0  # it is evaluated all the same
    with pytest.raises(UsageError, match=r"has trained for \d+ seconds. Give a longer --max-time"):
        resume(result.run, max_time="2s")
    with pytest.raises(UsageError, match=r"ended by max time. More epochs change nothing: .*--max-time"):
        resume(result.run, epochs=100_001)
    longer = int(status["elapsed_seconds"]) + 2
    resume(result.run, max_time=f"{longer}s")
    assert result.run.read_json("status.json")["elapsed_seconds"] >= longer


@pytest.mark.slow
def test_a_run_without_a_limit_goes_on_with_one(finished, copy_of):
    run = copy_of(finished)
    limit = f"{int(run.read_json('status.json')['elapsed_seconds']) + 2}s"
    with pytest.raises(UsageError, match="not ended by a time limit"):
        resume(run, max_time=limit)
    resume(run, epochs=100_000, max_time=limit)
    status = run.read_json("status.json")
    assert (status["stopped"], status["stage"]) == ("max time", "finished")


@pytest.mark.slow
def test_another_time_limit_does_not_undo_early_stopping(tmp_path):
    result = train(tmp_path, task=FirstIsBest(), epochs=9, early_stopping=1)
    with pytest.raises(UsageError, match="not ended by a time limit"):
        resume(result.run, max_time="1h")
    resume(result.run, max_time="1h", weight_decay=1e-6, force=True)
    assert result.run.read_json("status.json")["epoch"] == 2


@pytest.mark.parametrize(("limit", "steps"), [(3, 3), (0.5, 10), (1.0, 20), (1000, 20), (1e-6, 1)])
def test_limited_batches(limit, steps):
    recipe, splits = make_recipe(limit_train_batches=limit), Digits().load()
    assert plan_run(recipe, splits, Devices()).steps_per_epoch == steps


@pytest.mark.slow
def test_one_batch_is_learned_by_heart(tmp_path):
    result = train(tmp_path, overfit_batches=1)
    assert result.run.read_json("status.json")["stopped"] == "learned"
    last = (result.run.path / "history.csv").read_text().splitlines()[-1].split(",")
    assert float(last[1]) > 0.9


@pytest.mark.slow
def test_a_network_that_cannot_learn_is_told_so(tmp_path):
    with pytest.raises(RunFailedError, match="could not learn one batch by heart in 500 steps"):
        train(tmp_path, overfit_batches=1, optimizer="sgd", learning_rate=1e-12)


@pytest.mark.parametrize("text", ["0s", "0", "-3", "10", "1x", "1.5", "5m3h", "", "m"])
def test_spans_of_time_that_are_none(text):
    with pytest.raises(UsageError, match="duration"):
        make_recipe(max_time=text)


@pytest.mark.parametrize(
    ("text", "steps", "seconds"), [("7", 7, np.inf), ("1h30m", np.inf, 5400), ("none", np.inf, np.inf)]
)
def test_how_often_checkpoints_are_written(text, steps, seconds):
    keeper = checkpoint_writer.CheckpointWriter(None, None, text, dict, None, 1)
    assert (keeper.every_steps, keeper.every_seconds) == (steps, seconds)


@pytest.mark.parametrize("text", ["0", "often", "1.5"])
def test_how_often_checkpoints_cannot_be_written(text):
    with pytest.raises(UsageError, match="checkpoint_every is"):
        make_recipe(checkpoint_every=text)


def test_only_the_newest_two_checkpoints_stay(finished):
    assert len(list((finished / "checkpoints").iterdir())) == 2


def test_sha256sum_reads_the_sums(finished):
    newest = checkpoint.newest(finished / "checkpoints").path
    assert {path.name for path in Path(newest).iterdir()} == {
        "variables.npz", "state.json", "model.keras", "reference.npz", "SHA256SUMS",
    }  # fmt: skip
    ran = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=newest, capture_output=True, text=True)
    assert ran.returncode == 0
    assert ran.stdout.count(": OK") == 4
