"""Faults of the machine and the data, most of them provoked: what is said, and that bugs stay bugs."""

import contextlib
import dataclasses
import errno
import shutil
import subprocess
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from kerasdl.data.images.digits import Digits
from kerasdl.data.images.folder import ImageFolder
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.jobs import train
from kerasdl.models.mlp import MLP
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Config, Recipe
from kerasdl.runs.folder import Run
from kerasdl.tasks.classification.task import Classification
from kerasdl.training import faults

QUIET = Console(quiet=True)


@pytest.fixture
def run(tmp_path):
    """A run with a checkpoint at step 1200."""
    path = tmp_path / "runs/tiny/3"
    (path / "checkpoints/00001200").mkdir(parents=True)
    (path / "checkpoints/.writing-x").mkdir()
    run = Run(path)
    run.write("recipe.json", {"fields": {"gradient_accumulation_steps": 2, "data": {"fields": {}}}})
    run.write("receipt.json", {"started": "2026-01-01T00:00:00+00:00"})
    return run


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def provoked(function, kinds=Exception):
    with pytest.raises(kinds) as caught:
        function()
    return caught.value


def explained(error, run=None, batch_size=64, parts=4):
    found = faults.explain(error, run, batch_size, parts)
    assert isinstance(found, RunFailedError)
    return str(found)


def network():
    return keras.Sequential([keras.Input((784,)), keras.layers.Dense(500)])


def save_keras(folder):
    network().save(folder / "model.keras")


def save_h5(folder):
    network().save_weights(folder / "model.weights.h5")


def save_checkpoint(folder):
    tf.train.Checkpoint(v=tf.Variable(tf.zeros(10**6))).write(str(folder / "checkpoint"))


def save_npz(folder):
    np.savez(folder / "variables.npz", values=np.zeros(10**6))


@pytest.mark.by_default(lambda save: save is save_npz)
@pytest.mark.parametrize("save", [save_keras, save_h5, save_checkpoint, save_npz])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_full_disks(small_disk, run, save):
    error = provoked(lambda: save(small_disk))

    text = explained(error, run)
    assert "full" in text
    assert f"kerasdl train --resume {run.path}" in text


@pytest.mark.slow
def test_a_training_on_a_full_disk(small_disk):
    wanted = recipe(model=Config(MLP, hidden_units=(2000,)))
    error = provoked(lambda: train.train(wanted, runs_dir=small_disk, export=False, console=QUIET))
    assert isinstance(error, RunFailedError)
    assert f"The disk of {small_disk}" in str(error)
    assert "MB free" in str(error)


def recipe(**fields):
    fields = {"model": Config(MLP, hidden_units=(8,)), "data": Digits(), "task": Classification(), **fields}
    return Recipe(name="tiny", preprocessing=Config(ImagePreprocessing), epochs=2, batch_size=16, **fields)


def test_full_disks_by_their_texts(run):
    def write():
        with Path("/dev/full").open("w") as file:
            file.write("something")

    assert "full" in explained(provoked(write), run)
    h5py = RuntimeError(
        "Can't decrement id ref count (file write failed, error message = 'No space left on device')"
    )
    assert "full" in explained(h5py, run)
    quota = OSError(errno.EDQUOT, "Disk quota exceeded", str(run.path / "model.keras"))
    assert "quota" in explained(quota, run)
    assert str(run.path / "model.keras") in explained(quota, run)


def test_the_fullest_disk_is_named(run, monkeypatch):
    def usage(path):
        return types.SimpleNamespace(free=0 if Path(path) == run.path else 10**12)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert f"The disk of {run.path} is full (0.0 MB free)" in explained(OSError(errno.ENOSPC, "full"), run)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=10**12))
    (run.path / "deep").mkdir()
    named = OSError(errno.ENOSPC, "full", str(run.path / "deep/er/file"))
    assert f"{run.path / 'deep/er'} is full" in explained(named, run)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_folders_that_cannot_be_written(run, number):
    text = explained(OSError(number, "No way", str(run.path / "history.csv")), run)
    assert str(run.path / "history.csv") in text
    assert "No way" in text


@tf.function
def allocate(count):
    return tf.reduce_sum(tf.random.uniform(tf.stack([count])))


class Huge(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, inputs):
        count = tf.constant(2**46, tf.int64) + 0 * tf.cast(tf.shape(inputs)[0], tf.int64)
        return self.dense(inputs) + allocate(count)


def grow_in_fit():
    huge = Huge()
    huge.compile("sgd", "mse")
    huge.fit(np.zeros((32, 4)), np.zeros((32, 1)), verbose=0)


def grow_in_numpy():
    np.ones(2**50)


@pytest.mark.parametrize("grow", [pytest.param(grow_in_fit, marks=pytest.mark.slow), grow_in_numpy])
def test_no_memory(run, grow):
    text = explained(provoked(grow), run)
    assert "not enough memory for a batch of 64" in text
    assert "--gradient-accumulation-steps 4," in text  # twice what the recipe has
    assert "--batch-size 32" in text
    assert f"step 1,200 is kept: go on with kerasdl train --resume {run.path} " in text
    assert text.endswith(" --gradient-accumulation-steps 4 --force")


@pytest.mark.parametrize(
    ("batch_size", "parts", "advice"),
    [
        (64, 1, ("--gradient-accumulation-steps 2,", "--batch-size 32")),
        (60, 4, ("--gradient-accumulation-steps 3,", "--batch-size 28")),
        (12, 4, ("--gradient-accumulation-steps 3,", "--batch-size 4")),
        (8, 4, ("--gradient-accumulation-steps 2,", "--batch-size 4")),
        (4, 4, ("smaller network",)),
    ],
)
def test_the_advice_divides_into_equal_parts(batch_size, parts, advice):
    text = explained(MemoryError(), None, batch_size, parts)
    for words in advice:
        assert words in text
    assert "Nothing is kept" in text


def test_texts_of_tensorflow(run):
    """As TensorFlow 2.21 was seen to write them, where provoking them takes ten seconds each."""
    text = (
        "{{function_node __wrapped__RandomUniform_device_/job:localhost/replica:0/task:0/device:CPU:0}} OOM "
        "when allocating tensor with shape[1099511627776] and type float on /device:CPU:0 by allocator mklcpu"
    )
    assert "not enough memory" in explained(tf.errors.ResourceExhaustedError(None, None, text), run)
    text = (
        "Graph execution error:\n\nDetected at node decode_image/DecodeImage defined at (most recent call "
        "last):\n<stack traces unavailable>\nUnknown image file format. One of JPEG, PNG required.\n"
        "\t [[{{node decode_image/DecodeImage}}]]\n\t [[IteratorGetNextAsOptional]]"
    )
    found = explained(tf.errors.InvalidArgumentError(None, None, text), run)
    assert "any more (Unknown image file format. One of JPEG, PNG required)" in found
    text = text.replace("decode_image/DecodeImage", "ReadFile").replace(
        "Unknown", "/a b/14.jpg; Is a directory\n"
    )
    found = explained(tf.errors.FailedPreconditionError(None, None, text), run)
    assert found.startswith("/a b/14.jpg cannot be read any more (Is a directory)")


def test_texts_of_gpus_and_of_the_allocator(run):
    for text in (
        "std::bad_alloc",
        "CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        "Dst tensor is not initialized.",
    ):
        assert "not enough memory" in explained(tf.errors.InternalError(None, None, text), run)
    assert "not enough memory" in explained(OSError(errno.ENOMEM, "Cannot allocate memory"), run)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accident(Classification):
    """Something happens to the images when an epoch has ended."""

    folder: str = ""
    kind: str = ""

    def score(self, logs):
        for path in Path(self.folder).rglob("*.jpg"):
            if self.kind == "removed":
                path.unlink()
            else:
                path.write_bytes(path.read_bytes()[:60])
        return super().score(logs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("removed", ".jpg cannot be read any more (No such file or directory)"),
        ("cut", "cannot be decoded any more (jpeg::Uncompress failed. Invalid JPEG data or crop window)"),
    ],
)
def test_images_that_change_between_two_epochs(tmp_path, kind, words):
    folder = tmp_path / "images"
    for name in "ab":
        (folder / name).mkdir(parents=True)
        for number in range(24):
            image = np.full((8, 8, 3), number, np.uint8)
            (folder / name / f"{number}.jpg").write_bytes(tf.io.encode_jpeg(image).numpy())
    wanted = recipe(
        data=ImageFolder(path=str(folder), max_memory_mb=0), task=Accident(folder=str(folder), kind=kind)
    )
    error = provoked(
        lambda: train.train(
            dataclasses.replace(wanted, epochs=40), runs_dir=tmp_path, export=False, console=QUIET
        )
    )
    assert isinstance(error, RunFailedError)
    assert words in str(error)
    assert str(folder / "a") in str(error) or str(folder / "b") in str(error)  # names a file
    assert "tiny/1" in str(error)  # what is kept


def test_other_files_that_cannot_be_read(run):
    gone = provoked(lambda: (run.path / "no.npz").open(), FileNotFoundError)
    assert f"{run.path / 'no.npz'} cannot be read any more" in explained(gone, run)
    record = run.path / "data.tfrecord"
    record.write_bytes(b"x" * 100)
    broken = provoked(lambda: list(tf.data.TFRecordDataset(str(record))), tf.errors.DataLossError)
    assert "cannot be decoded any more" in explained(broken, run)
    text = "{{function_node x}} /data/x y/14.jpg; Permission denied\n\t [[{{node ReadFile}}]]"
    assert "/data/x y/14.jpg cannot be" in explained(tf.errors.PermissionDeniedError(None, None, text), run)


def test_a_run_whose_folder_is_gone(run):
    shutil.rmtree(run.path)
    gone = provoked(lambda: (run.path / "history.csv").open("w"), FileNotFoundError)
    text = explained(gone, run)
    assert f"{run.path}, was removed" in text
    summary = tf.errors.NotFoundError(None, None, "runs/tiny/3/logs/x.v2; No such file or directory")
    assert f"{run.path}, was removed" in explained(summary, run)
    assert "Nothing is kept" in text


def test_what_is_kept_without_a_checkpoint(run):
    shutil.rmtree(run.path / "checkpoints")
    run.model_file.write_text("")
    text = explained(MemoryError(), run)
    assert "There is no checkpoint" in text
    assert f"{run.model_file} holds the best weights" in text
    assert "--resume" not in text


def wrapped(cause, hide=False):
    def raise_both():
        try:
            raise cause
        except Exception as error:
            raise ValueError("While saving") from (None if hide else error)

    return provoked(raise_both)


def test_the_chain_is_followed_as_a_traceback_shows_it(run):
    full = OSError(errno.ENOSPC, "No space left on device")
    assert "full" in explained(wrapped(full), run)
    assert faults.explain(wrapped(full, hide=True), run, 64, 1) is None
    loop = ValueError("a")
    loop.__cause__ = ValueError("b")
    loop.__cause__.__cause__ = loop
    assert faults.explain(loop, run, 64, 1) is None


@pytest.mark.parametrize(
    "bug",
    [
        ValueError("shapes do not fit"),
        KeyError("x"),
        tf.errors.InvalidArgumentError(None, None, "Incompatible shapes: [2] vs. [3] [[{{node Add}}]]"),
        tf.errors.InvalidArgumentError(
            None, None, "required broadcastable shapes [[{{node IteratorGetNext}}]]"
        ),
        tf.errors.InvalidArgumentError(None, None, "Invalid JPEG data [[{{node serving/DecodeImage}}]]"),
        tf.errors.NotFoundError(None, None, "Key weights not found in checkpoint"),
        tf.errors.ResourceExhaustedError(None, None, "Some other resource"),
        OSError(errno.ECONNRESET, "Connection reset"),
        UsageError("The batch size is wrong: out of memory"),
        RunFailedError("Training diverged"),
    ],
)
def test_bugs_and_what_says_it_already_stay_as_they_are(run, bug):
    assert faults.explain(bug, run, 64, 1) is None


def test_no_tensorflow_is_imported():
    code = "import sys, kerasdl.training.faults; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_explaining_never_fails_itself(run, monkeypatch):
    """On a disk so full that no temporary folder is found."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: (_ for _ in ()).throw(FileNotFoundError(2, "none")))
    with contextlib.chdir(run.path):
        assert "full" in explained(OSError(errno.ENOSPC, "full"), run)
    (run.path / "recipe.json").write_text("{")
    assert "full" in explained(OSError(errno.ENOSPC, "full"), run)
    assert "memory" in explained(MemoryError(), run)
