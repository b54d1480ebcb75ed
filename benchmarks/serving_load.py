"""A server, requests for it, and the load of autocannon, for `serving.py`."""

import contextlib
import dataclasses
import http.client
import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import psutil

_TEXT = "one of the best films that I have seen in a long time , and the cast is wonderful"
_SERVING = re.compile(r"http://127\.0\.0\.1:(\d+) .* gRPC on 127\.0\.0\.1:(\d+)")


@dataclasses.dataclass(frozen=True)
class Server:
    """A server's ports and process."""

    port: int
    grpc_port: int
    process: psutil.Process


@dataclasses.dataclass(frozen=True)
class Request:
    """A request over HTTP."""

    path: str
    body: bytes
    headers: Mapping[str, str]


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator["Server"]:
    """Start a server."""
    command = [sys.executable, "-P", "-m", "kerasdl", "serve", *arguments, "--port", "0", "--grpc-port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if found := _SERVING.search(line):
            break
    else:
        raise SystemExit("".join(lines))
    reader = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
    reader.start()
    try:
        yield Server(int(found[1]), int(found[2]), psutil.Process(process.pid))
    finally:
        process.send_signal(signal.SIGTERM)
        if (code := process.wait(60)) != 0:
            print(f"the server ended with {code}:", *lines[-5:])


def example(signature_inputs: dict) -> dict[str, np.ndarray]:
    """Return one example of the inputs of a signature."""
    draw, inputs = np.random.default_rng(0), {}
    for name, (shape, dtype) in signature_inputs.items():
        if dtype == "string":
            inputs[name] = np.array([_TEXT.encode()], object)
        else:
            full = [1, *(size or 1 for size in shape[1:])]
            values = draw.integers(0, 256, full) if np.dtype(dtype).kind in "iu" else draw.random(full)
            inputs[name] = values.astype(dtype)
    return inputs


def as_json(name: str, inputs: Mapping[str, np.ndarray]) -> Request:
    """Return a request by TensorFlow Serving's REST."""
    rows = {
        key: value[0].decode() if value.dtype == object else value[0].tolist()
        for key, value in inputs.items()
    }
    row = next(iter(rows.values())) if len(rows) == 1 else rows
    body = json.dumps({"instances": [row]}).encode()
    return Request(f"/v1/models/{name}:predict", body, {"content-type": "application/json"})


def as_binary(name: str, inputs: Mapping[str, np.ndarray]) -> Request:
    """Return a request by KServe's V2 with binary tensors."""
    from kerasdl.serving.protocol_v2 import HEADER
    from kerasdl.serving.v2_tensors import TYPES, bytes_of

    described, parts = [], []
    for key, value in inputs.items():
        dtype = "string" if value.dtype == object else value.dtype.name
        parts.append(bytes_of(value, dtype))
        about = {"name": key, "shape": list(value.shape), "datatype": TYPES[dtype]}
        described.append(about | {"parameters": {"binary_data_size": len(parts[-1])}})
    head = json.dumps({"inputs": described, "parameters": {"binary_data_output": True}}).encode()
    headers = {"content-type": "application/octet-stream", HEADER: str(len(head))}
    return Request(f"/v2/models/{name}/infer", b"".join([head, *parts]), headers)


def by_http(port: int, request: Request) -> Callable[[], bytes]:
    """Return what asks a server over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask() -> bytes:
        connection.request("POST", request.path, request.body, request.headers)
        reply = connection.getresponse()
        body = reply.read()
        assert reply.status == 200, body
        return body

    return ask


def by_grpc(port: int, name: str, inputs: Mapping[str, np.ndarray]) -> Callable[[], object]:
    """Return what asks a server by TensorFlow Serving's gRPC."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
    return lambda: predict(request)


def load(autocannon: str, port: int, request: Request, clients: int, seconds: int) -> dict:
    """Put a server under the load of autocannon; returns its JSON document."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(request.body)
        file.flush()
        headers = [f"{key}={value}" for key, value in request.headers.items()]
        command = [
            autocannon, "--json", "--connections", str(clients), "--duration", str(seconds),
            "--timeout", "60", "--method", "POST", "--input", file.name,
            *(part for header in headers for part in ("--headers", header)),
            f"http://127.0.0.1:{port}{request.path}",
        ]  # fmt: skip
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
