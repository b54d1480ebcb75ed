"""Every format of one tiny network: what is in the files, and what they answer."""

import dataclasses
import json
import os
import re
import subprocess
import sys

import flatbuffers.table
import numpy as np
import onnx
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export.artefact import Artefact
from kerasdl.export.verify import check_interface
from kerasdl.inference.runtimes import open_artifact
from tests.export.tiny import FILES, LABELS, TOLERANCE, opened


def test_bundle_holds_every_file(bundle):
    names = {path.name for path in bundle.path.iterdir()}
    assert names >= {*FILES, "variables", "labels.txt", "card.json", "README.md"}
    assert bundle.path.name == "1"
    assert bundle.path.stat().st_mode & 0o055 == 0o055  # TF Serving runs as another user
    assert [row["file"] for row in bundle.rows] == list(FILES)
    assert not bundle.failures


@pytest.mark.parametrize("file", FILES)
def test_every_file_answers_as_keras_does(bundle, expected, images, file):
    predictor = opened(bundle, file)
    for batch_size in (1, 7):
        outputs = predictor.predict(images[:batch_size])
        kind = file.split(".")[1]
        assert outputs["probabilities"].shape == (batch_size, 3)
        np.testing.assert_allclose(
            outputs["probabilities"], expected[:batch_size], atol=TOLERANCE.get(kind, 1e-5)
        )
        np.testing.assert_array_equal(outputs["class_ids"], outputs["probabilities"].argmax(-1))
    assert predictor.labels == LABELS


def test_rows_hold_what_was_measured(bundle, expected, batches):
    labels = np.concatenate([labels for _, labels, _ in batches()])
    accuracy = (expected.argmax(-1) == labels).mean()
    for row in bundle.rows:
        assert row["latency_ms"] > 0
        assert row["max_difference"] >= row["mean_difference"] >= 0
        assert row["evaluation"]["examples"] == 40
    float32, int8 = bundle.rows[1], bundle.rows[4]
    assert float32["accuracy"] == pytest.approx(accuracy)
    assert float32["flex_operators"] == []
    assert float32["bytes"] == (bundle.path / float32["file"]).stat().st_size
    assert int8["max_difference"] > 1e-5 > float32["max_difference"]
    assert int8["bytes"] < float32["bytes"] / 2


def test_saved_model_stores_each_weight_once(bundle, spec):
    weights = sum(variable.numpy().nbytes for variable in spec.model.variables)
    stored = sum(path.stat().st_size for path in (bundle.path / "variables").iterdir())
    assert weights < stored < 1.2 * weights


@pytest.mark.slow
def test_saved_model_needs_neither_keras_nor_kerasdl(bundle, images, expected, tmp_path):
    np.save(tmp_path / "images.npy", images[:2])
    script = f"""
import sys
sys.modules["keras"] = sys.modules["kerasdl"] = None
import numpy as np, tensorflow as tf
model = tf.saved_model.load({str(bundle.path)!r})
images = np.load({str(tmp_path / "images.npy")!r})
raw = model.signatures["serving_default"](images=tf.constant(images))["probabilities"].numpy()
encoded = tf.stack([tf.io.encode_png(image) for image in images])
from_bytes = model.signatures["serving_bytes"](image_bytes=encoded)["probabilities"].numpy()
np.save({str(tmp_path / "out.npy")!r}, np.stack([raw, from_bytes]))
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), [expected[:2]] * 2, atol=1e-6)


def test_onnx_has_names_open_batch_and_labels(bundle):
    model = onnx.load(bundle.path / "tiny.onnx")
    assert [value.name for value in model.graph.input] == ["images"]
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert {value.name for value in model.graph.output} == {"probabilities", "class_ids"}
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert {opset.domain: opset.version for opset in model.opset_import}[""] == 18
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties == {"name": "tiny", "endpoint": "serving_default", "labels": "cat\ngreat dane\nemu\n"}


def test_int8_computes_in_integers_behind_float_inputs(bundle):
    interpreter = Interpreter(str(bundle.path / "tiny.int8.tflite"))
    interpreter.allocate_tensors()
    assert {details["dtype"] for details in interpreter.get_input_details()} == {np.float32}
    # (1, 60) is what the hidden layer gives: activations, not only weights.
    hidden = [details for details in interpreter.get_tensor_details() if tuple(details["shape"]) == (1, 60)]
    assert {details["dtype"] for details in hidden} == {np.int8}


def test_tflite_metadata_names_the_labels_of_the_output(bundle):
    content = (bundle.path / "tiny.float16.tflite").read_bytes()
    model = schema.Model.GetRootAs(content, 0)
    entries = {model.Metadata(i).Name(): model.Metadata(i).Buffer() for i in range(model.MetadataLength())}
    metadata = model.Buffers(entries[b"TFLITE_METADATA"]).DataAsNumpy().tobytes()
    assert metadata[4:8] == b"M001"
    root = _Table(metadata, flatbuffers.encode.Get(flatbuffers.packer.uoffset, metadata, 0))
    assert root.string(0) == "tiny"
    (labelled,) = root.tables(3)[0].tables(3)  # MediaPipe's classifiers take no output but scores
    assert labelled.string(0) == "probabilities"
    assert labelled.tables(6)[0].string(0) == "labels.txt"
    (image,) = root.tables(3)[0].tables(2)
    content, (unit,) = image.table(3), image.tables(4)
    assert (content.byte(0), content.table(1).byte(0)) == (2, 2)  # ImageProperties, GRAYSCALE
    assert (unit.byte(0), unit.table(1).floats(0), unit.table(1).floats(1)) == (1, [0.0], [1.0])


class _Table(flatbuffers.table.Table):
    """Reads fields of a flatbuffer by their place."""

    def __init__(self, content, position):
        super().__init__(content, position)

    def string(self, place):
        return self.String(self.Pos + self.Offset(4 + 2 * place)).decode()

    def byte(self, place):
        return self.Bytes[self.Pos + self.Offset(4 + 2 * place)]

    def table(self, place):
        return _Table(self.Bytes, self.Indirect(self.Pos + self.Offset(4 + 2 * place)))

    def floats(self, place):
        field = self.Offset(4 + 2 * place)
        start = self.Vector(field)
        return np.frombuffer(self.Bytes, "<f4", self.VectorLen(field), start).tolist()

    def tables(self, place):
        field = self.Offset(4 + 2 * place)
        if not field:
            return []
        start = self.Vector(field)
        return [_Table(self.Bytes, self.Indirect(start + 4 * i)) for i in range(self.VectorLen(field))]


def test_card_tells_nothing_of_the_machine(bundle):
    card = json.loads((bundle.path / "card.json").read_text())
    assert card["recipe"] == {"name": "tiny"}
    assert card["versions"]["tensorflow"] == tf.__version__
    for text in ("card.json", "README.md"):
        content = (bundle.path / text).read_text()
        assert str(bundle.path.parent) not in content
        assert os.getcwd() not in content  # noqa: PTH109
        assert content.isascii()


def test_readme_lines_run(bundle, monkeypatch, capsys):
    readme = (bundle.path / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    monkeypatch.chdir(bundle.path)
    for block in blocks:
        exec(block, {})
    assert len(blocks) == 3
    assert capsys.readouterr().out.count("probabilities") == 3
    for language in ("kotlin", "swift", "js", "sh"):
        assert f"```{language}" in readme
    assert "| `tiny.int8.tflite` |" in readme


def test_predictor_refuses_what_does_not_fit(bundle, images, tmp_path):
    predictor = opened(bundle, "tiny.onnx")
    with pytest.raises(UsageError, match=r"shape \(any, 8, 8, 1\), but was given \(2, 9, 8, 1\)"):
        predictor.predict(np.zeros((2, 9, 8, 1), np.uint8))
    with pytest.raises(UsageError, match="images is uint8, but was given float64"):
        predictor.predict(images / 255)
    with pytest.raises(UsageError, match=r"images is uint8, 0 to 255, but was given values from 0 to 300"):
        predictor.predict(np.linspace(0, 300, 128).astype(np.uint16).reshape(2, 8, 8, 1))
    wide = predictor.predict(images[:2].astype(np.uint16))["probabilities"]
    np.testing.assert_array_equal(wide, predictor.predict(images[:2])["probabilities"])
    with pytest.raises(UsageError, match="Did you mean 'serving_default'"):
        predictor.call("serving_defualt", {"images": images})
    with pytest.raises(UsageError, match="takes images, but was given image"):
        predictor.call("serving_default", {"image": images})


def test_an_artefact_with_other_inputs_is_refused(bundle, spec):
    endpoints = {"serving_default": dataclasses.replace(spec.endpoints[0], inputs={"pixels": None})}
    with pytest.raises(RunFailedError, match=r"serving_default takes \['images'\] instead of \['pixels'\]"):
        check_interface(
            opened(bundle, FILES[1]), Artefact(FILES[1], "float32", ("serving_default",)), endpoints
        )


def test_what_cannot_be_opened_is_named(copy, tmp_path):
    (copy / "tiny.onnx").write_bytes(b"nothing")
    (copy / "tiny.int8.tflite").write_bytes(b"nothing at all, really")
    (copy / "saved_model.pb").write_bytes(b"nothing")
    for path in (copy / "tiny.onnx", copy / "tiny.int8.tflite", copy):
        with pytest.raises(RunFailedError, match=re.escape(f"{path} is damaged")):
            open_artifact(path)
    for path in (tmp_path / "missing.onnx", copy / "labels.txt", tmp_path):
        with pytest.raises(UsageError, match=re.escape(str(path))):
            open_artifact(path)


@pytest.mark.slow
def test_dynamic_batch(write, images, expected, tmp_path):
    bundle = write(
        tmp_path, formats=("tflite",), tflite_modes=("float32", "int8", "int16x8"), dynamic_batch=True
    )
    for row in bundle.rows:
        interpreter = Interpreter(str(bundle.path / row["file"]))
        outputs = interpreter.get_signature_runner("serving_default")(images=images[:5].astype(np.float32))
        np.testing.assert_allclose(outputs["probabilities"], expected[:5], atol=5e-2)
    assert opened(bundle, "tiny.float32.tflite").inputs["serving_default"]["images"][0] == (None, 8, 8, 1)


def test_the_card_states_the_tolerances(bundle):
    rows = {row["kind"]: row for row in json.loads((bundle.path / "card.json").read_text())["artefacts"]}
    limits = rows["int8"]["endpoints"]["serving_default"]["tolerances"]
    assert limits == {"total_variation": "<= 0.1", "accuracy_drop": "<= 0.002"}


@pytest.mark.parametrize("io", ["uint8", pytest.param("int8", marks=pytest.mark.slow)])
def test_int8_files_take_and_give_whole_numbers(write, tmp_path, io, images, expected):
    files = {"formats": ("tflite",), "tflite_modes": ("float32", "int8"), "tflite_io": io}
    bundle = write(tmp_path, **files)
    interpreter = Interpreter(str(bundle.path / "tiny.int8.tflite"))
    runner = interpreter.get_signature_runner("serving_default")
    details = {**runner.get_input_details(), **runner.get_output_details()}
    assert {name: found["dtype"] for name, found in details.items()} == dict.fromkeys(
        details, np.dtype(io).type
    )
    outputs = open_artifact(bundle.path / "tiny.int8.tflite").predict(images[:7])
    np.testing.assert_allclose(outputs["probabilities"], expected[:7], atol=TOLERANCE["int8"])
    np.testing.assert_array_equal(outputs["class_ids"], outputs["probabilities"].argmax(-1))
    floats = Interpreter(str(bundle.path / "tiny.float32.tflite")).get_input_details()
    assert floats[0]["dtype"] == np.float32
    assert f"The int8 file takes and gives {io}" in (bundle.path / "README.md").read_text()


@pytest.mark.parametrize("file", ["saved_model.pb", "tiny.float32.tflite", "tiny.onnx"])
def test_an_empty_batch_is_refused_in_words(bundle, images, file):
    predictor = opened(bundle, file)
    for endpoint, inputs in predictor.inputs.items():
        (name,) = inputs
        with pytest.raises(UsageError, match=f"{name} holds no example"):
            predictor.call(endpoint, {name: images[:0] if name == "images" else np.array([], object)})
