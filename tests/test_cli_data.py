"""The commands on data of the user: folders of images and .npz files, from training to verification."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasdl.cli import main

#: Sorted as a folder is listed; spaces and letters beyond ASCII are part of a name.
CLASSES = ("Gr\u00fcne \u00c4pfel", "middle", "on the right")
NUM_IMAGES = 24  # of a class
SMALL = ["--hidden-units", "16", "--batch-size", "16", "--epochs", "12", "--learning-rate", "0.01"]


def patterns(label, count=NUM_IMAGES):
    """Draw images (count, 8, 8, 1) uint8: dark noise with a bright bar in a place that tells the class."""
    images = np.random.default_rng(label).integers(0, 90, (count, 8, 8, 1))
    images[:, :, 1 + 2 * label : 3 + 2 * label] += 150
    return images.astype(np.uint8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of PNG and JPEG files, in a place of its own."""
    folder = tmp_path_factory.mktemp("elsewhere") / "pictures"
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for index, image in enumerate(patterns(label)):
            suffix, encode = [("png", tf.io.encode_png), ("jpg", tf.io.encode_jpeg)][index % 2]
            (folder / name / f"{index:02}.{suffix}").write_bytes(encode(image).numpy())
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory, pictures):
    """A folder in which a pipeline was trained on the pictures and exported."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "mlp", "--data", str(pictures), *SMALL]) == 0
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
    capsys.readouterr()
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert out == ""
    return err


@pytest.mark.slow
def test_training_on_a_folder(here):
    run = here / "runs/mlp/1"
    assert (run / "labels.txt").read_text(encoding="utf-8") == "".join(f"{name}\n" for name in CLASSES)
    metrics = json.loads((run / "metrics.json").read_text())["test"]
    assert metrics["examples"] == 15
    assert metrics["accuracy"] == 1.0
    assert len(list(csv.DictReader((run / "history.csv").open()))) == 12
    assert (here / "exported/mlp/1/labels.txt").read_bytes() == (run / "labels.txt").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("target", ["runs/mlp/1", "exported/mlp/1", "mlp.float32.tflite", "mlp.onnx"])
def test_evaluate_and_predict_on_a_folder(here, pictures, capsys, target):
    if "/" not in target:
        target = f"exported/mlp/1/{target}"
    assert main(["evaluate", target, "--data", str(pictures), "--json"]) == 0
    figures = document(capsys)
    assert (figures["accuracy"], figures["examples"]) == (1.0, 15)
    files = [str(pictures / name / "00.png") for name in CLASSES]
    assert main(["predict", target, *files, "--json"]) == 0
    answers = document(capsys)
    assert [(answer["file"], answer["class"]) for answer in answers] == list(zip(files, CLASSES, strict=True))
    assert main(["predict", target, files[0]]) == 0
    assert re.search(rf"00\.png  {CLASSES[0]}  +[\d.]+ % ", capsys.readouterr().out)


@pytest.mark.slow
def test_evaluate_on_photos_of_another_size_and_turned(here, pictures, capsys, tmp_path):
    """The exported size is that of the run, whatever other photos have."""
    tag = Image.Exif()
    tag[0x0112] = 6
    for name in CLASSES:
        (tmp_path / name).mkdir()
        for path in (pictures / name).iterdir():
            image = Image.open(path).convert("RGB").resize((31, 23)).transpose(Image.Transpose.ROTATE_90)
            image.save(tmp_path / name / f"{path.stem}.jpg", quality=95, exif=tag)
    for target in ("runs/mlp/1", "exported/mlp/1/mlp.onnx"):
        assert main(["evaluate", target, "--data", str(tmp_path), "--json"]) == 0
        assert document(capsys)["accuracy"] == 1.0


@pytest.mark.slow
def test_evaluate_a_run_where_its_folder_is(here, capsys):
    assert main(["evaluate", "runs/mlp/1", "--json"]) == 0
    assert document(capsys)["accuracy"] == 1.0


@pytest.mark.slow
def test_evaluate_a_bundle_without_its_folder_asks_for_data(here, capsys):
    """A card tells nothing of the machine that made it, so where the data lies has to be said."""
    for target in ("exported/mlp/1", "exported/mlp/1/mlp.onnx"):
        assert "--data" in refused(capsys, "evaluate", target)


@pytest.mark.slow
def test_verify_with_and_without_the_folder(here, pictures, capsys):
    assert main(["verify", "exported/mlp/1", "--data", str(pictures), "--json"]) == 0
    found = document(capsys)
    assert found["verified"] is True
    assert "all 15 test examples" in found["note"]
    assert main(["verify", "exported/mlp/1", "--json"]) == 0
    assert "embedded samples" in document(capsys)["note"]
    shutil.copytree(pictures, here / "changed", dirs_exist_ok=True)
    (here / "changed" / CLASSES[0] / "00.png").unlink()
    assert "not the data" in refused(capsys, "verify", "exported/mlp/1", "--data", "changed")


@pytest.mark.slow
def test_npz_from_training_to_verification(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    images = np.concatenate([patterns(label) for label in range(3)])
    labels = np.repeat(np.arange(3), NUM_IMAGES)
    test = np.arange(len(images)) % 4 == 0
    np.savez_compressed(
        "mine.npz", x_train=images[~test], y_train=labels[~test], x_test=images[test], y_test=labels[test]
    )
    assert main(["train", "mlp", "--data", "mine.npz", *SMALL, "--no-export"]) == 0
    export = ["export", "runs/mlp/1", "--formats", "saved_model,onnx", "--data", str(tmp_path / "mine.npz")]
    assert main(export) == 0
    capsys.readouterr()
    for target in ("runs/mlp/1", "exported/mlp/1", "exported/mlp/1/mlp.onnx"):
        assert main(["evaluate", target, "--data", "mine.npz", "--json"]) == 0
        figures = document(capsys)
        assert (figures["accuracy"], figures["examples"]) == (1.0, int(test.sum()))
    (tmp_path / "bar.png").write_bytes(tf.io.encode_png(patterns(1)[0]).numpy())
    assert main(["predict", "exported/mlp/1", "bar.png", "--json"]) == 0
    assert document(capsys)[0]["class"] == "1"
    assert main(["verify", "exported/mlp/1", "--data", "mine.npz", "--json"]) == 0
    assert f"all {test.sum()} test examples" in document(capsys)["note"]


@pytest.mark.slow
def test_truncated_image_is_named_or_skipped(tmp_path, monkeypatch, capsys, caplog, pictures):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pictures, "bad")
    broken = tmp_path / "bad" / CLASSES[2] / "05.jpg"
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    train = ["train", "mlp", "--data", "bad", "--no-export", *SMALL, "--epochs", "1"]
    message = refused(capsys, *train)
    assert f"{CLASSES[2]}/05.jpg" in message
    assert "--skip-bad-images" in message
    assert not (tmp_path / "runs").exists()
    assert main([*train, "--skip-bad-images"]) == 0
    assert "1 bad image was skipped" in caplog.text
    assert f"{CLASSES[2]}/05.jpg" in caplog.text
    examples = json.loads((tmp_path / "runs/mlp/1/receipt.json").read_text())["data"]["examples"]
    assert sum(examples.values()) == 3 * NUM_IMAGES - 1


@pytest.mark.slow
def test_check_proves_the_installation(capsys):
    assert main(["check", "--json"]) == 0
    report = document(capsys)
    assert report["trained"] is True
    assert report["missing"] == []
    assert report["versions"]["tensorflow"] == tf.__version__


def test_mnist_that_is_not_prepared_is_refused_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "empty"))
    message = refused(capsys, "train", "lenet5")
    assert "--download" in message
    assert "TFDS_DATA_DIR" in message
    assert not (tmp_path / "runs").exists()
