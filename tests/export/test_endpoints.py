"""Networks of several endpoints."""

import dataclasses
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from kerasdl.errors import RunFailedError
from kerasdl.export import bundle as bundles
from kerasdl.export.spec import ExportSpec
from kerasdl.files import hash_files
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.runtimes import open_artifact
from tests.export.tiny import changed


class Coder(keras.Model):
    """Two networks in one, as a VAE has them."""

    def __init__(self):
        super().__init__()
        self.encoder = keras.layers.Dense(5)
        self.decoder = keras.layers.Dense(7)

    def call(self, x):
        return self.decoder(self.encoder(x))


def shifted(features, seed):
    """Return the inputs of `encode`; the data is values (N, 7)."""
    shift = np.random.default_rng(seed).normal(size=(len(features), 5)).astype("f")
    return {"values": features, "shift": shift}


def codes(features, seed):
    return {"code": features[:, :5]}


def largest(expected, actual, targets):
    return {"max_difference": max(float(np.abs(expected[k] - actual[k]).max()) for k in expected)}


def loose(kind):
    return {"max_difference": ("<=", {"float16": 1e-2, "int8": 0.5}.get(kind, 1e-5))}


def mean_code(answers):
    return {"mean": float(answers.outputs["code"].mean())}


def coder_endpoints(encode=None, decode=None):
    """Return two endpoints, one of them with two inputs."""
    seven, five = (tf.TensorSpec((None, size), tf.float32) for size in (7, 5))
    shared = {"compare": largest, "tolerances": loose}
    inputs = {"values": seven, "shift": five}
    return (
        Endpoint("encode", encode, inputs, inputs_of=shifted, judge=mean_code, **shared),
        Endpoint("decode", decode, {"code": five}, inputs_of=codes, **shared),
    )


CODER = {endpoint.name: endpoint for endpoint in coder_endpoints()}


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).normal(size=(20, 7)).astype("f")


@pytest.fixture(scope="module")
def coder(values):
    """A spec of two networks in one, an endpoint for each."""
    keras.utils.set_random_seed(0)
    model = Coder()
    model(values)

    def encode(values, shift):
        return {"code": model.encoder(values) + shift, "size": tf.reduce_sum(values, -1)}

    def decode(code):
        return {"values": model.decoder(code)}

    endpoints = coder_endpoints(encode, decode)
    representative = {endpoint.name: endpoint.inputs_of(values, 0) for endpoint in endpoints}
    return ExportSpec("coder", model, endpoints, (), representative)


@pytest.fixture(scope="module")
def two_batches(values):
    return lambda: [(values[:12], np.zeros(12), None), (values[12:], np.zeros(8), None)]


@pytest.fixture(scope="module")
def coded(write, coder, two_batches, values, tmp_path_factory):
    return write(
        tmp_path_factory.mktemp("coded"),
        spec=coder,
        batches=two_batches,
        samples={"features": values[:3], "targets": np.zeros(3)},
        tflite_modes=("float32", "float16", "int8"),
    )


def test_several_endpoints(coded, coder, values):
    assert not coded.failures
    names = ("", "coder.float32.tflite", "coder.int8.tflite", "coder.encode.onnx", "coder.decode.onnx")
    for name in names:
        predictor = open_artifact(coded.path / name)
        for endpoint in coder.endpoints:
            if endpoint.name in predictor.inputs:
                inputs = endpoint.inputs_of(values, 5)
                expected, actual = endpoint.function(**inputs), predictor.call(endpoint.name, inputs)
                for key, value in expected.items():
                    np.testing.assert_allclose(actual[key], value, atol=0.5 if "int8" in name else 1e-5)


def test_int8_is_calibrated_at_every_endpoint(coded):
    model = schema.Model.GetRootAs((coded.path / "coder.int8.tflite").read_bytes(), 0)
    assert model.SubgraphsLength() == 2
    for place in range(2):
        graph = model.Subgraphs(place)
        codes = [
            model.OperatorCodes(graph.Operators(i).OpcodeIndex()) for i in range(graph.OperatorsLength())
        ]
        assert schema.BuiltinOperator.QUANTIZE in {code.BuiltinCode() for code in codes}


@pytest.mark.slow
def test_int8_without_samples_of_an_endpoint_is_left_out(write, coder, two_batches, tmp_path):
    bare = dataclasses.replace(coder, representative={"encode": coder.representative["encode"]})
    reason = "it could not be converted: int8 needs representative samples of decode"
    bundle = write(tmp_path, spec=bare, batches=two_batches)
    assert bundle.failures == {"coder.int8.tflite": reason}
    for named in ({"formats": ("tflite",)}, {"tflite_modes": ("float32", "int8")}):
        with pytest.raises(RunFailedError, match=f"Nothing was published(.|\n)*{reason}"):
            write(tmp_path, spec=bare, batches=two_batches, **named)
    assert [path.name for path in tmp_path.glob("coder*/*")] == ["1"]


def test_first_endpoint_is_compared_on_all_data_and_others_on_the_first_batch(coded):
    examples = {
        row["file"]: {name: figures["examples"] for name, figures in row["endpoints"].items()}
        for row in coded.rows
    }
    assert examples["saved_model.pb"] == examples["coder.int8.tflite"] == {"encode": 20, "decode": 12}
    assert examples["coder.encode.onnx"] == {"encode": 20}
    assert examples["coder.decode.onnx"] == {"decode": 20}
    rows = {row["file"]: row for row in coded.rows}
    assert rows["saved_model.pb"]["evaluation"] == rows["saved_model.pb"]["endpoints"]["encode"]["evaluation"]
    assert "evaluation" not in rows["coder.decode.onnx"]
    assert all(row["latency_ms"] > 0 and row["max_difference"] <= 0.5 for row in coded.rows)
    assert all(figures["latency_ms"] > 0 for row in coded.rows for figures in row["endpoints"].values())
    assert json.loads((coded.path / "card.json").read_text())["examples"] == 20


def exact(expected, actual, targets):
    """Accept nothing of the endpoint that is not the first."""
    return {"max_difference": 1.0 if "values" in expected else 0.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    "compare, message",
    [
        (
            exact,
            r"saved_model\.pb: decode: max_difference is 1, but has.*\ncoder\.decode\.onnx: decode: max_d",
        ),
        (lambda *answers: {}, r"saved_model\.pb: nothing was compared"),
    ],
)
def test_endpoints_that_are_not_the_first_are_judged_too(
    write, coder, two_batches, tmp_path, compare, message
):
    with pytest.raises(RunFailedError, match=message):
        write(
            tmp_path,
            spec=changed(coder, compare=compare),
            batches=two_batches,
            formats=("saved_model", "onnx"),
        )
    assert list((tmp_path / "coder").iterdir()) == []


@pytest.mark.parametrize("with_data", [False, True])
def test_verify_checks_every_endpoint(coded, two_batches, tmp_path, with_data):
    """Other answers of `decode` alone: by the samples, and where there are none by the data."""
    path = Path(shutil.copytree(coded.path, tmp_path / "copy"))
    bundles.verify_bundle(path, endpoints=CODER, batches=two_batches)
    card = json.loads((path / "card.json").read_text())
    if with_data:
        card["samples"] = None
    model = onnx.load(path / "coder.decode.onnx")
    for weight in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.shape == (5, 7):
            weight.CopyFrom(onnx.numpy_helper.from_array(values + 1, weight.name))
    onnx.save(model, path / "coder.decode.onnx")
    card["files"]["coder.decode.onnx"]["sha256"] = hash_files(path)["coder.decode.onnx"]["sha256"]
    (path / "card.json").write_text(json.dumps(card))
    words = "the root mean square of values is" if with_data else "max_difference is"
    with pytest.raises(bundles.NotTheSameError, match=rf"coder\.decode\.onnx: decode: {words}") as error:
        bundles.verify_bundle(path, endpoints=CODER, batches=two_batches if with_data else None)
    assert len(error.value.problems) == 1
    assert error.value.problems[0].startswith("coder.decode.onnx: decode")
