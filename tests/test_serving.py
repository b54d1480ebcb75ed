"""`kerasdl serve` answers as TensorFlow Serving does, to clients that we did not write."""

# ruff: noqa: E402

import base64
import concurrent.futures
import contextlib
import gzip
import json
import shutil
import socket
import struct
import subprocess
import time
import zlib

import numpy as np
import pytest
import requests
import tensorflow as tf

for _package in ("starlette", "uvicorn", "prometheus_client", "orjson", "grpc_health"):
    pytest.importorskip(_package, reason="kerasdl[serve] is not installed")

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from kerasdl.errors import UsageError
from kerasdl.jobs import serve as job
from kerasdl.serving.settings import Batching, Limits, Settings
from kerasdl.serving.versions import ModelConfig
from tests.browser import Browser, find
from tests.serving import ROW, running, write_model

TWICE = {"total": 12.0, "twice": [12.0, 24.0]}  # of version 2


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with versions 1 and 2 of `tiny`."""
    folder = tmp_path_factory.mktemp("exported") / "tiny"
    folder.mkdir()
    for number in (1, 2):
        write_model(folder / str(number), number)
    return folder


@pytest.fixture(scope="module")
def server(models):
    limits = Limits(body=2**20, timeout=1.0, header_timeout=1.0, pixels=10_000)
    settings = Settings(poll_seconds=0.05, limits=limits)
    with running(
        ModelConfig(name="tiny", path=models, latest=2, labels={"stable": 1}), settings=settings
    ) as found:
        yield found


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc) as found:
        yield found


def post(server, path, body, **options):
    data = body if isinstance(body, (bytes, str)) else json.dumps(body)
    reply = requests.post(f"{server.url}{path}", data=data, timeout=20, **options)
    return reply.status_code, reply.json()


def predict(server, body, place=""):
    return post(server, f"/v1/models/tiny{place}:predict", body)


@pytest.mark.slow
def test_rows_and_columns(server):
    assert predict(server, {"instances": [ROW, [0, 0, 1]]}) == (
        200, {"predictions": [TWICE, {"total": 2.0, "twice": [2.0, 4.0]}]},
    )  # fmt: skip
    assert predict(server, {"instances": [{"x": ROW}]}) == (200, {"predictions": [TWICE]})
    assert predict(server, {"inputs": [ROW]}) == (
        200,
        {"outputs": {"total": [12.0], "twice": [[12.0, 24.0]]}},
    )
    assert predict(server, {"inputs": {"x": [ROW]}})[0] == 200
    named = {"signature_name": "two", "instances": [{"a": 200, "b": [1, -1]}]}
    assert predict(server, named) == (200, {"predictions": [[201, 199]]})


@pytest.mark.slow
def test_bytes_go_in_and_out_as_base64(server):
    texts = ["\u00e9t\u00e9", {"b64": base64.b64encode(b"\xff\x00a").decode()}]
    status, found = predict(server, {"signature_name": "texts", "instances": texts})
    assert status == 200
    assert [row["lengths"] for row in found["predictions"]] == [5, 3]
    assert base64.b64decode(found["predictions"][1]["upper_bytes"]["b64"]) == b"\xff\x00A"


def test_whole_numbers_that_float_holds_are_taken(server):
    assert predict(server, {"instances": [[2**24, 2**25, -(10**9)]]})[0] == 200


def test_numbers_are_written_as_short_as_they_are_and_nan_as_tensorflow_serving_does(server):
    body = '{"signature_name": "mean", "inputs": [[0.2, 0.2, 0.2]]}'
    assert requests.post(f"{server.url}/v1/models/tiny:predict", data=body).text == '{"outputs":0.2}'
    text = requests.post(f"{server.url}/v1/models/tiny:predict", data='{"instances": [[NaN, 1, 2]]}').text
    assert text == '{"predictions":[{"total":NaN,"twice":[NaN,NaN]}]}'
    rows = "[Inf, 1, 2], [1, -Infinity, 2], [0, 1, -NaN], [0, -Inf, Infinity]"
    body = '{"NaN \\" Inf": "-Inf", "instances": [' + rows + "]}"
    text = requests.post(f"{server.url}/v1/models/tiny:predict", data=body).text
    assert [row.split(",")[0] for row in text.split('"total":')[1:]] == [
        "Infinity",
        "-Infinity",
        "NaN",
        "NaN",
    ]
    for word in ("Infinit", "+Inf", "nan", "inf", "N", "NaNs"):
        status, found = predict(server, f'{{"instances": [[{word}, 1, NaN]]}}')
        assert (status, found["error"][:16]) == (400, "JSON Parse error"), word


def test_columns_need_the_names_of_the_signature_and_ignore_others(server):
    named = {"signature_name": "two", "inputs": {"a": [1], "b": [[1, 2]], "B": ["?"]}}
    assert predict(server, named) == (200, {"outputs": [[2, 3]]})
    named["inputs"]["A"] = named["inputs"].pop("a")
    assert predict(server, named) == (400, {"error": "Missing named input: a in 'inputs' object."})


def test_paths_versions_labels_in_any_case(server):
    ones = (200, {"predictions": [{"total": 6.0, "twice": [6.0, 12.0]}]})
    assert predict(server, {"instances": [ROW]}, "/versions/1") == ones
    assert predict(server, {"instances": [ROW]}, "/labels/stable") == ones
    assert post(server, "/V1/Models/tiny/Versions/1:Predict", {"instances": [ROW]}) == ones


@pytest.mark.parametrize(
    ("verb", "path", "status", "error"),
    [
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/half", 404, "Could not find any versions of model half"),
        ("GET", "/v1/models/tiny/versions/7", 404, "Could not find version 7 of model tiny"),
        ("GET", "/v1/models/half/metadata", 404, "Servable not found for request: Latest(half)"),
        ("POST", "/v1/models/half:predict", 404, "Servable not found for request: Latest(half)"),
        (
            "POST",
            "/v1/models/tiny/versions/7:predict",
            404,
            "Servable not found for request: Specific(tiny, 7)",
        ),
        ("POST", "/v1/models/tiny/labels/x:predict", 400, "Unrecognized servable version label: x"),
        ("POST", "/v1/models/tiny:explain", 400, "Malformed request: POST /v1/models/tiny:explain"),
        ("PUT", "/v1/models/tiny", 400, "Malformed request: PUT /v1/models/tiny"),
        (
            "GET",
            f"/v1/models/tiny/versions/{10**30}",
            400,
            f"Failed to convert version: {10**30} to numeric.",
        ),
        ("GET", "/elsewhere", 404, "Not found: GET /elsewhere"),
    ],
)
def test_wrong_paths(server, verb, path, status, error):
    reply = requests.request(verb, server.url + path, data=b"{}" if verb == "POST" else None)
    assert (reply.status_code, reply.json()) == (status, {"error": error})


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("{", "JSON Parse error: "),
        ("[1]", "JSON Value: [1] Is not object"),
        ("{}", "Missing 'inputs' or 'instances' key"),
        ('{"instances": 1}', "Expecting 'instances' to be an list/array"),
        ('{"instances": []}', "No values in 'instances' array"),
        ('{"instances": [1], "inputs": [1]}', "Not formatted correctly expecting only one of"),
        ('{"signature_name": 1}', "'signature_name' key must be a string value."),
        ('{"signature_name": "no", "inputs": 1}', 'Serving signature name: "no" not found in signature def'),
        ('{"instances": [{"y": 1}]}', "Error: INVALID_ARGUMENT: JSON object: does not have named input: y"),
        ('{"inputs": {"y": 1}}', "Missing named input: x in 'inputs' object."),
        ('{"instances": [[1, 2, 3], [1, 2]]}', "Failed to process element: 1 of 'instances' list. Error: "
         "INVALID_ARGUMENT: Expecting tensor size: 3 but got: 2"),
        ('{"instances": [[1, true, 3]]}', "JSON Value: true Type: True is not of expected type: float"),
        ('{"instances": [[1, "2", 3]]}', 'JSON Value: "2" Type: String is not of expected type: float'),
        ('{"instances": [[1, [2], 3]]}', "Encountered list at unexpected level: 1 expected < 1"),
        ('{"instances": [[[1], 2, 3]]}', "found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        ('{"instances": [[1, 2]]}', "Input x has shape [-1, 3], but was given [1, 2]."),
        ('{"instances": [[1, 1e39, 2]]}', "Cannot convert JSON value: 1e+39 to float without loss"),
        ('{"instances": [[1, 16777217, 2]]}', "Cannot convert JSON value: 16777217 to float without loss"),
        ('{"instances": [[NaN, 1, -16777217]]}', "Cannot convert JSON value: -16777217 to float without"),
        ('{"signature_name": "two", "inputs": {"a": [256], "b": [[1, 2]]}}', "the range of type: uint8"),
        ('{"signature_name": "two", "inputs": {"a": [1.0], "b": [[1, 2]]}}', "not of expected type: uint8"),
        ('{"signature_name": "two", "inputs": {"a": [1], "b": [[1, 2], [3, 4]]}}', "0th-dimension size"),
        ('{"signature_name": "two", "instances": [1]}', "instances is a plain list, but expecting list"),
        ('{"signature_name": "two", "instances": [{"a": 1}]}', "keys must be equal to: a,b"),
        ('{"signature_name": "mean", "instances": [[1, 2, 3]]}', "Tensor name: mean has no shape"),
        ('{"signature_name": "texts", "instances": [{"b64": "?"}]}', "Unable to base64 decode"),
        ('{"instances": ' + 5000 * "[" + 5000 * "]" + "}", "JSON Parse error: "),
        ('{"instances": [NaN, ' + 5000 * "[" + 5000 * "]" + "]}", "JSON Parse error: "),
        ('{"instances": ' + 40 * "[" + 40 * "]" + "}", "Encountered list at unexpected level"),
        ('{"instances": [[]]}', "Input x has shape [-1, 3], but was given [1, 0]."),
    ],
)  # fmt: skip
def test_malformed_bodies(server, body, error):
    status, found = predict(server, body)
    assert status == 400
    assert error in found["error"]


def test_status_and_metadata(server):
    found = requests.get(f"{server.url}/v1/models/tiny").json()
    fine = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert found == {"model_version_status": [{"version": "1", **fine}, {"version": "2", **fine}]}
    found = requests.get(f"{server.url}/v1/models/tiny/labels/stable/metadata").json()
    assert found["model_spec"] == {"name": "tiny", "signature_name": "", "version": "1"}
    described = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert described["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert described["inputs"]["x"]["tensor_shape"]["dim"] == [
        {"size": "-1", "name": ""}, {"size": "3", "name": ""},
    ]  # fmt: skip
    assert described["method_name"] == "tensorflow/serving/predict"


def test_classify_and_regress(server):
    body = {"signature_name": "classify", "examples": [{"v": 0.25}, {"v": [1.0]}]}
    found = post(server, "/v1/models/tiny:classify", body)
    assert found == (200, {"results": [[["low", 0.75], ["high", 0.25]], [["low", 0.0], ["high", 1.0]]]})
    body = {"signature_name": "regress", "context": {"v": 0.5}, "examples": [{}]}
    assert post(server, "/v1/models/tiny:regress", body) == (200, {"results": [1.0]})
    for body, error in (
        ({"signature_name": "classify"}, "key 'examples' is expected and was not found"),
        ({"signature_name": "classify", "examples": [1]}, "Example must be JSON object but got JSON Number"),
        (
            {"signature_name": "classify", "examples": [{"v": [1, "a"]}]},
            "Unexpected element type in feature: v",
        ),
        ({"signature_name": "classify", "examples": [{"v": None}]}, "unexpected JSON type: Null"),
        ({"examples": [{"v": 1.0}]}, "No classification inputs found in SignatureDef"),
    ):
        status, found = post(server, "/v1/models/tiny:classify", body)
        assert (status, error in found["error"]) == (400, True), found


def request_of(name="tiny", signature="", **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def test_grpc_predicts(channel):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = request_of(x=np.array([ROW], "f"))
    reply = stub.Predict(request, timeout=20)
    assert list(reply.outputs["twice"].float_val) == [12.0, 24.0]  # what clients read without TensorFlow
    assert (reply.model_spec.version.value, reply.model_spec.signature_name) == (2, "serving_default")
    request.model_spec.version_label = "stable"
    request.output_filter.append("total")
    reply = stub.Predict(request, timeout=20)
    assert {name: tf.make_ndarray(value).tolist() for name, value in reply.outputs.items()} == {
        "total": [6.0]
    }
    reply = stub.Predict(request_of(signature="texts", texts=np.array([b"ab\xff"])), timeout=20)
    assert tf.make_ndarray(reply.outputs["upper_bytes"]).tolist() == [b"AB\xff"]


def test_grpc_classifies_regresses_and_describes(channel):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "tiny", "classify"
    request.input.example_list.examples.add().features.feature["v"].float_list.value.append(0.25)
    (row,) = stub.Classify(request, timeout=20).result.classifications
    assert [(one.label, one.score) for one in row.classes] == [("low", 0.75), ("high", 0.25)]
    request = regression_pb2.RegressionRequest(model_spec=request.model_spec, input=request.input)
    request.model_spec.signature_name = "regress"
    assert [one.value for one in stub.Regress(request, timeout=20).result.regressions] == [0.5]
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "tiny"
    reply, found = stub.GetModelMetadata(request, timeout=20), get_model_metadata_pb2.SignatureDefMap()
    assert reply.metadata["signature_def"].Unpack(found)
    assert set(found.signature_def) >= {"serving_default", "texts"}


def bad_proto(**changes):
    request = request_of(x=np.array([ROW], "f"))
    proto = request.inputs["x"]
    for name, value in changes.items():
        setattr(proto, name, value)
    return request


def sized(*sizes):
    request = request_of(x=np.array([ROW], "f"))
    del request.inputs["x"].tensor_shape.dim[:]
    for size in sizes:
        request.inputs["x"].tensor_shape.dim.add(size=size)
    return request


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (request_of(), "INVALID_ARGUMENT", "Missing but required: {x}"),
        (request_of(y=1.0), "INVALID_ARGUMENT", "Sent extra: {y}"),
        (
            request_of(x=np.zeros((1, 3), "f8")),
            "INVALID_ARGUMENT",
            "expects type float, but was given double",
        ),
        (request_of(x=np.zeros((0, 3), "f")), "INVALID_ARGUMENT", "holds no example"),
        (request_of(x=np.zeros(3, "f")), "INVALID_ARGUMENT", "shape [-1, 3], but was given [3]"),
        (request_of("no", x=1.0), "NOT_FOUND", "Servable not found for request: Latest(no)"),
        (request_of("", x=1.0), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (bad_proto(tensor_content=b"1"), "INVALID_ARGUMENT", "no valid values"),
        (bad_proto(dtype=999), "INVALID_ARGUMENT", "Unsupported tensor type"),
        (bad_proto(dtype=20), "INVALID_ARGUMENT", "no valid values"),
        (sized(2**40, 3), "INVALID_ARGUMENT", "is not allowed"),
        (sized(-1, 3), "INVALID_ARGUMENT", "is not allowed"),
        (request_of(x=np.zeros((2**18, 3), "f")), "RESOURCE_EXHAUSTED", "larger than max"),
    ],
)
def test_grpc_refuses(channel, request_, code, text):
    with pytest.raises(grpc.RpcError) as caught:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request_, timeout=20)
    assert caught.value.code().name == code
    assert text in caught.value.details()


def test_grpc_health_and_states(channel):
    check = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
    assert check.status == health_pb2.HealthCheckResponse.SERVING
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "tiny"
    found = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=20)
    assert [(one.version, one.state) for one in found.model_version_status] == [(1, 30), (2, 30)]


def test_ovmsclient(server):
    ovmsclient = pytest.importorskip("ovmsclient", reason="ovmsclient is not installed")
    values = np.array([ROW], "f")
    for client in (ovmsclient.make_grpc_client(server.grpc), ovmsclient.make_http_client(server.url[7:])):
        assert client.predict({"x": values}, "tiny")["total"].tolist() == [12.0]
        assert client.predict({"x": values}, "tiny", 1)["total"].tolist() == [6.0]
        assert client.get_model_status("tiny")[2]["state"] == "AVAILABLE"
        with pytest.raises(ovmsclient.tfs_compat.base.errors.ModelNotFoundError):
            client.predict({"x": values}, "nothing")
    assert ovmsclient.make_grpc_client(server.grpc).get_model_metadata("tiny")["model_version"] == 2


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl(server):
    command = ["curl", "-s", "-d", json.dumps({"instances": [ROW]}), f"{server.url}/v1/models/tiny:predict"]
    assert json.loads(subprocess.check_output(command)) == {"predictions": [TWICE]}


def test_protocol_v2(server):
    def get(path):
        reply = requests.get(f"{server.url}/v2{path}")
        return reply.status_code, reply.json()

    assert get("/health/live") == (200, {"live": True})
    assert get("/health/ready") == (200, {"ready": True})
    assert get("/models/tiny/ready") == (200, {"name": "tiny", "ready": True})
    assert get("/models/none/ready")[0] == 404
    status, found = get("/models/tiny/versions/1")
    assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
    given = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": ROW}
    asked = {"id": "7", "inputs": [given], "outputs": [{"name": "twice"}]}
    status, found = post(server, "/v2/models/tiny/infer", asked)
    output = {"name": "twice", "datatype": "FP32", "shape": [1, 2], "data": [12.0, 24.0]}
    assert (status, found) == (
        200, {"model_name": "tiny", "model_version": "2", "id": "7", "outputs": [output]},
    )  # fmt: skip
    for change in (
        {"shape": [1, 4]}, {"shape": [-1, 3]}, {"shape": [2**40, 2**40]}, {"shape": None},
        {"datatype": "FP64"},
        {"data": ["a", 1, 2]}, {"data": None}, {"name": "y"}, {"parameters": {"binary_data_size": 12}},
        {"data": [[1], [2], [3]]}, {"data": [2**24 + 1, 0, 0]},
    ):  # fmt: skip
        status, found = post(server, "/v2/models/tiny/infer", {"inputs": [given | change]})
        assert (status, set(found)) == (400, {"error"}), change


def test_binary_tensors_of_protocol_v2(server):
    head = {
        "parameters": {"signature_name": "texts", "binary_data_output": True},
        "inputs": [
            {"name": "texts", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 11}}
        ],
    }
    text = json.dumps(head).encode()
    body = text + struct.pack("<I", 1) + b"a" + struct.pack("<I", 2) + b"bc"
    url, header = f"{server.url}/v2/models/tiny/infer", "Inference-Header-Content-Length"
    reply = requests.post(url, data=body, headers={header: str(len(text))})
    assert reply.status_code == 200, reply.text
    told, data = (
        json.loads(reply.content[: int(reply.headers[header])]),
        reply.content[int(reply.headers[header]) :],
    )
    assert [one["name"] for one in told["outputs"]] == ["lengths", "upper_bytes"]
    assert data == struct.pack("<iiI", 1, 2, 1) + b"A" + struct.pack("<I", 2) + b"BC"
    assert requests.post(url, data=body[:-1], headers={header: str(len(text))}).status_code == 400
    assert requests.post(url, data=body + b"more", headers={header: str(len(text))}).status_code == 400
    head["inputs"][0]["data"] = ["x", "y"]  # besides the bytes
    text = json.dumps(head).encode()
    reply = requests.post(url, data=text + body[-11:], headers={header: str(len(text))})
    assert "both" in reply.json()["error"]
    assert requests.post(url, data=body, headers={header: "99999"}).status_code == 400


def test_tritonclient(server):
    client = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
    with client.InferenceServerClient(server.url[7:]) as triton:
        assert triton.is_model_ready("tiny", "2")
        given = client.InferInput("x", [1, 3], "FP32")
        given.set_data_from_numpy(np.array([ROW], "f"))
        assert triton.infer("tiny", [given]).as_numpy("total").tolist() == [12.0]


def raw(server, data, *, half=False, seconds=10):
    """Return what comes back on a connection of its own until it is closed."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        connection.sendall(data)
        if half:
            connection.shutdown(socket.SHUT_WR)
        parts = []
        try:
            while part := connection.recv(2**16):
                parts.append(part)
        except ConnectionError:
            parts.append(b"reset")
        return b"".join(parts)


def test_slow_and_half_closed_clients(server):
    head = b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    body = json.dumps({"instances": [ROW]}).encode()
    assert raw(server, head % 100 + b"{").startswith(b"HTTP/1.1 408")
    assert raw(server, b"POST /v1/mod") == b""  # closed without an answer
    assert raw(server, head % 100 + b"{", half=True) == b""
    assert raw(server, head % len(body) + body, half=True).startswith(b"HTTP/1.1 200")
    assert b"200" not in raw(server, b"GET / HTTP/1.1\r\nX: " + 2**17 * b"a")
    assert raw(server, b"\x16\x03\x01 TLS?").startswith(b"HTTP/1.1 400")


def test_bodies_are_limited_whatever_they_say(server):
    assert predict(server, 2**21 * " ")[0] == 413
    chunks = (2**16 * b" " for _ in range(32))
    with contextlib.suppress(requests.ConnectionError):  # it may be closed while it is still sending
        assert requests.post(f"{server.url}/v1/models/tiny:predict", data=chunks).status_code == 413
    packed = {"headers": {"Content-Encoding": "gzip"}}
    assert post(server, "/v1/models/tiny:predict", gzip.compress(2**26 * b" "), **packed)[0] == 413
    body = gzip.compress(json.dumps({"instances": [ROW]}).encode())
    status, found = post(server, "/v1/models/tiny:predict", body + gzip.compress(b"more"), **packed)
    assert status == 400 and "behind the end of the gzip body" in found["error"]
    assert post(server, "/v1/models/tiny:predict", body, **packed)[0] == 200
    assert post(server, "/v1/models/tiny:predict", body[:-9], **packed)[0] == 400
    assert post(server, "/v1/models/tiny:predict", b"plain", **packed)[0] == 400


def picture(width, height):
    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", size) + part(b"IDAT", b"") + part(b"IEND", b"")


@pytest.mark.parametrize("size", [200, 60_000])
def test_large_pictures_are_refused_before_they_are_decoded(server, size):
    encoded = {"b64": base64.b64encode(picture(size, size)).decode()}
    status, found = predict(server, {"signature_name": "texts", "instances": [encoded]})
    assert (status, "at most 10000 pixels" in found["error"]) == (400, True)
    encoded = {"b64": base64.b64encode(picture(90, 90)).decode()}
    assert predict(server, {"signature_name": "texts", "instances": [encoded]})[0] == 200


def test_metrics_have_the_names_of_tensorflow_serving(server):
    predict(server, {"instances": [ROW]})
    post(server, "/v1/models/of-a-stranger:predict", {})
    text = requests.get(f"{server.url}/monitoring/prometheus/metrics").text
    assert "# TYPE :tensorflow:serving:request_count counter" in text
    assert ':tensorflow:serving:request_count{model_name="tiny",status="OK"}' in text
    assert ':tensorflow:serving:request_latency_bucket{API="Predict",entrypoint="REST",le="10.0"' in text
    assert "of-a-stranger" not in text  # names of clients are without end


def test_concurrent_requests_share_calls_and_get_their_own_rows(models):
    batching = Batching(max_batch_size=8, timeout_micros=20_000, allowed_sizes=(4, 8))
    with running(ModelConfig(name="tiny", path=models), settings=Settings(batching=batching)) as server:

        def one(index):
            rows = [[index, 0, row] for row in range(1 + index % 3)]
            return predict(server, {"instances": rows if index % 5 else [["bad", 0, 0]]})

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(one, range(48)))
        for index, (status, found) in enumerate(answers):
            if index % 5 == 0:
                assert status == 400
            else:
                totals = [row["total"] for row in found["predictions"]]
                assert totals == [2.0 * (index + row) for row in range(1 + index % 3)]
        many = predict(server, {"instances": [[row, 0, 0] for row in range(21)]})[1]["predictions"]
        assert [row["total"] for row in many] == [2.0 * row for row in range(21)]
        # A mean over a batch is of that request alone.
        found = predict(server, {"signature_name": "mean", "inputs": [ROW]})
        assert found == (200, {"outputs": 2.0})
        text = requests.get(f"{server.url}/monitoring/prometheus/metrics").text
        figures = dict(
            line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(":kerasdl:serving")
        )
        calls, examples = (float(figures[f':kerasdl:serving:batch_size_{what}{{model_name="tiny"}}'])
                           for what in ("count", "sum"))  # fmt: skip
        assert calls < 0.6 * (39 + 3 + 1)  # requests that could share a call
        assert examples > calls
        assert float(figures[':kerasdl:serving:batch_size_bucket{le="8.0",model_name="tiny"}']) == calls


class Neighbours(tf.Module):
    """Answers that depend on the batch, beside some that do not."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    def centred(self, x):
        return {"y": x - tf.reduce_mean(x, 0)}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    def doubled(self, x):
        return {"y": 2 * x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "texts")])
    def padded(self, texts):
        found = tf.strings.split(texts).to_tensor("-")
        return {"y": tf.strings.length(tf.strings.reduce_join(found, 1))}


@pytest.mark.slow
def test_requests_are_put_together_where_no_answer_depends_on_others(tmp_path, caplog):
    model, folder = Neighbours(), tmp_path / "neighbours/1"
    names = ("centred", "doubled", "padded")
    tf.saved_model.save(model, str(folder), signatures={name: getattr(model, name) for name in names})
    with running(job.config_of(str(folder.parent))) as server:
        signatures = server.service.repository.models["neighbours"].find(None, "").engine.signatures
    assert {name: signatures[name].merges for name in names} == {
        "centred": False, "doubled": True, "padded": False,
    }  # fmt: skip
    assert caplog.text.count("each request gets a call of its own") == 2


def test_a_full_queue_refuses_and_loses_nothing(models):
    batching = Batching(max_batch_size=2, max_enqueued=2, timeout_micros=300_000)
    with running(ModelConfig(name="tiny", path=models), settings=Settings(batching=batching)) as server:
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            answers = list(
                pool.map(lambda index: predict(server, {"instances": [[index, 0, 0]] * 2}), range(32))
            )
        refused = [found["error"] for status, found in answers if status == 503]
        assert len(refused) < 32
        assert all("batch scheduling queue" in error for error in refused)
        for index, (status, found) in enumerate(answers):
            assert status == 503 or [row["total"] for row in found["predictions"]] == [2.0 * index] * 2
        status, found = predict(server, {"instances": [ROW] * 5})  # more than the queue takes at all
        assert status == 503


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def states(server):
    found = requests.get(f"{server.url}/v1/models/tiny").json()
    return {int(one["version"]): one["state"] for one in found.get("model_version_status", ())}


@pytest.mark.slow
def test_versions_appear_and_go_and_damaged_ones_never_become_one(models, tmp_path):
    folder = tmp_path / "tiny"
    shutil.copytree(models / "1", folder / "1")
    with running(ModelConfig(name="tiny", path=folder)) as server:
        half = folder / "2"
        half.mkdir()
        shutil.copy(models / "2/card.json", half)
        assert until(lambda: states(server).get(2) == "END")
        shutil.copytree(models / "2", half, dirs_exist_ok=True)
        assert until(lambda: states(server).get(2) == "AVAILABLE")
        assert until(lambda: states(server)[1] == "END")
        assert predict(server, {"instances": [ROW]}) == (200, {"predictions": [TWICE]})
        damaged = shutil.copytree(models / "1", tmp_path / "damaged")
        (data,) = (damaged / "variables").glob("*.data*")
        data.write_bytes(data.read_bytes()[::-1])
        damaged.rename(folder / "3")
        (folder / "4").mkdir()
        (folder / "4/saved_model.pb").write_bytes(b"nothing")  # without a card
        assert until(lambda: {states(server).get(3), states(server).get(4)} == {"END"})
        told = requests.get(f"{server.url}/v1/models/tiny/versions/3").json()["model_version_status"][0][
            "status"
        ]
        assert told["error_code"] == "FAILED_PRECONDITION"
        assert "half-written or damaged" in told["error_message"]
        assert str(tmp_path) not in told["error_message"]
        assert predict(server, {"instances": [ROW]}) == (200, {"predictions": [TWICE]})
        shutil.rmtree(folder / "2")
        assert until(lambda: states(server)[1] == "AVAILABLE")
        assert until(lambda: states(server)[2] == "END")
        assert predict(server, {"instances": [[1, 0, 0]]})[1]["predictions"][0]["total"] == 1.0


@pytest.mark.slow
def test_reloading_the_configuration(models, tmp_path):
    with (
        running(ModelConfig(name="tiny", path=models)) as server,
        grpc.insecure_channel(server.grpc) as channel,
    ):
        stub = model_service_pb2_grpc.ModelServiceStub(channel)

        def reload(**fields):
            request = model_management_pb2.ReloadConfigRequest()
            given = request.config.model_config_list.config.add(model_platform="tensorflow", **fields)
            given.model_version_policy.all.SetInParent()
            return stub.HandleReloadConfigRequest(request, timeout=60)

        with pytest.raises(grpc.RpcError, match="PERMISSION_DENIED"):
            reload(name="tiny", base_path=str(tmp_path))
        with pytest.raises(grpc.RpcError, match="which is not currently available"):
            reload(name="tiny", base_path=str(models), version_labels={"old": 1})
        reload(name="tiny", base_path=str(models))
        reload(name="tiny", base_path=str(models), version_labels={"old": 1})
        assert predict(server, {"instances": [[1, 0, 0]]}, "/labels/old")[1]["predictions"][0]["total"] == 1.0
        reload(name="other", base_path=str(models))
        assert requests.get(f"{server.url}/v1/models/tiny").status_code == 404
        assert requests.get(f"{server.url}/v1/models/other").status_code == 200


def test_requests_are_logged(models, tmp_path):
    file = tmp_path / "requests.jsonl"
    with running(ModelConfig(name="tiny", path=models), request_log=file) as server:
        predict(server, {"instances": [ROW]})
        requests.get(server.url + "/v1/models/%0aevil")
    first, second = map(json.loads, file.read_text().splitlines())
    assert (first["method"], first["status"], first["model"]) == ("POST", 200, "tiny")
    assert second["status"] == 404


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(find() is None, reason="there is no Chromium")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_the_page_asks_the_model(server, scheme, width):
    with Browser() as browser:
        browser.visit(server.url + "/", scheme=scheme, width=width)
        browser.evaluate("void ($('values').value = '1, 2, 3', $('ask').click())")
        browser.settle(1.0)
        assert '"total": 12' in browser.evaluate("$('answer').textContent")
        browser.evaluate("void ($('values').value = '1, 2', $('ask').click())")
        browser.settle(1.0)
        assert browser.evaluate("$('answer').textContent").startswith("400: Input x has shape")
        assert browser.logged == [] or all("400" in line for line in browser.logged)
        assert all(url.startswith(server.url) for url in browser.requests)
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
        clear = "pixelsOf(document.createElement('canvas'), {shape: [null, 2, 2, 3]})[1][1].join()"
        assert browser.evaluate(clear) == "255,255,255"  # transparent parts are white, as in kerasdl predict
        browser.evaluate("void (picture = new Blob())")
        image = "{inputs: [{shape: [null, 8, 9, 3], dtype: 'uint8'}]}"
        assert "brought the picture to 8x9" in browser.evaluate(f"resized({image})")


def test_targets(models, tmp_path):
    found = job.config_of(str(models))
    assert (found.name, found.path, found.version) == ("tiny", models, None)
    found = job.config_of(f"mine={models / '2'}")
    assert (found.name, found.version) == ("mine", 2)
    file = tmp_path / "exported/lenet5/3/lenet5.int8.tflite"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    found = job.config_of(str(file))
    assert (found.name, found.version, found.path) == ("lenet5", 3, file)
    for number in ("1", "001"):
        (tmp_path / "twice" / number).mkdir(parents=True)
    assert ModelConfig(name="x", path=tmp_path / "twice").found() == {1: tmp_path / "twice/1"}
    for target, message in (
        (str(tmp_path / "twice"), "two folders of one version: 001, 1"),
        (str(tmp_path / "nothing"), "There is no"), (str(tmp_path), "holds no versions"),
        (f"a/b={models}", "cannot be the name"), (str(models / "2/card.json"), "is not an exported model"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            job.config_of(target)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"versions": "newest"}, "--versions is 'newest'"),
        ({"labels": ["stable"]}, "--version-label is 'stable'"),
        ({"labels": ["stable=9"]}, "has no version 9"),
        ({"labels": ["other:stable=1"]}, "there is no model other"),
    ],
)
def test_wrong_options(models, options, message):
    from kerasdl.serving.server import Place

    with pytest.raises(UsageError, match=message):
        job.run([str(models)], Settings(), Place(port=0, grpc_port=0), **options)


def test_nothing_to_serve(models, caplog):
    from kerasdl.serving.server import Place

    with pytest.raises(UsageError, match="nothing that can be served"):
        job.run([str(models)], Settings(), Place(port=0, grpc_port=0), versions="9")
    assert "has no version 9" in caplog.text
    with pytest.raises(
        UsageError, match=r"nothing that can be served.*\n.*has to hold one file for --engine onnx"
    ):
        job.run([str(models)], Settings(engine="onnx"), Place(port=0, grpc_port=0))


def test_a_taken_port(models, server):
    from kerasdl.serving.server import Place

    with pytest.raises(UsageError, match=f"Cannot listen on port {server.port}"):
        job.run([str(models)], Settings(), Place(port=server.port, grpc_port=None))


def test_warm_up_requests_of_a_bundle_are_called(models, tmp_path):
    from tensorflow_serving.apis import prediction_log_pb2

    from kerasdl.serving.engine import open_engine
    from kerasdl.serving.warm_up import warm_up

    file = tmp_path / "assets.extra/tf_serving_warmup_requests"
    file.parent.mkdir()
    engine, called = open_engine(models / "1"), []
    call = engine.call
    engine.call = lambda name, inputs: called.append((name, inputs)) or call(name, inputs)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for size in (1, 4):
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.CopyFrom(
                request_of("tiny", "serving_default", x=np.zeros((size, 3), "f"))
            )
            writer.write(log.SerializeToString())
    warm_up(engine, tmp_path, (1,))
    assert [(name, inputs["x"].shape) for name, inputs in called] == [
        ("serving_default", (1, 3)), ("serving_default", (4, 3)),
    ]  # fmt: skip
    file.write_bytes(b"damaged")
    warm_up(engine, tmp_path, (1,))  # what cannot warm up may well answer
    assert len(called) == 2
