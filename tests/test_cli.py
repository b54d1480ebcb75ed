"""The commands as a user types them, on bundled data; what they print, leave behind and return."""

import csv
import json
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

import kerasdl
from kerasdl.cli import main
from kerasdl.recipe import catalog
from kerasdl.recipe.document import from_json
from tests.test_recipe import OWN_RECIPE

ARTEFACTS = ("lenet5.float32.tflite", "lenet5.float16.tflite", "lenet5.dynamic.tflite", "lenet5.int8.tflite")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which `kerasdl train lenet5 --data digits --epochs 6` was run."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "lenet5", "--data", "digits", "--epochs", "6", "--batch-size", "64"]) == 0
    for index, name in [(0, "zero.png"), (3, "three.jpg")]:
        image = np.round(load_digits().images[index] * 255 / 16).astype(np.uint8)[..., None]
        encode = tf.io.encode_png if name.endswith("png") else tf.io.encode_jpeg
        (folder / name).write_bytes(encode(np.kron(image, np.ones((4, 4, 1), np.uint8))).numpy())
    return folder


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    return place


def document(capsys):
    """Return the one JSON document on standard output."""
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments):
    """Run a command that is refused; return its one message."""
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert out == ""
    return err


def test_train_leaves_a_run_and_a_bundle(here):
    run, bundle = here / "runs/lenet5/1", here / "exported/lenet5/1"
    written = {path.name for path in run.iterdir()}
    assert written == {
        "recipe.json", "recipe.py", "receipt.json", "model.keras", "labels.txt", "history.csv",
        "metrics.json", "logs", "checkpoints", "status.json", "predictions.npz", "mistakes.npz",
        "augmented.npz", "reference.npz", "report.html", "identity.json", ".lock",
    }  # fmt: skip
    assert {path.name for path in (run / "logs").iterdir()} == {"train", "validation"}
    assert (run / "labels.txt").read_text() == "".join(f"{digit}\n" for digit in range(10))
    rows = list(csv.DictReader((run / "history.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert float(rows[-1]["val_accuracy"]) > float(rows[0]["val_accuracy"])
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.8
    assert metrics["test"]["examples"] == 359
    receipt = json.loads((run / "receipt.json").read_text())
    assert receipt["versions"]["tensorflow"] == tf.__version__
    assert (receipt["seed"], receipt["deterministic"]) == (0, False)
    assert receipt["settings"]["fast_cpu_kernels"] in (True, False)
    assert receipt["settings"]["tf_data_autotuner"] is False
    assert set(ARTEFACTS) < set(receipt["artefacts"]["exported/lenet5/1"])
    assert json.loads((bundle / "card.json").read_text())["run"] == "lenet5/1"
    assert {"saved_model.pb", "card.json", "labels.txt", "README.md", "lenet5.onnx", *ARTEFACTS} <= {
        path.name for path in bundle.iterdir()
    }


def test_recipe_of_a_run_is_resolved_and_accepted_again(here, capsys):
    recipe = from_json((here / "runs/lenet5/1/recipe.json").read_text())
    assert (recipe.epochs, recipe.batch_size, recipe.min_steps) == (6, 64, 0)
    assert main(["train", "runs/lenet5/1/recipe.json", "--print-recipe"]) == 0
    assert from_json(capsys.readouterr().out) == recipe
    assert main(["train", "runs/lenet5/1", "--seed", "5", "--print-recipe"]) == 0
    assert from_json(capsys.readouterr().out).seed == 5


@pytest.mark.by_default(lambda target: target == "int8.tflite")
@pytest.mark.parametrize("target", ["runs/lenet5/1", "exported/lenet5/1", "int8.tflite", "onnx"])
def test_evaluate_and_predict_take_run_bundle_and_file(here, capsys, target):
    if "/" not in target:
        target = f"exported/lenet5/1/lenet5.{target}"
    assert main(["evaluate", target, "--json"]) == 0
    figures = document(capsys)
    expected = json.loads((here / "runs/lenet5/1/metrics.json").read_text())["test"]["accuracy"]
    assert figures["accuracy"] == pytest.approx(expected, abs=0.02 if "int8" in target else 1e-9)
    assert main(["predict", target, "zero.png", "three.jpg", "--json"]) == 0
    answers = document(capsys)
    assert [set(answer) for answer in answers] == [{"file", "class", "probability"}] * 2
    assert [(answer["file"], answer["class"]) for answer in answers] == [
        ("zero.png", "0"),
        ("three.jpg", "3"),
    ]
    assert main(["predict", target, "zero.png"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["file", "class", "probability", "then"]
    assert re.fullmatch(r"zero\.png  0 +[\d.]+ % +\d [\d.]+ %, \d [\d.]+ %", row)


@pytest.mark.slow
def test_verify_and_export(here, capsys):
    assert main(["verify", "exported/lenet5/1", "--json"]) == 0
    assert document(capsys)["verified"] is True
    assert (
        main(["export", "runs/lenet5/1", "--formats", "onnx", "--exported-dir", "other", "--no-samples"]) == 0
    )
    folder = here / "other/lenet5-onnx/1"
    assert {path.name for path in folder.iterdir()} == {"lenet5.onnx", "labels.txt", "card.json", "README.md"}
    out = capsys.readouterr().out
    assert "kerasdl verify other/lenet5-onnx/1" in out
    assert "some.png" not in out  # there is no such file: the data is in none
    assert main(["predict", "other/lenet5-onnx/1/lenet5.onnx", "zero.png"]) == 0
    assert "\nzero.png  0  " in capsys.readouterr().out
    assert "one of the files in it: lenet5.onnx" in refused(
        capsys, "predict", "other/lenet5-onnx/1", "zero.png"
    )


def test_verify_names_the_changed_file(here, capsys):
    assert main(["export", "runs/lenet5/1", "--formats", "onnx", "--exported-dir", "broken"]) == 0
    file = here / "broken/lenet5-onnx/1/lenet5.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    capsys.readouterr()
    assert main(["verify", "broken/lenet5-onnx/1"]) == 1
    assert "lenet5.onnx" in capsys.readouterr().err


@pytest.mark.slow
def test_runs_are_never_overwritten(here):
    before = (here / "runs/lenet5/1/recipe.json").stat().st_mtime_ns
    assert (
        main(["train", "lenet5", "--data", "digits", "--epochs", "1", "--no-export", "--runs-dir", "runs"])
        == 0
    )
    assert (here / "runs/lenet5/1/recipe.json").stat().st_mtime_ns == before
    assert (here / "runs/lenet5/2/model.keras").is_file()
    assert not (here / "exported/lenet5/2").exists()


@pytest.mark.slow
def test_python_api(here):
    recipe = kerasdl.load_recipe("mlp", data="digits", epochs=1)
    result = kerasdl.train(recipe, runs_dir="api/runs", export=False)
    assert result.metrics["examples"] == 359
    images = np.round(load_digits().images[:5] * 255 / 16).astype(np.uint8)[..., None]
    for path in ("runs/lenet5/1", "exported/lenet5/1", "exported/lenet5/1/lenet5.onnx"):
        outputs = kerasdl.load(path).predict(images)
        assert outputs["class_ids"].shape == (5,)
        np.testing.assert_allclose(outputs["probabilities"].sum(-1), 1, atol=1e-5)
    with pytest.raises(kerasdl.errors.UsageError, match=r"any, 8, 8, 1.*5, 7, 7, 1"):
        kerasdl.load("runs/lenet5/1").predict(images[:, 1:, 1:])


@pytest.mark.slow
def test_dry_run_keeps_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "mlp", "--data", "digits", "--dry-run"]) == 0
    assert "Dry run passed" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_own_recipe_with_own_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OWN_RECIPE)
    assert main(["train", "./mine.py", "--width", "7", "--epochs", "1"]) == 0
    capsys.readouterr()
    assert (tmp_path / "runs/mine/1/recipe.py").read_text() == OWN_RECIPE
    for target in ("runs/mine/1", "exported/mine/1"):
        assert main(["evaluate", target, "--json"]) == 0
        assert document(capsys)["examples"] == 359


@pytest.mark.slow
def test_pipeline_file_runs_by_itself(tmp_path):
    ran = subprocess.run(
        [sys.executable, catalog.names()["mlp"], "--data", "digits", "--epochs", "1", "--no-export"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "Test accuracy" in ran.stdout
    assert (tmp_path / "runs/mlp/1/model.keras").is_file()


def test_list(capsys):
    assert main(["list"]) == 0
    assert "lenet5" in capsys.readouterr().out
    assert main(["list", "--json"]) == 0
    assert {"lenet5", "mlp"} <= {entry["name"] for entry in document(capsys)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "Did you mean 'train'"),
        (["train", "lenet"], "Did you mean 'lenet5'"),
        (["train", "lenet5", "--data", "digits", "--epoch", "3"], "Did you mean '--epochs'"),
        (["train", "mlp", "--hidden", "3"], "Did you mean '--hidden-units'.* See kerasdl train mlp --help"),
        (["train", "convnet", "--hidden", "3"], "no flag '--hidden' here. See kerasdl train convnet --help"),
        (["train", "lenet5", "--data", "digits", "--epochs", "x"], "--epochs: got 'x'"),
        (["train", "lenet5", "--data", "digts"], "Did you mean 'digits'"),
        (["train", "lenet5", "--data", "digits", "--activation", "rleu"], "rleu"),
        (["train", "lenet5", "--data", "digits", "--strategy", "two"], "strategy is 'two'"),
        (["train", "lenet5", "--data", "digits", "--batch-size", "99999"], "only 12[0-9][0-9] training"),
        (["train", "--epochs", "3"], "pipeline comes first"),
        (["evaluate", "nowhere"], "There is no nowhere"),
        (["evaluate", "."], "neither a run"),
        (
            ["evaluate", "exported/lenet5"],
            "Give one of them, such as exported/lenet5/[0-9]",
        ),
        (["predict", "runs/lenet5/1"], "FILE"),
        (["predict", "runs/lenet5/1", "nowhere.png"], "no image nowhere.png"),
        (["predict", "runs/lenet5/1", "runs/lenet5/1/recipe.json"], "not a readable image"),
        (["export", "runs/lenet5/1", "--formats", "onx"], "Did you mean 'onnx'"),
        (["export", "exported/lenet5/1"], "already exported"),
        (
            ["export", "runs/lenet5/1", "--tflite-io", "int8", "--tflite-modes", "w8a32"],
            "is about int8 files. Add int8",
        ),
        (["verify", "runs/lenet5/1"], "bundle"),
        (["evaluate", "runs/lenet5/1", "--data", "own.npz"], "takes examples of shape"),
    ],
)
def test_mistakes_have_one_message_and_exit_code_2(here, capsys, arguments, words):
    np.savez(
        here / "own.npz", x_train=np.zeros((40, 4, 4), np.uint8), y_train=np.arange(40) % 2,
        x_test=np.zeros((4, 4, 4), np.uint8), y_test=np.arange(4) % 2,
    )  # fmt: skip
    message = refused(capsys, *arguments)
    assert re.search(words, message), message


@pytest.mark.slow
def test_divergence_stops_with_exit_code_1_and_keeps_finite_weights(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "mlp", "--data", "digits", "--optimizer", "sgd", "--learning-rate", "1e6"]
    arguments += ["--checkpoint-every", "none"]  # one that is due checks too, at any step
    assert main([*arguments, "--schedule", "constant", "--no-export"]) == 1
    message = capsys.readouterr().err
    assert "within steps 1 to" in message
    assert "--learning-rate" in message
    network = keras.saving.load_model("runs/mlp/1/model.keras")
    assert all(np.isfinite(array).all() for array in network.get_weights())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lenet5", "--channels", "2"], "channels is 2"),
        (["lenet5", "--mean", "1,2"], "mean has 2 numbers, but images have 1 channels"),
        (["lenet5", "--std", "0"], "above 0"),
        (["lenet5", "--exported-dir", "own.npz/x"], "own.npz"),
        (["lenet5", "--runs-dir", "own.npz/x"], "--runs-dir"),
        (["convnet", "--crop", "8"], "crop is 8.*8x8.*--crop 7"),
        (["convnet", "--cutout", "9"], "cutout is 9.*8x8.*--cutout 7"),
        (["convnet", "--whiten", "40"], "whiten is 40, but images have 32 by 32"),
        (["convnet", "--normalization-momentum", "1"], "normalization_momentum is 1.0"),
        (
            ["convnet", "--size", "4,4", "--crop", "0"],
            "ConvNet cannot take examples of 8x8x1, which it sees as 4x4x3",
        ),
    ],
)
def test_what_would_spoil_the_result_is_said_before_training(here, capsys, recwarn, arguments, words):
    (here / "own.npz").touch()
    runs = len(list((here / "runs").glob("*/*")))
    message = refused(capsys, "train", *arguments, "--data", "digits", "--epochs", "1")
    assert re.search(words, message), message
    assert not [warning for warning in recwarn if "unbuilt state" in str(warning.message)]  # Keras's own
    assert len(list((here / "runs").glob("*/*"))) == runs


def test_damaged_files_are_failures_not_mistakes(here, capsys, tmp_path):
    shutil.copytree(here / "exported/lenet5/1", tmp_path / "bundle")
    shutil.copytree(here / "runs/lenet5/1", tmp_path / "run")
    (tmp_path / "run/model.keras").write_bytes(b"half")
    (tmp_path / "bundle/lenet5.onnx").write_bytes(b"half")
    for target in ("run", "bundle/lenet5.onnx"):
        assert main(["evaluate", str(tmp_path / target)]) == 1
        assert "is damaged" in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "bundle"), "--json"]) == 1
    report = document(capsys)
    assert report["verified"] is False
    assert any("lenet5.onnx" in problem for problem in report["problems"])
    (tmp_path / "bundle/card.json").write_text("{}")
    assert main(["verify", str(tmp_path / "bundle")]) == 1
    assert "card.json is damaged" in capsys.readouterr().err


def test_a_changed_file_is_said_when_it_is_used(here, caplog, tmp_path):
    shutil.copytree(here / "exported/lenet5/1", tmp_path / "bundle")
    file = tmp_path / "bundle/lenet5.int8.tflite"
    file.write_bytes(file.read_bytes() + b"\0")
    assert main(["predict", str(file), str(here / "zero.png")]) == 0
    assert "has changed since it was exported" in caplog.text


@pytest.mark.slow
def test_evaluate_says_when_the_data_is_not_that_of_the_training(here, capsys):
    arguments = ["evaluate", "runs/lenet5/1", "--json"]
    assert main(arguments) == 0
    assert document(capsys)["same_data_as_training"] is True
    images = np.round(load_digits().images[:200] * 255 / 16).astype(np.uint8)
    labels = load_digits().target[:200]
    np.savez(here / "few.npz", x_train=images, y_train=labels, x_test=images[:50], y_test=labels[:50])
    assert main([*arguments, "--data", "few.npz"]) == 0
    assert document(capsys)["same_data_as_training"] is False
    assert main(["export", "runs/lenet5/1", "--data", "few.npz"]) == 2
    assert "not the data" in capsys.readouterr().err
