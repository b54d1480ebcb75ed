"""`kerasdl serve` with TLS: REST, TensorFlow Serving's gRPC and KServe's; scripts of pages from elsewhere."""

# ruff: noqa: E402

import shutil
import subprocess

import numpy as np
import pytest
import requests

for _package in ("starlette", "uvicorn", "prometheus_client", "orjson", "grpc_health", "tritonclient.grpc"):
    pytest.importorskip(_package, reason="kerasdl[serve] is not installed")
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")

import grpc
import tritonclient.grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from kerasdl.cli import main
from kerasdl.errors import UsageError
from kerasdl.serving.tls import Tls
from kerasdl.serving.versions import ModelConfig
from tests.serving import ROW, running, write_model

ORIGIN = "https://my.site:8080"


def certify(folder, *options):
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
               "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
               "-keyout", folder / "key.pem", "-out", folder / "cert.pem", *options]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return Tls(certificate=folder / "cert.pem", key=folder / "key.pem")


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return certify(tmp_path_factory.mktemp("tls"), "-nodes")


@pytest.fixture(scope="module")
def server(tls, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    write_model(folder / "2", 2)
    with running(ModelConfig(name="tiny", path=folder), tls=tls, cors=(ORIGIN,)) as found:
        found.url = found.url.replace("http:", "https:")
        yield found


@pytest.fixture(scope="module")
def channel(server, tls):
    credentials = grpc.ssl_channel_credentials(tls.certificate.read_bytes())
    with grpc.secure_channel(server.grpc, credentials) as found:
        yield found


def test_both_ports_are_encrypted(server, tls, channel):
    body = {"instances": [ROW]}
    reply = requests.post(f"{server.url}/v1/models/tiny:predict", json=body, verify=tls.certificate)
    assert reply.json() == {"predictions": [{"total": 12.0, "twice": [12.0, 24.0]}]}
    with pytest.raises(requests.exceptions.SSLError):
        requests.post(f"{server.url}/v1/models/tiny:predict", json=body)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(f"http://127.0.0.1:{server.port}/v1/models/tiny:predict", json=body)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "tiny"
    request.inputs["x"].dtype = 1
    request.inputs["x"].float_val.extend(ROW)
    for size in (1, 3):
        request.inputs["x"].tensor_shape.dim.add(size=size)
    found = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request)
    assert list(found.outputs["total"].float_val) == [12.0]


def test_scripts_of_pages_that_are_named_may_ask(server, tls):
    url, verify = f"{server.url}/v1/models/tiny:predict", tls.certificate
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    ours = requests.options(url, headers={"Origin": ORIGIN, **asks}, verify=verify)
    assert (ours.status_code, ours.headers["access-control-allow-origin"]) == (200, ORIGIN)
    others = requests.options(url, headers={"Origin": "https://other.site", **asks}, verify=verify)
    assert others.status_code == 400 and "access-control-allow-origin" not in others.headers
    reply = requests.post(url, json={"instances": 1}, headers={"Origin": ORIGIN}, verify=verify)
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (400, ORIGIN)


def test_tritonclient_asks_by_grpc(server, tls):
    with tritonclient.grpc.InferenceServerClient(
        server.grpc, ssl=True, root_certificates=str(tls.certificate)
    ) as triton:
        assert triton.is_server_live() and triton.is_server_ready()
        assert triton.is_model_ready("tiny") and triton.is_model_ready("tiny", "2")
        assert not triton.is_model_ready("tiny", "7") and not triton.is_model_ready("none")
        assert triton.get_server_metadata().name == "kerasdl"
        found = triton.get_model_metadata("tiny")
        assert (found.versions, found.platform) == (["2"], "tensorflow_savedmodel")
        assert [(one.name, one.datatype, list(one.shape)) for one in found.inputs] == [("x", "FP32", [-1, 3])]
        given = tritonclient.grpc.InferInput("x", [1, 3], "FP32")
        given.set_data_from_numpy(np.array([ROW], "f"))
        wanted = [tritonclient.grpc.InferRequestedOutput("twice")]
        found = triton.infer("tiny", [given], outputs=wanted, request_id="7")
        assert (found.get_response().id, found.get_response().model_version) == ("7", "2")
        assert found.as_numpy("twice").tolist() == [[12.0, 24.0]] and found.as_numpy("total") is None
        given = tritonclient.grpc.InferInput("texts", [2], "BYTES")
        given.set_data_from_numpy(np.array([b"a", b"\xffbc"], object))
        found = triton.infer("tiny", [given], parameters={"signature_name": "texts"})
        assert found.as_numpy("lengths").tolist() == [1, 3]
        assert found.as_numpy("upper_bytes").tolist() == [b"A", b"\xffBC"]


def infer_request(signature="two", **changes):
    """Return a request whose values lie in fields of their type; a change of None leaves an input out."""
    request = service_pb2.ModelInferRequest(model_name="tiny")
    request.parameters["signature_name"].string_param = signature
    a = {"datatype": "UINT8", "shape": [1], "contents": {"uint_contents": [200]}}
    b = {"datatype": "INT64", "shape": [1, 2], "contents": {"int64_contents": [1, -1]}}
    for name, about in {"a": a, "b": b}.items():
        request.inputs.add(name=name, **about | changes.get(name, {}))
    return request


def test_values_may_lie_in_fields_of_their_type(channel):
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    found = stub.ModelInfer(infer_request())
    assert (found.outputs[0].datatype, list(found.outputs[0].shape)) == ("INT64", [1, 2])
    assert list(found.outputs[0].contents.int64_contents) == [201, 199] and not found.raw_output_contents
    raw = infer_request(a={"contents": None}, b={"contents": None})
    raw.raw_input_contents.extend([b"\xc8", np.array([1, -1], "<i8").tobytes()])
    assert stub.ModelInfer(raw).raw_output_contents[0] == np.array([201, 199], "<i8").tobytes()
    both = infer_request()
    both.raw_input_contents.extend(raw.raw_input_contents)
    few = infer_request()
    few.raw_input_contents.append(b"\xc8")
    twice = infer_request()
    twice.inputs.add().CopyFrom(twice.inputs[0])
    version = infer_request()
    version.model_version = "one"
    missing = infer_request()
    del missing.inputs[1]
    other = infer_request()
    other.model_name = "none"
    invalid, unknown = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
    for request, code, text in (
        (infer_request(a={"contents": {"uint_contents": [256]}}), invalid, "out of the range of UINT8"),
        (infer_request(a={"contents": {"int_contents": [200]}}), invalid, "has 0 values"),
        (infer_request(a={"shape": [2]}), invalid, "has 1 values, but its shape [2] has 2"),
        (infer_request(a={"shape": [-1]}), invalid, "not a list of whole numbers"),
        (infer_request(a={"datatype": "INT8"}), invalid, "expects datatype UINT8"),
        (infer_request("no"), invalid, 'Serving signature name: "no"'),
        (both, invalid, "both"), (few, invalid, "do not belong"), (twice, invalid, "twice"),
        (version, invalid, "has to be a number"), (missing, invalid, "Missing but required: {b}"),
        (other, unknown, "none"),
    ):  # fmt: skip
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(request)
        assert caught.value.code() == code and text in caught.value.details(), text


def test_what_is_no_certificate_and_key(tls, tmp_path, capsys):
    locked = certify(tmp_path, "-passout", "pass:secret")
    for wrong in (
        Tls(certificate=tls.key, key=tls.key),
        Tls(certificate=locked.certificate, key=tls.key),
        locked,
    ):
        with pytest.raises(UsageError, match="are not a certificate and its key in PEM format"):
            wrong.check()
    with pytest.raises(UsageError, match=r"--tls-key .* cannot be read: No such file"):
        Tls(certificate=tls.certificate, key=tmp_path / "none").check()
    for flags, message in (
        (["--tls-cert", "a.pem"], "go together"), (["--cors", "my.site/"], "has to be like https://my.site:8080"),
    ):  # fmt: skip
        assert main(["serve", "exported/none", *flags]) == 2
        assert message in capsys.readouterr().err
