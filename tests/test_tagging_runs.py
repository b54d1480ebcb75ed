"""Taggers from the command line to files: trained, exported, asked, evaluated and resumed."""

import csv
import json

import numpy as np
import pytest

import kerasdl
from kerasdl.cli import main
from kerasdl.inference.endpoint import figure_of
from kerasdl.runs import folder as runs

pytestmark = pytest.mark.slow

SMALL = ("--units", "8", "--embedding-size", "8", "--suffix-size", "4", "--shape-size", "2", "--phone-length",
         "12", "--min-steps", "0", "--batch-size", "64", "--schedule", "constant")  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory):
    """A tagger with a chain after two epochs, as run and as bundle; the tests run beside them."""
    folder = tmp_path_factory.mktemp("tagger")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        kept = ["saved_model", "tflite", "onnx"]
        assert main(["train", "tagger", "--crf", *SMALL, "--epochs", "2", "--no-export"]) == 0
        assert (
            main(["export", "runs/tagger/1", "--formats", ",".join(kept), "--tflite-modes", "dynamic"]) == 0
        )
        yield folder


def rows_of(path):
    with path.open() as file:
        return [{name: row[name] for name in row if name != "seconds"} for row in csv.DictReader(file)]


def test_every_file_tags_as_the_run_does(place):
    texts = ["call Anna Berg in New Haven, please", "hi", " ".join(["in Oslo"] * 6)]
    expected = kerasdl.load("runs/tagger/1").predict(texts)
    assert [len(answer["tags"]) for answer in expected] == [8, 1, 12]
    for file in ("", "/tagger.onnx", "/tagger.dynamic.tflite"):
        found = kerasdl.load(f"exported/tagger/1{file}").predict(texts)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(
                one["probabilities"], other["probabilities"], atol=0.1 if "dynamic" in file else 1e-5
            )
        if "dynamic" not in file:
            assert [one["tags"] for one in found] == [one["tags"] for one in expected]
    alone = kerasdl.load("exported/tagger/1").predict(texts[1])
    np.testing.assert_allclose(alone[0]["probabilities"], expected[1]["probabilities"], atol=1e-5)


def test_two_replicas_equal_one(place):
    command = ["train", "tagger", "--crf", *SMALL, "--epochs", "1", "--no-export", "--optimizer", "sgd"]
    weights = []
    for strategy in ("none", "cpu:2"):
        beside = f"on-{strategy.replace(':', '-')}"
        assert main([*command, "--strategy", strategy, "--runs-dir", beside]) == 0
        weights.append(runs.open_run(f"{beside}/tagger/1").network().get_weights())
    for left, right in zip(*weights, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


def test_predict_prints_tokens_with_their_tags(place, capsys, caplog):
    (place / "a.conll").write_text("Anna X\nsings X\n\nhi X\n")
    assert main(["predict", "exported/tagger/1", "a.conll", "call Tom"]) == 0
    blocks = capsys.readouterr().out.split("\n\n")
    assert [[line.split()[0] for line in block.splitlines()] for block in blocks[:3]] == [
        ["Anna", "sings"], ["hi"], ["call", "Tom"],
    ]  # fmt: skip
    assert main(["predict", "exported/tagger/1/tagger.dynamic.tflite", " ".join("a" * 13), "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert len(answer["tokens"]) == 13 and len(answer["tags"]) == 12
    assert "1 of 1 sentences have more than the 12 tokens" in caplog.text
    assert main(["predict", "exported/tagger/1", ""]) == 2


def test_the_bundle_is_verified_and_judged_again(place, capsys):
    assert main(["verify", "exported/tagger/1"]) == 0
    capsys.readouterr()
    for target in ("runs/tagger/1", "exported/tagger/1/tagger.onnx"):
        assert main(["evaluate", target, "--data", "requests"]) == 0
        printed = capsys.readouterr().out
        assert "F1 of entities" in printed and "B-PER" in printed


def test_figures_of_the_bundle_are_those_of_evaluate(place, capsys):
    rows = json.loads((place / "exported/tagger/1/card.json").read_text())["artefacts"]
    for row in rows:
        file = "" if row["kind"] == "saved_model" else f"/{row['file']}"
        capsys.readouterr()
        assert main(["evaluate", f"exported/tagger/1{file}", "--data", "requests", "--json"]) == 0
        figures = json.loads(capsys.readouterr().out)
        for name in ("accuracy", "f1", "sentence_accuracy"):
            assert row["evaluation"][name] == pytest.approx(figures[name], abs=1e-3), (row["file"], name)
            assert figure_of(row, name) == row["evaluation"][name]


def test_the_report_shows_sentences_and_tags(place):
    page = (place / "runs/tagger/1/report.html").read_text()
    assert "Sentences with the most errors" in page and "the most frequent tag of each word" in page
    assert "B-PER &gt;" in page or "&gt; B-PER" in page


def test_a_run_that_was_stopped_resumes_exactly(place, tmp_path):
    command = ["train", "tagger", "--crf", *SMALL, "--epochs", "1", "--no-export", "--runs-dir"]
    assert main([*command, str(tmp_path)]) == 0
    assert main(["train", "--resume", str(tmp_path / "tagger/1"), "--epochs", "2", "--no-export"]) == 0
    whole, part = (rows_of(folder / "tagger/1/history.csv") for folder in (place / "runs", tmp_path))
    assert len(whole) == 2 and whole == part
