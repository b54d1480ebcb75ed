"""Networks that read step by step: the answer after each step is that to the sequence so far."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerasdl.cli import main
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.errors import UsageError
from kerasdl.export.verify import beyond
from kerasdl.models.lenet5 import LeNet5
from kerasdl.models.recurrent import RecurrentNetwork
from kerasdl.models.tagger import Tagger
from kerasdl.preprocessing.sentence import TokenPreprocessing
from kerasdl.preprocessing.sequence import SequencePreprocessing
from kerasdl.tasks.classification.task import Classification
from kerasdl.tasks.regression.task import Regression
from kerasdl.tasks.tagging.task import Tagging

CLASSES = Spec((), "int32", ("a", "b", "c"))
WORDS = ("one", "two", "three", "four")
TEXTS = np.array([b"one two three", b"four", b"", b"two two four one three two", b"what one"], object)
ROWS = np.random.default_rng(0).integers(0, 256, (5, 6, 4, 1), np.uint8)
ALL_POOLS = {"pooling": "mean_max", "num_layers": 2, "residual": True, "embedding_mean": True}
NETWORKS = {
    "all pools of two layers": ALL_POOLS,
    "the last state": {"cell": "gru", "pooling": "last"},
    "the highest values": {"cell": "simple_rnn", "pooling": "max"},
}


def endpoints(features, fitted=None, **arguments):
    """Return the endpoints of a network with random weights, by name."""
    texts = features.dtype == object
    layer = SequencePreprocessing(**({"vocabulary": WORDS} if texts else {}))
    network = RecurrentNetwork(num_classes=3, units=5, embedding_size=4, preprocessing=layer, **arguments)
    network.infer(tf.constant(features.tolist()) if texts else features)
    network.set_weights([3 * weight for weight in network.get_weights()])  # answers that differ
    inputs = Spec((), "string") if texts else Spec(features.shape[1:], "uint8")
    data = DataSpec(inputs, CLASSES, assets=layer.assets() if texts else {})
    found = Classification(streaming=True).endpoints(network, data, fitted or {})
    return {endpoint.name: endpoint for endpoint in found}


def called(endpoint, inputs):
    outputs = endpoint.function(*(tf.constant(inputs[name]) for name in endpoint.inputs))
    return {name: value.numpy() for name, value in outputs.items()}


@pytest.mark.by_default(lambda features, arguments: features is ROWS and arguments is ALL_POOLS)
@pytest.mark.parametrize("features", [TEXTS, ROWS], ids=["texts", "rows"])
@pytest.mark.parametrize("arguments", NETWORKS.values(), ids=NETWORKS)
def test_the_last_step_answers_as_the_whole_sequence_does(features, arguments):
    """Sequences of other lengths are in one batch; calibrated, where there is a temperature."""
    found = endpoints(features, {"temperature": 2.0}, **arguments)
    whole = found["serving_ids" if features is TEXTS else "serving_default"]
    expected = called(whole, whole.inputs_of(features, 0))["probabilities"]
    read = np.array([text != b"" for text in features]) if features is TEXTS else slice(None)
    step = found["step"]
    answers = called(step, step.inputs_of(features, 0))["probabilities"]
    np.testing.assert_allclose(answers[read], expected[read], atol=1e-6)
    assert np.ptp(expected[read], axis=0).max() > 0.01  # or all would be right
    assert step.probe(lambda inputs: called(step, inputs), features)["stream_max_difference"] <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("state", ["h1", "c1", "mean", "max", "vectors", "count"])
def test_a_state_that_is_not_handed_on_is_noticed(state):
    step = endpoints(TEXTS, **ALL_POOLS)["step"]

    def forgetting(inputs):
        outputs = called(step, inputs)
        return {**outputs, f"next_{state}": np.zeros_like(outputs[f"next_{state}"])}

    found = step.probe(forgetting, TEXTS)
    assert found["stream_max_difference"] > 1e-3 > found["network_stream_max_difference"]


def test_answers_that_are_no_numbers_are_far_away():
    """However few they are, and in a state alone too."""
    step = endpoints(ROWS, pooling="last")["step"]
    inputs, read = step.inputs_of(ROWS, 0), []

    def failing(given):
        outputs = called(step, given)
        read.append(1)
        return {**outputs, "probabilities": outputs["probabilities"] * (np.nan if len(read) == 10 else 1)}

    found = step.probe(failing, ROWS)
    assert np.isnan([found["stream_max_difference"], found["stream_total_variation"]]).all()
    right = called(step, inputs)
    wrong = {**right, "next_h0": right["next_h0"] * np.nan}
    assert np.isnan(step.compare(right, wrong, np.zeros(len(ROWS)))["max_difference"])


@pytest.mark.by_default(lambda arguments: "bidirectional" in arguments)
@pytest.mark.parametrize(
    "arguments", [{"bidirectional": True}, {"pooling": "attention"}, {"num_pairs": 8}], ids=str
)
def test_networks_that_need_the_whole_sequence_are_refused(arguments):
    with pytest.raises(UsageError, match=r"cannot answer step by step.*--no-bidirectional"):
        endpoints(TEXTS, **arguments)


def test_networks_of_another_kind_are_refused():
    data = DataSpec(Spec((28, 28, 1), "uint8"), CLASSES)
    with pytest.raises(UsageError, match="LeNet5 cannot answer step by step"):
        Classification(streaming=True).endpoints(LeNet5(num_classes=3), data, {})


@pytest.mark.slow
def test_a_network_whose_steps_are_wrong_is_noticed_by_files_of_any_kind():
    """A file of 8 bits that does as the network does is no nearer to the answers to whole sequences."""

    class Forgetful(RecurrentNetwork):
        def step(self, x, states):
            found, after = super().step(x, states)
            return found, [after[0] * 0.99, *after[1:]]

    network = Forgetful(num_classes=3, units=5, preprocessing=SequencePreprocessing())
    network.infer(ROWS)
    data = DataSpec(Spec(ROWS.shape[1:], "uint8"), CLASSES)
    step = Classification(streaming=True).endpoints(network, data, {})[-1]
    found = step.probe(lambda inputs: called(step, inputs), ROWS)
    assert found["stream_max_difference"] == found["network_stream_max_difference"] > 1e-4
    (said,) = beyond(step, "dynamic", {**dict.fromkeys(step.tolerances("dynamic"), 0.0), **found})
    assert "network_stream_max_difference" in said


@pytest.mark.slow
def test_numbers_are_answered_step_by_step_in_the_targets_own_units():
    """Texts have an endpoint of words' numbers too, which files for phones can have."""
    layer = SequencePreprocessing(vocabulary=WORDS)
    network = RecurrentNetwork(num_outputs=2, units=5, embedding_size=4, preprocessing=layer)
    network.infer(tf.constant(TEXTS.tolist()))
    network.set_weights([3 * weight for weight in network.get_weights()])
    targets = Spec.of_numbers(np.array([[5.0, 1000], [7, 3000]], np.float32))
    data = DataSpec(Spec((), "string"), targets, assets=layer.assets())
    found = {one.name: one for one in Regression(streaming=True).endpoints(network, data, {})}
    assert list(found) == ["serving_default", "serving_ids", "step"]
    expected = called(found["serving_default"], {"inputs": TEXTS})["values"]
    assert np.ptp(expected[:, 1]) > 100
    read, step = TEXTS != b"", found["step"]
    for name in ("serving_ids", "step"):
        values = called(found[name], found[name].inputs_of(TEXTS, 0))["values"]
        np.testing.assert_allclose(values[read], expected[read], rtol=1e-5)
    probed = step.probe(lambda inputs: called(step, inputs), TEXTS)["stream_max_difference"]
    assert probed <= 1e-5

    def shifted(inputs):
        outputs = called(step, inputs)
        return {**outputs, "values": outputs["values"] + np.array([0, 500], np.float32)}

    assert step.probe(shifted, TEXTS)["stream_max_difference"] == pytest.approx(0.5, abs=1e-4)  # deviations


@pytest.mark.parametrize("scaled", [True, False])
def test_files_are_compared_in_deviations_of_the_targets_whether_these_are_scaled_or_not(scaled):
    targets = Spec.of_numbers(np.array([[5.0, 1000], [7, 3000]], np.float32))  # 1 and 1,000 of each
    data = DataSpec(Spec((4, 3), "float32"), targets)
    (whole,) = Regression(scale_targets=scaled).endpoints(None, data, {})
    right = np.array([[5, 2000]], np.float32)
    wrong = {"values": right + np.array([0, 500], np.float32)}
    assert whole.compare({"values": right}, wrong, right)["max_difference"] == pytest.approx(0.5)


SENTENCES = np.array([[b"one", b"two", b"three"], [b"two", b"", b""], [b"four", b"what", b""]], object)


def tagger(**arguments):
    layer = TokenPreprocessing()
    layer.fit(lambda: [SENTENCES])
    network = Tagger(num_tags=3, units=5, num_layers=2, residual=True, preprocessing=layer, **arguments)
    network.infer(tf.constant(SENTENCES.tolist()))
    network.set_weights([3 * weight for weight in network.get_weights()])
    tokens = Spec((None,), "string")
    data = DataSpec(tokens, Spec((None,), "int32", ("O", "B-X", "I-X")), assets=layer.assets())
    return {one.name: one for one in Tagging(streaming=True).endpoints(network, data, {})}


@pytest.mark.slow
def test_the_tag_of_each_token_is_that_of_the_whole_sentence():
    found = tagger(bidirectional=False)
    whole, step = called(found["serving_default"], {"tokens": SENTENCES}), found["step"]
    inputs, ends = step.inputs_of(SENTENCES, 0), [2, 0, 1]
    answers = called(step, inputs)
    for name in ("tag_ids", "probabilities"):
        np.testing.assert_allclose(answers[name], whole[name][range(3), ends], atol=1e-6)
    assert np.ptp(answers["probabilities"], axis=0).max() > 0.01  # or all would be right
    assert step.probe(lambda inputs: called(step, inputs), SENTENCES)["stream_max_difference"] <= 1e-5
    targets = np.array([[1, 1, 3], [2, 0, 0], [1, 1, 0]])
    wrong = {**answers, "tag_ids": answers["tag_ids"] % 3 + 1}
    right = (answers["tag_ids"] == [3, 2, 1]).mean() - (wrong["tag_ids"] == [3, 2, 1]).mean()
    compared = step.compare(answers, wrong, targets)
    assert compared["agreement"] == 0 and compared["accuracy_change"] == pytest.approx(-right)
    np.testing.assert_allclose(step.compare(answers, answers, targets)["max_difference"], 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [{"bidirectional": True}, {"bidirectional": False, "crf": True}], ids=str
)
def test_taggers_that_need_the_whole_sentence_are_refused(arguments):
    with pytest.raises(UsageError, match=r"Tagger cannot answer step by step.*--no-crf"):
        tagger(**arguments)


@pytest.fixture(scope="module")
def onnxruntime_web(tmp_path_factory):
    """The folder of packages for Node.js, from the package index; None where it cannot be had."""
    folder = tmp_path_factory.mktemp("npm")
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "onnxruntime-web@1.30.0"]
    if not (shutil.which("npm") and shutil.which("node")) or subprocess.run(command, cwd=folder).returncode:
        return None
    return folder / "node_modules"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("gru", "phrases"),
        ("tagger", "requests"),
        pytest.param("gru", "digits", marks=pytest.mark.large),
    ],
)
def test_every_file_streams(tmp_path, monkeypatch, capsys, onnxruntime_web, name, data):
    """From the command line: 500 steps of each file, and no file is published that goes another way."""
    monkeypatch.chdir(tmp_path)
    flags = ["--no-bidirectional", "--streaming", "--epochs", "2", "--min-steps", "0"]
    assert main(["train", name, "--data", data, *flags]) == 0
    card = json.loads((tmp_path / f"exported/{name}/1/card.json").read_text())
    found = {row["kind"]: row["endpoints"] for row in card["artefacts"] if "step" in row.get("endpoints", {})}
    assert {"saved_model", "float32", "float16", "dynamic", "onnx"} <= found.keys()
    for kind in ("saved_model", "float32", "onnx"):
        assert found[kind]["step"]["stream_max_difference"] <= 1e-4
    assert main(["verify", f"exported/{name}/1"]) == 0
    assert main(["evaluate", f"exported/{name}/1/{name}.step.onnx"]) == 2
    assert f"kerasdl evaluate exported/{name}/1." in capsys.readouterr().err
    assert main(["predict", f"exported/{name}/1/{name}.step.onnx", "some words"]) == 2
    assert f"Give its folder, exported/{name}/1; its README.md" in capsys.readouterr().err
    monkeypatch.chdir(f"exported/{name}/1")
    readme = Path("README.md").read_text()
    sections = {
        heading: re.search(rf"\n## {re.escape(heading)}\n(.*?)(?=\n## |$)", readme, re.DOTALL)[1]
        for heading in ("Step by step", f"ONNX: `{name}.step.onnx`")
    }
    printed = []
    for section in sections.values():
        exec(re.search(r"```python\n(.*?)```", section, re.DOTALL)[1], {})
        printed.append(capsys.readouterr().out)
        assert printed[-1].count("[") >= 3
    if onnxruntime_web is None:
        return
    Path("node_modules").symlink_to(onnxruntime_web)
    Path("loop.mjs").write_text(re.search(r"```js\n(.*?)```", sections["Step by step"], re.DOTALL)[1])
    ran = subprocess.run(["node", "loop.mjs"], capture_output=True, text=True)
    of_node, of_phones = (
        np.array(re.findall(r"\d\.\d*(?:e-\d+)?", text), float) for text in (ran.stdout, printed[0])
    )
    assert len(of_node) >= 6, ran.stderr
    np.testing.assert_allclose(of_node, of_phones, atol=0.1)  # one of the files is small
