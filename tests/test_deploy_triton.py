"""A real Triton server, which comes with nvidia-pytriton, on what `kerasdl deploy --to triton` generates.

That package has no backend for ONNX: here each model is one of the Python backend that asks onnxruntime, and
of the generated configuration nothing but the line `backend` is changed. Its own environment, since it needs
an older NumPy: `KERASDL_TRITON_ENVIRONMENT` names one that is there; otherwise it is made, which takes a
package index and 100 MB.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import venv
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from kerasdl.export import bundle as bundles
from kerasdl.export.spec import ExportSpec
from kerasdl.export.tflite import Converter
from kerasdl.export.warm_up import BATCH_SIZES
from kerasdl.jobs.deploy import deploy
from tests.cases import CASES

pytestmark = pytest.mark.slow

#: Of the first the server alone is used: not what its Python packages need.
PACKAGES = (("--no-deps", "nvidia-pytriton==0.7.0"), ("onnxruntime", "numpy<2"))
#: A classifier, a language model with states, and an autoencoder with noise: one number an example, and many.
NETWORKS = ("LeNet5", "CharLM", "VAE")
MODEL = """
import pathlib
import onnxruntime
import triton_python_backend_utils as utils

class TritonPythonModel:
    def initialize(self, args):
        self.session = onnxruntime.InferenceSession(pathlib.Path(__file__).with_name("model.onnx"))

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        names = [one.name for one in self.session.get_inputs()]
        values = {name: utils.get_input_tensor_by_name(request, name).as_numpy() for name in names}
        found = zip(self.session.get_outputs(), self.session.run(None, values))
        return utils.InferenceResponse([utils.Tensor(one.name, value) for one, value in found])
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The folder of packages of an environment with Triton and onnxruntime."""
    if not sys.platform.startswith("linux"):
        pytest.skip("nvidia-pytriton has a server for Linux alone")
    if (folder := os.environ.get("KERASDL_TRITON_ENVIRONMENT")) is None:
        folder = tmp_path_factory.mktemp("triton") / "environment"
        venv.create(folder, with_pip=True)
        install = [folder / "bin/python", "-m", "pip", "install", "-q", "--no-input"]
        try:
            for packages in PACKAGES:
                subprocess.run([*install, *packages], check=True, capture_output=True, timeout=200)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"nvidia-pytriton cannot be installed here: {(error.stderr or b'')[-200:]}")
    (packages,) = Path(folder).glob("lib/python3.*/site-packages")
    return packages


def exported(case, folder):
    """Export the ONNX files of a network; return the bundle, and inputs and Keras's answers by endpoint."""
    features, targets = case.examples(3)
    network = case.build()
    endpoints = case.task.endpoints(network, case.spec, {})
    spec = ExportSpec(str(case), network, endpoints, case.spec.class_names, {})
    with Converter() as converter:
        path = bundles.write_bundle(
            spec, root=folder, batches=lambda: iter([(features, targets, None)]), converter=converter,
            info={}, files=bundles.Files(formats=("onnx",)),
        ).path  # fmt: skip
    answers = {}
    for endpoint in (one for one in endpoints if "onnx" in one.formats):
        inputs = endpoint.inputs_of(features, 0)
        outputs = endpoint.function(*(tf.constant(inputs[name]) for name in endpoint.inputs))
        answers[endpoint.name] = inputs, {name: np.asarray(value) for name, value in outputs.items()}
    return path, answers


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """The folders that were generated for three networks, and inputs and answers by model."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("served")
    outs, models = [], {}
    for case in (case for case in CASES if str(case) in NETWORKS):
        path, answers = exported(case, folder)
        outs.append(deploy(path, "triton", folder / "out" / str(case)))
        names = [f"{case}-onnx_{name}" for name in answers] if len(answers) > 1 else [f"{case}-onnx"]
        models |= dict(zip(names, answers.values(), strict=True))
    assert len(outs) == len(NETWORKS)
    return outs, models


@pytest.fixture(scope="module")
def server(environment, generated, tmp_path_factory):
    """Addresses of REST, gRPC and metrics of a Triton that runs the models."""
    home = tmp_path_factory.mktemp("triton-home")
    models = home / "models"
    for out in generated[0]:
        shutil.copytree(out / "models", models, dirs_exist_ok=True)
    for config in models.glob("*/config.pbtxt"):
        text = config.read_text()
        assert text.count('backend: "onnxruntime"') == 1
        config.write_text(text.replace('backend: "onnxruntime"', 'backend: "python"'))
        for version in config.parent.glob("[0-9]*"):
            (version / "model.py").write_text(MODEL)
    root = environment / "pytriton/tritonserver"
    backends = Path(shutil.copytree(root / "backends", home / "backends"))
    python = environment.parent.name.removeprefix("python")
    shutil.copy(root / "python_backend_stubs" / python / "triton_python_backend_stub", backends / "python")
    code = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
    words = [environment.parents[2] / "bin/python", "-c", code]
    python_libraries = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    ports = dict(zip(("http", "grpc", "metrics"), free_ports(3), strict=True))
    words = [root / "bin/tritonserver", f"--model-repository={models}", f"--backend-directory={backends}"]
    words += ["--disable-auto-complete-config", "--allow-gpu-metrics=false"]
    for name, port in ports.items():
        words += [f"--{name}-port={port}", f"--{name}-address=127.0.0.1"]
    settings = {
        # The stub has to find the Python that the environment was made of, not one of the system.
        "LD_LIBRARY_PATH": f"{python_libraries}:{environment / 'nvidia_pytriton.libs'}",
        "PYTHONPATH": str(environment),
        "PATH": f"{environment.parents[2] / 'bin'}:{os.environ['PATH']}",
    }
    with (home / "log").open("w") as log:
        process = subprocess.Popen(words, env={**os.environ, **settings}, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{ports['http']}/v2/health/ready", process, home / "log")
        yield {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    finally:
        process.terminate()
        process.wait(60)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(url, process, log):
    for _ in range(240):
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise AssertionError(log.read_text()[-5000:])


def read(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def test_a_real_triton_answers_as_keras_does(server, generated):
    """By REST and by gRPC; configuration and metadata are those that were generated."""
    grpc = pytest.importorskip("tritonclient.grpc", reason="needs tritonclient[grpc]")
    rest = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]")
    outs, models = generated
    for library, address in ((grpc, server["grpc"]), (rest, server["http"])):
        client = library.InferenceServerClient(address)
        assert client.is_server_live() and client.is_server_ready()
        for name, (inputs, expected) in models.items():
            assert client.is_model_ready(name)
            given = []
            for key, value in inputs.items():
                value = value[:, None] if value.ndim == 1 else value
                given.append(library.InferInput(key, value.shape, triton_type(value)))
                given[-1].set_data_from_numpy(np.ascontiguousarray(value))
            answer = client.infer(name, given)
            for key, value in expected.items():
                found = answer.as_numpy(key)
                assert found.shape == (value.shape if value.ndim > 1 else (len(value), 1)), (name, key)
                np.testing.assert_allclose(
                    found.reshape(value.shape), value, atol=1e-5, err_msg=f"{name} {key}"
                )
        client.close()
    client = grpc.InferenceServerClient(server["grpc"])
    for out in outs:
        for file in out.glob("models/*/config.pbtxt"):
            wanted = text_format.Parse(file.read_text(), grpc.model_config_pb2.ModelConfig())
            found = client.get_model_config(wanted.name).config
            for field in ("max_batch_size", "input", "output", "model_warmup"):
                assert getattr(found, field) == getattr(wanted, field), (wanted.name, field)
            metadata = client.get_model_metadata(wanted.name)
            assert {one.name for one in metadata.inputs} == {one.name for one in wanted.input}
    client.close()
    metrics = read(f"http://{server['metrics']}/metrics")
    for name in models:
        (count,) = re.findall(
            f'^nv_inference_count{{model="{re.escape(name)}",version="1"}} (\\d+)$', metrics, re.M
        )
        assert int(count) >= 2 * 3 + sum(BATCH_SIZES)  # its warm-up too


def test_its_clients(server, generated):
    """The generated client ends well, and one that asks for what is not there does not."""
    for out in generated[0]:
        words = [sys.executable, "-I", out / "smoke_test.py", f"http://{server['http']}"]
        ran = subprocess.run(words, capture_output=True, text=True, check=True)
        assert ran.stdout.count("ok ") == len(list(out.glob("models/*")))
        (out / "smoke_test.py").write_text(
            (out / "smoke_test.py").read_text().replace('"shape": [', '"shape": [7,')
        )
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
        assert ran.returncode == 1 and "FAILED" in ran.stderr and "Traceback" not in ran.stderr


def triton_type(array):
    return {"uint8": "UINT8", "int32": "INT32", "float32": "FP32"}[array.dtype.name]
