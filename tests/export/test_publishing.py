"""What is published, and what keeps a bundle from being published."""

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerasdl.errors import MachineError, RunFailedError, UsageError
from kerasdl.export import bundle as bundles
from kerasdl.export.destination import publish
from kerasdl.inference import labels
from kerasdl.tasks.classification.files import compare as compare_answers
from kerasdl.tasks.classification.files import tolerances
from tests.export.tiny import ENDPOINTS, changed


@pytest.mark.slow
def test_versions_count_up(write, bundle, tmp_path):
    first = write(tmp_path, formats=("onnx",))
    (tmp_path / "tiny-onnx" / "7").mkdir()
    assert first.path == tmp_path / "tiny-onnx" / "1"
    assert write(tmp_path, formats=("onnx",)).path == tmp_path / "tiny-onnx" / "8"
    assert not (first.path / "saved_model.pb").exists()
    assert not (tmp_path / "tiny").exists()  # what TensorFlow Serving watches holds SavedModels alone


def full(*_, **__):
    """Say that the disk is full as our worker process does: in words."""
    raise RunFailedError("OSError: [Errno 28] No space left on device")


@pytest.mark.slow
@pytest.mark.parametrize(
    "place", ["plan.write_onnx", "plan.write_saved_model", "bundle.readme_text", "destination.flush_to_disk"]
)
def test_a_full_disk_publishes_nothing_and_is_the_reason(write, tmp_path, monkeypatch, place):
    monkeypatch.setattr(f"kerasdl.export.{place}", full)
    with pytest.raises(MachineError, match=r"The disk of .* is full \(.*MB free\). Nothing was published."):
        write(tmp_path, tflite_modes=("float32",))
    assert list(tmp_path.glob("*/*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("size", range(60, 360, 40))
def test_disks_of_every_size_hold_all_or_nothing(write, images, tmp_path, size):
    """A bundle takes some 300 kB, and 130 kB more while it is written."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        bundle = write(tmp_path, samples={"features": images[:4], "targets": np.arange(4)})
    except MachineError as error:
        assert "is full" in str(error)
        assert list(tmp_path.glob("*/*")) == []
    else:
        assert not bundle.failures
        bundles.verify_bundle(bundle.path, endpoints=ENDPOINTS)
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


class Stale(type(Path())):
    """A folder that shows nothing the first time: another exporter publishes right after."""

    shown = False

    def iterdir(self):
        paths, self.shown = (super().iterdir() if self.shown else []), True
        return iter(paths)


def test_exporters_at_once_get_versions_of_their_own(tmp_path):
    parent = Stale(tmp_path / "name")
    for folder in (parent / "1", tmp_path / "mine"):
        folder.mkdir(parents=True)
        (folder / "file").write_text(folder.name)
    assert publish(tmp_path / "mine", parent).name == "2"
    assert (parent / "1" / "file").read_text() == "1"
    assert (parent / "2" / "file").read_text() == "mine"


def strict(kind):
    return {"max_difference": ("<=", -1.0)} if kind == "onnx" else tolerances(kind)


def blind(expected, actual, labels):
    """Measure nothing that is a number."""
    return {**compare_answers(expected, actual, labels), "max_difference": float("nan")}


@pytest.mark.by_default(lambda changes: "compare" in changes)
@pytest.mark.parametrize("changes", [{"tolerances": strict}, {"compare": blind}])
def test_beyond_tolerance_nothing_is_published(write, spec, tmp_path, changes):
    with pytest.raises(
        RunFailedError,
        match=r"tiny\.onnx: serving_default: max_difference is .*, but has to be <= .*\n.*published",
    ):
        write(tmp_path, formats=("saved_model", "onnx"), spec=changed(spec, **changes))
    assert list(tmp_path.glob("*/*")) == []


def no_int8(kind):
    return {"max_difference": ("<=", -1.0)} if kind == "int8" else tolerances(kind)


@pytest.mark.slow
def test_an_int8_file_that_is_not_the_network_is_left_out_unless_it_was_asked_for(write, spec, tmp_path):
    spec = changed(spec, tolerances=no_int8)
    made = write(tmp_path / "one", spec=spec)
    assert "tiny.int8.tflite" in made.failures and "max_difference is" in made.failures["tiny.int8.tflite"]
    assert not (made.path / "tiny.int8.tflite").exists() and (made.path / "tiny.float32.tflite").exists()
    assert made.rows[-1]["kind"] == "int8" and "error" not in made.rows[0]
    with pytest.raises(RunFailedError, match="published"):
        write(tmp_path / "two", tflite_modes=("float32", "int8"), spec=spec)


def test_an_answer_that_depends_on_the_batch_is_not_published(write, spec, tmp_path):
    """Reference and file are asked for the same batches, and would agree."""
    default = spec.endpoints[0]

    def centred(images):
        images = tf.cast(images, tf.float32)
        return default.function(
            tf.cast(images - tf.reduce_mean(images, axis=0, keepdims=True) + 99, tf.uint8)
        )

    with pytest.raises(RunFailedError, match="serving_default: an example gets another answer alone"):
        endpoints = (dataclasses.replace(default, function=centred),)
        write(tmp_path, formats=("onnx",), spec=dataclasses.replace(spec, endpoints=endpoints))


def test_interrupt_leaves_nothing(write, tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, formats=("onnx",), batches=interrupted)
    assert list(tmp_path.glob("*/*")) == []


def random_noise(images):
    seed = tf.cast(images[0, 0, :2, 0], tf.int32)
    return {"probabilities": tf.random.stateless_normal((tf.shape(images)[0], 3), seed)}


def text_in_between(images):
    text = tf.strings.as_string(tf.reduce_sum(images, axis=(1, 2, 3)))
    return {"probabilities": tf.one_hot(tf.strings.length(text) % 3, 3)}


@pytest.mark.by_default(lambda function, operator: operator == "AsString")
@pytest.mark.parametrize(
    "function, operator", [(random_noise, "RandomNormal"), (text_in_between, "AsString")]
)
def test_operators_that_phones_lack_are_refused(write, spec, tmp_path, function, operator):
    endpoint = dataclasses.replace(spec.endpoints[0], function=function)
    odd = dataclasses.replace(spec, endpoints=(endpoint,))
    with pytest.raises(RunFailedError) as error:
        write(tmp_path, spec=odd, formats=("tflite", "onnx"), tflite_modes=("float32",))
    assert re.search(
        rf"tiny\.float32\.tflite: .*operators that phones do not have \(.*{operator}", str(error.value)
    )
    assert "tiny.onnx: it could not be converted" in str(error.value)
    assert len(str(error.value)) < 1500


@pytest.mark.slow
def test_one_example_is_enough_to_verify_with(write, images, tmp_path):
    one = [(images[:1], np.zeros(1, np.int32), None)]
    assert write(tmp_path, formats=("onnx",), batches=lambda: one).rows[0]["examples"] == 1


@pytest.mark.slow
def test_names_that_cannot_be_files_are_refused(write, spec, tmp_path):
    for name in ("a/b", "..", ".hidden", "", "two\nlines", "null\0"):
        with pytest.raises(UsageError, match="cannot be the name of a folder"):
            write(tmp_path, spec=dataclasses.replace(spec, name=name))
    with pytest.raises(UsageError, match="contains a line end"):
        labels.to_text(("cat", "great\ndane", "emu"))
    with pytest.raises(UsageError, match="Did you mean 'onnx'"):
        write(tmp_path, formats=("onxx",))
    with pytest.raises(UsageError, match="Did you mean 'float16'"):
        write(tmp_path, tflite_modes=("flaot16",))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(spec, tmp_path):
    (tmp_path / "file").write_text("")
    for root, name in [(tmp_path / "file", "net"), (tmp_path, "file"), (tmp_path, "long" * 100)]:
        with pytest.raises(UsageError, match=r"cannot be written to: .*Use another --exported-dir"):
            bundles.check_destination(root, name)
    assert bundles.check_destination(tmp_path / "new", "net") == tmp_path / "new" / "net"
    assert list((tmp_path / "new" / "net").iterdir()) == []
    with pytest.raises(UsageError, match="cannot be written to"):  # no batches, no converter: no work
        bundles.write_bundle(spec, root=tmp_path / "file", batches=None, converter=None, info={})
