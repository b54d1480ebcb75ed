"""Runs over texts and rows of images, from the pipeline file to every exported file."""

import contextlib
import csv
import json

import numpy as np
import pytest

import kerasdl
from kerasdl.cli import main

pytestmark = pytest.mark.slow

SMALL = ["--units", "12", "--embedding-size", "8", "--max-length", "16", "--batch-size", "64", "--optimizer",
         "adam", "--learning-rate", "5e-3", "--weight-decay", "0", "--ema-momentum", "none",
         "--hide-words", "0.1", "--embedding-dropout", "0.1", "--dropout", "0.1"]  # fmt: skip
KINDS = {
    "lstm": ["lstm", "--data", "phrases", "--recurrent-dropout", "0.1", "--num-pairs", "500"],
    "attention": [
        "bilstm_attention", "--data", "phrases", "--cell", "gru", "--num-layers", "2", "--residual",
        "--num-pairs", "0",
    ],
}  # fmt: skip


#: For what takes minutes with attention, whose layers have tests of their own for it.
LARGE_WITH_ATTENTION = pytest.mark.parametrize(
    "place", ["lstm", pytest.param("attention", marks=pytest.mark.large)], indirect=True
)


@pytest.fixture(scope="module", params=KINDS)
def place(request, tmp_path_factory):
    """A folder with a finished run and its bundle."""
    folder = tmp_path_factory.mktemp(request.param)
    with contextlib.chdir(folder):
        assert main(["train", *KINDS[request.param], *SMALL, "--epochs", "8"]) == 0
    pipeline = KINDS[request.param][0]
    return folder, KINDS[request.param], f"runs/{pipeline}/1", f"exported/{pipeline}/1"


@pytest.fixture(autouse=True)
def there(place, monkeypatch):
    monkeypatch.chdir(place[0])


def card(place):
    return json.loads((place[0] / place[3] / "card.json").read_text())


def test_order_is_learned_and_every_file_is_verified(place):
    metrics = json.loads((place[0] / place[2] / "metrics.json").read_text())["test"]
    assert metrics["accuracy"] > 0.9 > metrics["baselines"]["NB-SVM with pairs of words"]["accuracy"]
    rows = {row["kind"]: row for row in card(place)["artefacts"]}
    assert set(rows) == {"saved_model", "float32", "float16", "dynamic", "int8", "onnx"}
    for kind, row in rows.items():
        if kind == "int8" and "error" in row:  # not every recurrent network bears 256 steps
            assert "not the same network" in row["error"]
            continue
        of_phones = row["file"].endswith(".tflite")  # which take 16 words
        assert row["latency_ms_by_length"].keys() == ({"10", "16"} if of_phones else {"10", "100", "400"})
        assert row["examples"] == 1280 and row["evaluation"]["accuracy"] > metrics["accuracy"] - 0.01


def test_every_file_answers_a_text_as_the_run_does(place):
    texts = np.array(
        ["the film was not good", "a really charming hotel", "", "  ",
         "caf\u00e9 \U0001f600 \u0627\u0644 \x00 ?!", "good " * 200_000],
        object,
    )  # fmt: skip
    expected = kerasdl.load(place[2]).predict(texts)["probabilities"]
    assert np.isfinite(expected).all()
    for row in card(place)["artefacts"]:
        if "error" in row or row["kind"] in ("int8", "dynamic", "float16"):
            continue
        path = place[3] + ("" if row["kind"] == "saved_model" else f"/{row['file']}")
        answer = kerasdl.load(path).predict(texts)
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
        has_weights = "bilstm_attention" in path and not path.endswith(".tflite")
        assert ("attention" in answer) == has_weights
        if has_weights:
            np.testing.assert_allclose(answer["attention"][:2].sum(axis=1), 1, atol=1e-5)
            np.testing.assert_array_equal(answer["attention"][2:4], 0)
        np.testing.assert_allclose(
            kerasdl.load(path).predict(texts[:1])["probabilities"], expected[:1], atol=1e-5
        )
    assert main(["verify", place[3]]) == 0


def test_another_vocabulary_is_noticed(place, tmp_path, caplog):
    import shutil

    bundle = shutil.copytree(place[3], tmp_path / "bundle")
    lines = (bundle / "vocab.txt").read_text().split("\n")
    lines[2], lines[3] = lines[3], lines[2]
    (bundle / "vocab.txt").write_text("\n".join(lines))
    kerasdl.load(bundle / f"{place[1][0]}.float32.tflite")
    assert "vocab.txt has changed since it was exported" in caplog.text


@LARGE_WITH_ATTENTION
def test_a_run_that_was_stopped_resumes_exactly(place, tmp_path):
    common = ["train", *place[1], *SMALL, "--no-export", "--schedule", "constant", "--runs-dir"]
    assert main([*common, str(tmp_path / "whole"), "--epochs", "3"]) == 0
    assert main([*common, str(tmp_path / "part"), "--epochs", "1"]) == 0
    run = tmp_path / "part" / place[1][0] / "1"
    assert main(["train", "--resume", str(run), "--epochs", "3", "--no-export"]) == 0
    whole, part = (rows_of(tmp_path / name / place[1][0] / "1/history.csv") for name in ("whole", "part"))
    assert len(whole) == 3 and whole == part


@LARGE_WITH_ATTENTION
def test_two_replicas_give_the_losses_of_one(place, tmp_path):
    command = ["train", *place[1], *SMALL, "--epochs", "2", "--no-export", "--optimizer", "sgd"]
    for name, strategy in (("one", "none"), ("two", "cpu:2")):
        assert main([*command, "--runs-dir", str(tmp_path / name), "--strategy", strategy]) == 0
    one, two = (rows_of(tmp_path / name / place[1][0] / "1/history.csv") for name in ("one", "two"))
    for left, right in zip(one, two, strict=True):
        for name in ("loss", "val_loss"):
            assert float(left[name]) == pytest.approx(float(right[name]), rel=1e-4)


def rows_of(path):
    with path.open() as file:
        return [{name: row[name] for name in row if name != "seconds"} for row in csv.DictReader(file)]
