"""What is generated around a bundle: parsed by the protocols' own parsers, and run where it runs here."""

import ast
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from kerasdl import cli
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.deploy import folder as folders
from kerasdl.deploy.description import describe
from kerasdl.deploy.targets import TARGETS
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export import bundle as bundles
from kerasdl.export import warm_up
from kerasdl.export.spec import ExportSpec
from kerasdl.export.tflite import Converter
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.runtimes import open_artifact
from kerasdl.jobs.deploy import deploy
from kerasdl.network.network import Network
from kerasdl.tasks.classification.task import Classification

LABELS = ("cat", "great dane", "emu")
DATA = DataSpec(Spec((8, 8, 1), "uint8"), Spec((), "int32", LABELS))


def tensor(*shape, dtype="float32"):
    return {"shape": list(shape), "dtype": dtype}


def endpoint(name, inputs, outputs, formats=("saved_model", "onnx"), **others):
    return {"name": name, "formats": list(formats), "inputs": inputs, "outputs": outputs, **others}


#: Endpoints of bundles of every form: of images, of texts of any length, and with states.
FORMS = {
    "images": [
        endpoint(
            "serving_default",
            {"images": tensor(None, 8, 8, 1, dtype="uint8")},
            {"probabilities": tensor(None, 3), "class_ids": tensor(None, dtype="int32")},
        ),
        endpoint(
            "serving_bytes",
            {"image_bytes": tensor(None, dtype="string")},
            {"probabilities": tensor(None, 3), "class_ids": tensor(None, dtype="int32")},
            ("saved_model",),
        ),
    ],
    "texts": [
        endpoint(
            "serving_default",
            {"texts": tensor(None, dtype="string")},
            {"probabilities": tensor(None, 3)},
            ("saved_model",),
        ),
        endpoint(
            "serving_ids",
            {"ids": tensor(None, None, dtype="int32")},
            {"probabilities": tensor(None, 3)},
            phone_length=7,
        ),
    ],
    "states": [
        endpoint(
            "step",
            {"ids": tensor(None, dtype="int32"), "state": tensor(None, 5)},
            {"logits": tensor(None, 9), "next_state": tensor(None, 5)},
        ),
        endpoint("sample", {"noise": tensor(None, 4)}, {"images": tensor(None, 8, 8, 1)}),
    ],
    "one_answer": [endpoint("serving_default", {"inputs": tensor(None, 4)}, {"mean": tensor(2)})],
}


def made_up(folder, form="images", **others):
    """Write the card of a bundle, and files that hold nothing."""
    folder.mkdir(parents=True)
    files = {
        "saved_model.pb": b"model",
        "variables/variables.index": b"index",
        "assets.extra/tf_serving_warmup_requests": b"requests",
    }
    with_onnx = [one["name"] for one in FORMS[form] if "onnx" in one["formats"]]
    onnx = {("net.onnx" if len(with_onnx) == 1 else f"net.{name}.onnx"): name for name in with_onnx}
    files |= dict.fromkeys(onnx, b"onnx")
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    rows = [{"file": "saved_model.pb", "kind": "saved_model", "names": [one["name"] for one in FORMS[form]]}]
    rows += [{"file": file, "kind": "onnx", "names": [name]} for file, name in onnx.items()]
    card = {
        "name": "net",
        "artefacts": [
            {
                "file": row["file"],
                "kind": row["kind"],
                "endpoint": row["names"][0],
                "endpoints": {name: {} for name in row["names"]},
                "bytes": 1,
                "sha256": "0",
            }
            for row in rows
        ],
        "files": bundles.hash_files(folder),
        "labels": list(LABELS),
        "endpoints": FORMS[form],
        "batch_sizes": [1, 2, 4],
    }
    (folder / "card.json").write_text(json.dumps(card | others))
    return folder


def ran(words, **options):
    """Run a program that has to end well; return what it printed."""
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, **options).stdout


@pytest.fixture
def versions(tmp_path):
    """A folder of three versions, the last of which is being written."""
    for number in (1, 2, 10):
        made_up(tmp_path / "exported/net" / str(number))
    (tmp_path / "exported/net/.exporting-x").mkdir()
    (tmp_path / "exported/net/11").mkdir()
    return tmp_path / "exported/net"


# Warm-up


class Tiny(Network):
    """A layer over raw images."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.head = tf.keras.layers.Dense(3)

    def forward(self, x, training=False):
        return self.head(tf.reshape(tf.cast(x, tf.float32), (-1, 64)) / 255)

    def get_config(self):
        return {}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A bundle of a SavedModel with an endpoint of raw images, and one of encoded files."""
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1)).astype(np.uint8)
    model = Tiny()
    model(images[:1])
    spec = ExportSpec("tiny", model, Classification().endpoints(model, DATA, {}), LABELS, {})
    with Converter() as converter:
        return bundles.write_bundle(
            spec,
            root=tmp_path_factory.mktemp("exported"),
            batches=lambda: iter([(images, np.arange(8, dtype=np.int32) % 3, None)]),
            converter=converter,
            info={"recipe": {"name": "tiny"}, "data": {}, "metrics": {}},
            files=bundles.Files(formats=("saved_model",)),
            samples={"features": images[:2], "targets": np.arange(2)},
        ).path


@pytest.fixture
def copy(real, tmp_path):
    return Path(shutil.copytree(real, tmp_path / "copy" / "1"))


def requests_of(folder):
    """Yield the requests of a SavedModel as TF Serving reads them, and their sizes in bytes."""
    for record in tf.data.TFRecordDataset(str(folder / warm_up.FILE)).as_numpy_iterator():
        yield prediction_log_pb2.PredictionLog.FromString(record).predict_log.request, len(record)


def rewrite(folder, change):
    """Write the requests of a SavedModel again, each changed."""
    logs = []
    for request, _ in requests_of(folder):
        change(request)
        log = prediction_log_pb2.PredictionLog()
        log.predict_log.request.CopyFrom(request)
        logs.append(log.SerializeToString())
    with tf.io.TFRecordWriter(str(folder / warm_up.FILE)) as writer:
        for log in logs:
            writer.write(log)


def shape_in(request):
    """Return the shape of the input of a request."""
    (value,) = request.inputs.values()
    return value.tensor_shape


@pytest.mark.slow
def test_every_signature_is_warmed_with_every_batch_size(real):
    found = {}
    for request, size in requests_of(real):
        assert size < 300
        (inputs,) = request.inputs.values()
        found.setdefault(request.model_spec.signature_name, []).append(tf.make_ndarray(inputs))
    assert list(found) == ["serving_default", "serving_bytes"]
    assert [value.shape for value in found["serving_default"]] == [(n, 8, 8, 1) for n in warm_up.BATCH_SIZES]
    assert not any(value.any() for value in found["serving_default"])  # nothing of the data
    assert [value.shape for value in found["serving_bytes"]] == [(n,) for n in warm_up.BATCH_SIZES]
    assert not tf.io.decode_png(found["serving_bytes"][0][0]).numpy().any()
    card = bundles.read_card(real)
    assert warm_up.FILE in card["files"] and card["batch_sizes"] == list(warm_up.BATCH_SIZES)


@pytest.mark.slow
def test_replay_answers_each_request(real):
    assert warm_up.replay(real, open_artifact(real)) == 2 * len(warm_up.BATCH_SIZES)
    assert warm_up.replay(real.parent, open_artifact(real)) == 0  # an earlier version wrote none


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda request: setattr(request.model_spec, "signature_name", "other"), "'other', which is not"),
        (lambda request: request.inputs.clear(), "shapes"),
        (lambda request: request.inputs[next(iter(request.inputs))].tensor_shape.Clear(), "shapes"),
        (
            lambda request: request.inputs[next(iter(request.inputs))].tensor_shape.dim.add(size=2),
            "not answer",
        ),
        (
            lambda request: setattr(
                request.inputs[next(iter(request.inputs))].tensor_shape.dim[0], "size", 2**50
            ),
            "shapes",
        ),
    ],
)
def test_replay_names_what_does_not_fit(copy, change, why):
    rewrite(copy, change)
    with pytest.raises(RunFailedError, match=why):
        warm_up.replay(copy, open_artifact(copy))


@pytest.mark.slow
def test_verify_replays(copy):
    endpoints = {one.name: one for one in Classification().endpoints(None, DATA, {})}
    assert len(bundles.verify_bundle(copy, endpoints=endpoints)) == 1
    rewrite(copy, lambda request: request.inputs.clear())
    card = bundles.read_card(copy)
    card["files"] = {**card["files"], warm_up.FILE: bundles.hash_files(copy)[warm_up.FILE]}
    (copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(bundles.NotTheSameError, match="tf_serving_warmup_requests"):
        bundles.verify_bundle(copy, endpoints=endpoints)
    (copy / warm_up.FILE).write_bytes(b"no records")
    with pytest.raises(RunFailedError, match="holds no request"):
        warm_up.replay(copy, open_artifact(copy))


def test_a_text_that_means_something_is_left_out_and_named(tmp_path, caplog):
    texts = {"text": tf.TensorSpec((None,), tf.string, "text")}
    network = (
        Endpoint("strict", lambda text: {"number": tf.strings.to_number(text)}, texts),
        Endpoint("lenient", lambda text: {"length": tf.strings.length(text), "all": tf.zeros(3)}, texts),
    )
    spec = ExportSpec("net", None, network, (), {})
    features = {"text": np.array([b"1", b"2"], object)}
    references = warm_up.References(network, lambda: iter([(features, None, None)]))
    warm_up.write_warm_up(spec, tmp_path, references, [bundles.describe(one) for one in network])
    names = {request.model_spec.signature_name for request, _ in requests_of(tmp_path)}
    assert names == {"lenient"}
    assert "no warm-up requests for strict" in caplog.text
    assert "lenient: all has no open first axis" in caplog.text


@pytest.mark.slow
def test_tensorflow_alone_answers_the_warm_up(real, tmp_path):
    """By its C API, as TF Serving does, and by its own command: neither Keras nor kerasdl is there."""
    model = saved_model_pb2.SavedModel.FromString((real / "saved_model.pb").read_bytes())
    signatures = model.meta_graphs[0].signature_def
    asked, expected = [], []
    for request, _ in requests_of(real):
        signature = signatures[request.model_spec.signature_name]
        if signature is signatures["serving_bytes"]:
            continue  # a string in C takes more than a few lines
        ((name, value),) = request.inputs.items()
        shape = [axis.size for axis in value.tensor_shape.dim]
        feed = {"shape": shape, "type": value.dtype, "bytes": 1, "value": 0}
        outputs = [signature.outputs[key].name for key in ("probabilities", "class_ids")]
        asked.append({"feeds": {signature.inputs[name].name: feed}, "fetches": outputs})
        expected.append([[shape[0], 3], [shape[0]]])
    (tmp_path / "requests.json").write_text(json.dumps(asked))
    script = Path(__file__).parent / "c_api.py"
    libraries = Path(tf.__file__).parent
    words = [sys.executable, "-I", script, libraries, real, tmp_path / "requests.json"]
    assert json.loads(ran(words, cwd=tmp_path).splitlines()[-1]) == expected
    np.save(tmp_path / "images.npy", np.zeros((2, 8, 8, 1), np.uint8))
    words = [sys.executable, "-I", "-m", "tensorflow.python.tools.saved_model_cli", "run", "--dir", real]
    words += ["--tag_set", "serve", "--signature_def", "serving_default", "--inputs", "images=images.npy"]
    said = ran(words, cwd=tmp_path, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    assert "Result for output key probabilities" in said


# Configuration of TF Serving


def message_of(**fields):
    """Return the message of a protocol that tensorflow-serving-api does not bring, by its fields' types."""
    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="own.proto", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    own = file.message_type.add(name="Own")
    for number, (name, kind) in enumerate(fields.items(), 1):
        field = own.field.add(name=name, number=number, label=types.LABEL_OPTIONAL, type=types.TYPE_MESSAGE)
        if kind == "repeated":
            field.label, field.type = types.LABEL_REPEATED, types.TYPE_INT64
        elif isinstance(kind, dict):
            part = own.nested_type.add(name="Part")
            for index, (key, inner) in enumerate(kind.items(), 1):
                part.field.add(name=key, number=index, label=types.LABEL_OPTIONAL, type=inner)
            field.type_name = ".Own.Part"
        else:
            field.type_name = ".google.protobuf.Int64Value"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Own"))()


def config_of(out):
    content = (out / "config/models.config").read_text()
    (config,) = text_format.Parse(
        content, model_server_config_pb2.ModelServerConfig()
    ).model_config_list.config
    return config


@pytest.mark.parametrize(
    ("version", "loaded", "labels"),
    [("", [10], {"stable": 10, "canary": 10}), ("2", [2, 10], {"stable": 2, "canary": 10})],
)
def test_models_config(versions, tmp_path, version, loaded, labels):
    config = config_of(deploy(versions / version, "tf-serving", tmp_path / "out"))
    assert (config.name, config.base_path, config.model_platform) == ("net", "/models/net", "tensorflow")
    assert list(config.model_version_policy.specific.versions) == loaded
    assert dict(config.version_labels) == labels


def test_batches_have_the_sizes_that_are_warmed(versions, tmp_path):
    out = deploy(versions, "tf-serving", tmp_path / "out")
    number = "number"
    message = message_of(
        max_batch_size=number, batch_timeout_micros=number, max_enqueued_batches=number,
        allowed_batch_sizes="repeated",
    )  # fmt: skip
    batching = text_format.Parse((out / "config/batching.config").read_text(), message)
    assert list(batching.allowed_batch_sizes) == [1, 2, 4] and batching.max_batch_size.value == 4
    types = descriptor_pb2.FieldDescriptorProto
    message = message_of(prometheus_config={"enable": types.TYPE_BOOL, "path": types.TYPE_STRING})
    monitoring = text_format.Parse((out / "config/monitoring.config").read_text(), message)
    assert monitoring.prometheus_config.enable


@pytest.mark.parametrize(("form", "why"), [("texts", "differ in length"), ("one_answer", "open first axis")])
def test_no_batching_where_it_would_fail_or_change_answers(tmp_path, form, why):
    out = deploy(made_up(tmp_path / "net/1", form), "tf-serving", tmp_path / "out")
    assert not (out / "config/batching.config").exists()
    assert "batching" not in (out / "run.sh").read_text() + (out / "kubernetes/deployment.yaml").read_text()
    assert why in (out / "README.md").read_text()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("target", ["tf-serving", "docker", "kserve", "triton"])
def test_every_file_parses(tmp_path, target, form):
    out = deploy(made_up(tmp_path / "My Net 2/1", form), target, tmp_path / "out")
    for file in (path for path in out.rglob("*") if path.is_file()):
        if file.suffix == ".yaml":
            parts = list(yaml.safe_load_all(file.read_text()))
            assert all(
                part["metadata"]["name"].startswith("my-net-2") for part in parts if "metadata" in part
            )
        elif file.suffix == ".py":
            compile(file.read_text(), file, "exec")
        elif file.suffix == ".sh":
            subprocess.run(["sh", "-n", file], check=True)
            assert os.access(file, os.X_OK)
        if file.suffix in (".yaml", ".sh", ".md") or file.name == "Dockerfile":
            assert ":latest" not in file.read_text() and str(tmp_path) not in file.read_text()


def test_docker_is_called_with_what_is_there(versions, tmp_path):
    """The folder above has a space and an apostrophe in its name."""
    odd = tmp_path / "it's odd"
    odd.mkdir()
    shutil.move(versions.parent, odd)
    out = deploy(odd / "exported/net", "tf-serving", odd / "deploy/net")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/docker").write_text('#!/bin/sh\nfor x in "$@"; do echo "$x"; done\n')
    (tmp_path / "bin/docker").chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    arguments = ran(["sh", out / "run.sh"], env={"PATH": path}).splitlines()
    mounted = [arguments[index + 1] for index, word in enumerate(arguments) if word == "-v"]
    assert mounted == [f"{odd}/exported/net:/models/net:ro", f"{out}/config:/config:ro"]
    published = [arguments[index + 1] for index, word in enumerate(arguments) if word == "-p"]
    assert arguments[0] == "run" and published == ["127.0.0.1:8501:8501", "127.0.0.1:8500:8500"]
    (bound, _) = yaml.safe_load((out / "compose.yaml").read_text())["services"]["net"]["volumes"]
    assert bound["source"] == "${MODELS:-../../exported/net}"


def test_kubernetes_takes_it(versions, tmp_path):
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl, which builds the manifests without a cluster")
    out = deploy(versions, "tf-serving", tmp_path / "out")
    parts = {part["kind"]: part for part in yaml.safe_load_all(ran(["kubectl", "kustomize", out]))}
    assert set(parts["ConfigMap"]["data"]) == {"batching.config", "models.config", "monitoring.config"}
    pod = parts["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {volume["name"] for volume in pod["volumes"]} == {m["name"] for m in container["volumeMounts"]}
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in parts["Service"]["spec"]["ports"]} <= ports


def test_an_image_holds_one_version(versions, tmp_path):
    out = deploy(versions / "2", "docker", tmp_path / "out")
    assert (out / "models/net/2/saved_model.pb").read_bytes() == b"model"
    assert (out / "models/net/2" / warm_up.FILE).is_file()
    assert not (out / "models/net/2/card.json").exists()
    config = config_of(out)
    assert list(config.model_version_policy.specific.versions) == [2]
    assert dict(config.version_labels) == {"stable": 2, "canary": 2}


# The clients


class Server(http.server.BaseHTTPRequestHandler):
    """As much of TF Serving's REST calls as the clients use, over a real SavedModel."""

    predictor, spoiled = None, False

    def do_GET(self):
        if self.path.endswith("/metrics"):
            return self._answer(b":tensorflow:serving:request_count 1\n")
        signatures = {
            name: {"inputs": dict.fromkeys(inputs), "outputs": dict.fromkeys(("probabilities", "class_ids"))}
            for name, inputs in self.predictor.inputs.items()
        }
        metadata = {"metadata": {"signature_def": {"signature_def": signatures}}}
        status = {"model_version_status": [{"version": "1", "state": "AVAILABLE"}]}
        return self._answer(json.dumps(metadata if self.path.endswith("metadata") else status).encode())

    def do_POST(self):
        assert self.path == "/v1/models/tiny/labels/stable:predict"
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        inputs = {
            name: np.array(
                [tf.io.decode_base64(x["b64"].replace("+", "-").replace("/", "_")).numpy() for x in value],
                object,
            )
            if isinstance(value[0], dict)
            else np.array(value, np.uint8)
            for name, value in asked["inputs"].items()
        }
        outputs = self.predictor.call(asked["signature_name"], inputs)
        if self.spoiled:
            outputs["class_ids"] = outputs["class_ids"][:, None]
        answer = {"outputs": {name: value.tolist() for name, value in outputs.items()}}
        return self._answer(json.dumps(answer).encode())

    def _answer(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server(real):
    Server.predictor, Server.spoiled = open_artifact(real), False
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


def smoke_test(out, *arguments):
    words = [sys.executable, "-I", out / "smoke_test.py", *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_smoke_test(real, server, tmp_path):
    out = deploy(real, "tf-serving", tmp_path / "out")
    tried = smoke_test(out, server)
    assert tried.returncode == 0, tried.stderr
    (line,) = [line for line in tried.stdout.splitlines() if line.startswith("ok serving_bytes ")]
    assert ast.literal_eval(line.removeprefix("ok serving_bytes ")) == {
        "probabilities": [2, 3],
        "class_ids": [2],
    }
    if shutil.which("curl"):
        said = ran(["sh", out / "smoke_test.sh", server])
        assert said.count('"outputs"') == 2 and said.endswith("1\n")
    Server.spoiled = True
    tried = smoke_test(out, server)
    assert tried.returncode == 1 and "FAILED serving_default: class_ids" in tried.stderr
    tried = smoke_test(out, "http://127.0.0.1:9")
    assert tried.returncode == 1 and "Traceback" not in tried.stderr


# Triton


def triton_config(folder):
    protocol = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="needs tritonclient")
    return text_format.Parse((folder / "config.pbtxt").read_text(), protocol.ModelConfig())


def test_a_model_for_each_onnx_file(tmp_path):
    out = deploy(made_up(tmp_path / "net/3", "states"), "triton", tmp_path / "out")
    assert sorted(path.name for path in (out / "models").iterdir()) == ["net_sample", "net_step"]
    assert not (out / "models-tensorflow").exists()
    assert (out / "models/net_step/3/model.onnx").read_bytes() == b"onnx"
    config = triton_config(out / "models/net_step")
    ids, state = config.input
    assert list(ids.dims) == [1] and ids.HasField("reshape") and not ids.reshape.shape
    assert list(state.dims) == [5] and not state.HasField("reshape")
    assert [warm.batch_size for warm in config.model_warmup] == [1, 2, 4]
    assert (config.backend, config.max_batch_size) == ("onnxruntime", 4)


def test_what_onnx_cannot_hold_is_a_saved_model(tmp_path):
    out = deploy(made_up(tmp_path / "net/3"), "triton", tmp_path / "out")
    config = triton_config(out / "models/net")
    probabilities, class_ids = config.output
    assert probabilities.label_filename == "labels.txt" and not class_ids.label_filename
    assert (out / "models/net/labels.txt").read_text().splitlines() == list(LABELS)
    assert list(class_ids.dims) == [1] and class_ids.HasField("reshape") and not class_ids.reshape.shape
    config = triton_config(out / "models-tensorflow/net_serving_bytes")
    assert config.platform == "tensorflow_savedmodel" and not config.model_warmup
    assert config.parameters["TF_SIGNATURE_DEF"].string_value == "serving_bytes"
    assert (out / "models-tensorflow/net_serving_bytes/3/model.savedmodel/saved_model.pb").is_file()


def test_triton_does_not_batch_what_has_no_batch_axis(tmp_path):
    out = deploy(made_up(tmp_path / "net/3", "one_answer"), "triton", tmp_path / "out")
    config = triton_config(out / "models/net")
    assert config.max_batch_size == 0 and not config.HasField("dynamic_batching")
    assert (list(config.input[0].dims), list(config.output[0].dims)) == ([-1, 4], [2])


# The folder


def test_again_into_the_same_folder(versions, tmp_path):
    out = deploy(versions / "1", "docker", tmp_path / "out")
    inode = out.stat().st_ino
    assert deploy(versions, "docker", out) == out
    assert out.stat().st_ino == inode  # a container that has it mounted sees the new files
    assert (out / "models/net/10/saved_model.pb").is_file()
    assert not (out / "models/net/1/saved_model.pb").exists()
    assert not list(tmp_path.glob(".writing-*"))


def test_what_somebody_wrote_stays(versions, tmp_path):
    out = deploy(versions, "tf-serving", tmp_path / "out")
    (out / "config/models.config").write_text("mine")
    with pytest.raises(UsageError, match=r"config/models\.config"):
        deploy(versions, "tf-serving", out)
    assert (out / "config/models.config").read_text() == "mine"
    with pytest.raises(UsageError, match="was made for tf-serving"):
        deploy(versions, "kserve", out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes").touch()
    with pytest.raises(UsageError, match="did not make it"):
        deploy(versions, "kserve", tmp_path / "mine")
    with pytest.raises(UsageError, match="lies in the bundle"):
        deploy(versions / "2", "kserve", versions / "2" / "out")


def test_a_record_that_somebody_wrote_deletes_and_writes_nothing_elsewhere(versions, tmp_path):
    out = deploy(versions, "kserve", tmp_path / "out")
    secret = tmp_path / "secret"
    secret.write_text("mine")
    record = json.loads((out / folders.RECORD).read_text())
    record["files"]["../secret"] = record["files"]["README.md"]
    (out / folders.RECORD).write_text(json.dumps(record))
    deploy(versions, "kserve", out)
    assert secret.read_text() == "mine"
    (out / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="link"):
        deploy(versions, "kserve", out)
    (out / folders.RECORD).write_text("{}")
    with pytest.raises(RunFailedError, match="damaged"):
        deploy(versions, "kserve", out)


def test_all_or_nothing(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UsageError):
        folders.write(out, {"a": "text", "b": tmp_path / "is not there"}, target="x")
    assert list(tmp_path.iterdir()) == []
    folders.write(out, {"a": "text"}, target="x")
    with pytest.raises(UsageError):
        folders.write(out, {"a": "other", "b": tmp_path / "is not there"}, target="x")
    assert (out / "a").read_text() == "text"


def test_links_take_no_space(versions, tmp_path):
    out = deploy(versions, "triton", tmp_path / "out", link=True)
    assert (out / "models/net/10/model.onnx").stat().st_ino == (versions / "10/net.onnx").stat().st_ino
    deploy(versions, "triton", out)
    assert (out / "models/net/10/model.onnx").stat().st_ino != (versions / "10/net.onnx").stat().st_ino
    assert (versions / "10/net.onnx").read_bytes() == b"onnx"


# What cannot be deployed


def test_a_bundle_of_a_damaged_file_is_not_copied(versions, tmp_path):
    (versions / "10/net.onnx").write_bytes(b"other")
    with pytest.raises(RunFailedError, match=r"net\.onnx is not as it was exported"):
        deploy(versions, "triton", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "others",
    [
        {"files": {"variables/../../../secret": {"sha256": "0"}}},
        {"files": {"/etc/passwd": {"sha256": "0"}}},
        {"endpoints": [endpoint("../../x", {}, {})]},
        {"endpoints": [endpoint('"""\nimport os', {}, {})]},
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, others):
    made_up(tmp_path / "net/1", **others)
    for target in TARGETS:
        with pytest.raises(RunFailedError, match=r"card\.json is damaged"):
            deploy(tmp_path / "net", target, tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["net", "--to", "tf-servin"], "Did you mean 'tf-serving'?"),
        (["net"], "--to"),
        (["nothing", "--to", "docker"], "does not exist"),
        ([".", "--to", "docker"], "neither a bundle"),
        (["earlier/1", "--to", "docker"], "does not tell how the bundle is called"),
        (["onnx/1", "--to", "docker"], "holds no SavedModel"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    made_up(tmp_path / "net/1")
    made_up(tmp_path / "earlier/1", endpoints=[])
    made_up(tmp_path / "onnx/1", files={})
    assert cli.main(["deploy", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "deploy").exists()


def test_the_command_needs_no_tensorflow(versions, tmp_path):
    code = (
        "import sys; from kerasdl import cli\n"
        f"assert cli.main(['deploy', {str(versions)!r}, '--to', 'tf-serving']) == 0\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    )
    root = str(Path(cli.__file__).parents[2])
    said = ran([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": root})
    assert "deploy/net-tf-serving/config/models.config" in said
    assert describe(versions).version == 10
