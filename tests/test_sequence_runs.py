"""Whole runs of sequence networks that have no file of their own for it: resumed exactly, hostile texts."""

import csv

import numpy as np
import pytest

import kerasdl
from kerasdl.cli import main

pytestmark = pytest.mark.slow

_SMALL = ["--batch-size", "32", "--min-steps", "0", "--schedule", "constant", "--limit-train-batches", "6",
          "--no-export", "--dropout", "0.2"]  # fmt: skip
VARIANTS = {
    "rows, simple_rnn": ["lstm", "--data", "digits", "--cell", "simple_rnn", "--units", "6",
                         "--recurrent-dropout", "0.1"],
    "rows, gru": ["gru", "--data", "digits", "--units", "6", "--recurrent-dropout", "0.1"],
    "min_gru": ["char_lm", "--cell", "min_gru", "--units", "8", "--sample-length", "0"],
    "forecast": ["forecast", "--units", "4"],
    "nlinear": ["nlinear"],
    "dlinear": ["dlinear"],
}  # fmt: skip


def history_of(folder, pipeline):
    with (folder / pipeline / "1/history.csv").open() as file:
        return [{name: row[name] for name in row if name != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("rows, gru", "forecast") else pytest.param(name, marks=pytest.mark.large)
        for name in VARIANTS
    ],
)
def test_a_run_that_was_stopped_resumes_exactly(name, tmp_path):
    pipeline, *arguments = VARIANTS[name]
    small = _SMALL[: -2 if "linear" in pipeline else None]  # nothing is left out of a linear map
    command = ["train", pipeline, *arguments, *small, "--epochs"]
    assert main([*command, "2", "--runs-dir", str(tmp_path / "whole")]) == 0
    assert main([*command, "1", "--runs-dir", str(tmp_path / "part")]) == 0
    resumed = ["train", "--resume", str(tmp_path / "part" / pipeline / "1"), "--epochs", "2", "--no-export"]
    assert main(resumed) == 0
    whole, part = (history_of(tmp_path / folder, pipeline) for folder in ("whole", "part"))
    assert len(whole) == 2 and whole == part


HOSTILE = (
    "", " ", "\0", "a\0b", "\U0001f600 \u0645\u0631\u062d\u0628\u0627 \u202e abc", "caf\u00e9 e\u0301",
    "word " * 200_000, "\ufeff", "\u200b", "<script>", "x" * 10_000,
)  # fmt: skip


def test_hostile_texts_are_answered_by_run_and_files_alike(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["--units", "4", "--embedding-size", "4", "--max-length", "12", "--num-pairs", "0",
             "--epochs", "1", "--limit-train-batches", "4", "--min-steps", "0"]  # fmt: skip
    assert main(["train", "bilstm_attention", "--data", "phrases", *small, "--no-export"]) == 0
    assert main(["export", "runs/bilstm_attention/1", "--tflite-modes", "float32"]) == 0
    texts = np.array([text.encode() for text in (*HOSTILE, "the film was good")], object)
    expected = kerasdl.load("runs/bilstm_attention/1").predict(texts)["probabilities"]
    assert np.isfinite(expected).all()
    for file in ("", "/bilstm_attention.onnx", "/bilstm_attention.float32.tflite"):
        found = kerasdl.load(f"exported/bilstm_attention/1{file}").predict(texts)["probabilities"]
        np.testing.assert_allclose(found, expected, atol=1e-5)
