"""`kerasdl benchmark`: what is measured, on what, and what becomes of files that cannot be measured."""

import dataclasses
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.cli import main
from kerasdl.data import batches, passes
from kerasdl.data.images.digits import Digits
from kerasdl.data.splits import ArraySplit
from kerasdl.errors import UsageError
from kerasdl.export.artefact import Artefact
from kerasdl.export.references import batches_of
from kerasdl.inference import runtimes
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.labels import to_text
from kerasdl.inference.runtimes import OnnxPredictor
from kerasdl.inference.worker.client import Worker
from kerasdl.inference.worker.script import time_calls
from kerasdl.models.lenet5 import LeNet5
from kerasdl.models.mlp import MLP
from kerasdl.models.resnet import ResNet
from kerasdl.models.vgg import VGG
from kerasdl.runs.folder import Run
from kerasdl.tasks.classification.task import Classification
from tests.test_shipping import exported, recipe_with
from tests.warm_workers import OwnProcess

QUICK = ("--seconds", "0.01", "--threads", "1,2", "--batch-sizes", "1,4")
FILES = (
    "saved_model.pb", "net.float32.tflite", "net.float16.tflite", "net.dynamic.tflite", "net.int8.tflite",
    "net.onnx",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a run of an untrained network and its bundle."""
    folder = tmp_path_factory.mktemp("made")
    exported(recipe_with(Digits(), Classification()), folder, formats=("saved_model", "tflite", "onnx"))
    run, splits = Run(folder / "runs/net/1"), Digits().load()
    run.write("receipt.json", {"data": splits.describe()})
    run.write("labels.txt", to_text(splits.spec.class_names))
    return folder


@pytest.fixture(scope="module")
def bundle(made):
    return made / "exported/net/1"


@pytest.fixture
def copy(bundle, tmp_path):
    return Path(shutil.copytree(bundle, tmp_path / "copy"))


@pytest.fixture
def no_data(monkeypatch):
    def load(self):
        raise UsageError("It is not here.")

    monkeypatch.setattr(Digits, "load", load)


def benchmark(capsys, *arguments, code=0):
    """Run the command with --json; return its document and what it wrote to standard error."""
    assert main(["benchmark", *map(str, arguments), "--json"]) == code
    out, err = capsys.readouterr()
    return json.loads(out), err


@pytest.mark.slow
def test_every_artefact_of_a_bundle_is_measured(bundle, capsys):
    found, _ = benchmark(capsys, bundle, *QUICK)
    assert [row["file"] for row in found["artefacts"]] == list(FILES)
    images, labels = Digits().load().test.features, Digits().load().test.targets
    for row in found["artefacts"]:
        assert [(cell["threads"], cell["batch_size"]) for cell in row["speed"]] == [
            (1, 1),
            (1, 4),
            (2, 1),
            (2, 4),
        ]
        for cell in row["speed"]:
            assert 0 < cell["p50_ms"] <= cell["p95_ms"]
            assert cell["calls"] >= 1
            one_by_one = row["file"].endswith(".tflite") and cell["batch_size"] == 4
            assert cell["one_by_one"] == one_by_one
        assert row["bytes"] > 0
        assert row["evaluation"]["examples"] == len(labels)
    onnx = runtimes.open_artifact(bundle / "net.onnx").predict(images)["class_ids"]
    assert found["artefacts"][-1]["accuracy"] == np.mean(onnx == labels)
    assert f"measured now on all {len(labels)} test examples" in found["figures"]
    assert found["machine"]["cores"] >= 1


@pytest.mark.slow
def test_rates_follow_from_the_calls(bundle, capsys, monkeypatch):
    monkeypatch.setattr(OnnxPredictor, "durations", lambda *_, **__: [0.001] * 18 + [0.003] * 2)
    arguments = ("--seconds", "0.01", "--threads", "1", "--batch-sizes", "4")
    found, _ = benchmark(capsys, bundle / "net.onnx", *arguments)
    (cell,) = found["artefacts"][0]["speed"]
    assert cell["calls"] == 20
    assert cell["p50_ms"] == pytest.approx(1.0)
    assert cell["p95_ms"] == pytest.approx(3.0)
    assert cell["examples_per_second"] == pytest.approx(80 / 0.024)


@pytest.mark.slow
def test_the_table_tells_what_it_is_of(bundle, capsys):
    assert main(["benchmark", str(bundle), *QUICK]) == 0
    out = capsys.readouterr().out
    for word in (*FILES, "accuracy", "max", "threads", "p50 ms", "p95 ms", "batch 4", "examples/s"):
        assert word in out, word
    assert re.search(r"net\.int8\.tflite .*\d\*", out)
    assert not re.search(r"net\.onnx .*\d\*", out)
    assert "the file takes one example" in out


@pytest.mark.slow
def test_one_file(bundle, capsys):
    found, _ = benchmark(capsys, bundle / "net.int8.tflite", *QUICK)
    assert [row["file"] for row in found["artefacts"]] == ["net.int8.tflite"]
    found, _ = benchmark(capsys, bundle / "saved_model.pb", *QUICK)
    assert [row["kind"] for row in found["artefacts"]] == ["saved_model"]


@pytest.mark.slow
def test_a_run(made, capsys):
    found, _ = benchmark(capsys, made / "runs/net/1", *QUICK)
    (row,) = found["artefacts"]
    assert (row["file"], row["kind"]) == ("model.keras", "keras")
    assert len(row["speed"]) == 4
    assert row["accuracy"] == row["evaluation"]["accuracy"]
    quickest = ("--seconds", "0.01", "--threads", "1", "--batch-sizes", "1")
    assert main(["benchmark", str(made / "runs/net/1"), *quickest]) == 0
    assert "max difference" not in capsys.readouterr().out  # a network is not compared with itself


@pytest.mark.slow
def test_a_run_is_measured_with_so_many_threads(made):
    code = (
        "import sys, numpy as np, tensorflow as tf; from pathlib import Path\n"
        "from kerasdl.jobs.benchmark import Settings, network_cells\n"
        "inputs = {'images': np.ones((2, 8, 8, 1), np.uint8)}\n"
        "cells = network_cells(Path(sys.argv[1]), inputs, 3, Settings((3,), (1,), 0.01))\n"
        "assert [cell['threads'] for cell in cells] == [3]\n"
        "assert tf.config.threading.get_intra_op_parallelism_threads() == 3\n"
        "assert tf.config.threading.get_inter_op_parallelism_threads() == 3\n"
    )
    subprocess.run([sys.executable, "-c", code, made / "runs/net/1"], check=True)


@pytest.mark.slow
def test_artefacts_are_opened_with_the_threads_of_the_worker(bundle, monkeypatch):
    asked = []
    monkeypatch.setattr(
        runtimes, "open_artifact", lambda path, num_threads: asked.append((path.name, num_threads))
    )
    for file in ("net.onnx", "net.int8.tflite"):
        Artefact(file, "onnx", ("serving_default",)).open(bundle, Worker(3))
    assert asked == [("net.onnx", 3), ("net.int8.tflite", 3)]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="counts threads in /proc")
def test_a_worker_has_so_many_threads(bundle):
    def count(num_threads):
        with OwnProcess(num_threads) as worker:
            predictor = Artefact("saved_model.pb", "saved_model", ("serving_default",)).open(bundle, worker)
            predictor.predict(np.ones((2, 8, 8, 1), np.uint8))
            status = Path(f"/proc/{worker.pid}/status").read_text()
            return int(re.search(r"Threads:\s+(\d+)", status)[1])

    assert count(9) - count(1) >= 16  # eight more in each of two pools


@pytest.mark.slow
def test_inputs_are_test_examples(bundle, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr(
        OnnxPredictor, "durations", lambda self, endpoint, inputs, **_: seen.append(inputs["images"]) or [1.0]
    )
    arguments = ("--seconds", "0.01", "--threads", "1", "--batch-sizes", "1,500")
    benchmark(capsys, bundle / "net.onnx", *arguments)
    images = Digits().load().test.features
    np.testing.assert_array_equal(seen[0], images[:1])
    np.testing.assert_array_equal(seen[1], np.concatenate([images, images])[:500])


@pytest.mark.slow
def test_without_the_data_the_figures_are_those_of_the_export(bundle, capsys, no_data, monkeypatch):
    seen = []
    monkeypatch.setattr(
        OnnxPredictor, "durations", lambda self, endpoint, inputs, **_: seen.append(inputs["images"]) or [1.0]
    )
    found, _ = benchmark(capsys, bundle, *QUICK)
    card = json.loads((bundle / "card.json").read_text())
    assert "those of the export" in found["figures"]
    assert "card" in found["inputs"]
    for row, recorded in zip(found["artefacts"], card["artefacts"], strict=True):
        assert row["accuracy"] == recorded["accuracy"]
        assert "evaluation" not in row
    assert seen[0].any()
    assert len(seen[1]) == 4


@pytest.mark.slow
def test_without_data_and_examples_there_is_nothing_to_run(copy, capsys, no_data):
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps({**card, "samples": None}))
    assert main(["benchmark", str(copy), *QUICK]) == 2
    assert "--data" in capsys.readouterr().err


@pytest.mark.slow
def test_a_damaged_artefact_is_said_and_the_others_are_measured(copy, capsys):
    content = bytearray((copy / "net.onnx").read_bytes())
    content[len(content) // 2] ^= 255
    (copy / "net.onnx").write_bytes(content)
    (copy / "variables/variables.index").unlink()
    found, err = benchmark(capsys, copy, *QUICK, code=1)
    for row in found["artefacts"]:
        assert ("error" in row) == (row["file"] in ("net.onnx", "saved_model.pb"))
        assert ("p50_ms" in json.dumps(row)) == ("error" not in row)
    assert "net.onnx has changed" in err
    assert "variables/variables.index is missing" in err
    assert main(["benchmark", str(copy), *QUICK]) == 1
    assert re.search(r"net\.onnx .*failed", capsys.readouterr().out)


@pytest.mark.slow
def test_an_artefact_that_cannot_be_opened_is_said(copy, capsys):
    """Its hash is right: it was written so."""
    (copy / "net.onnx").write_bytes(b"no model")
    card = json.loads((copy / "card.json").read_text())
    card["files"].pop("net.onnx")
    (copy / "card.json").write_text(json.dumps(card))
    found, err = benchmark(capsys, copy, *QUICK, code=1)
    assert "cannot be opened" in found["artefacts"][-1]["error"]
    assert "net.onnx: cannot be opened" in err
    assert all("error" not in row for row in found["artefacts"][:-1])


@pytest.mark.slow
def test_an_artefact_that_answers_otherwise_than_at_the_export_is_said(copy, capsys):
    card = json.loads((copy / "card.json").read_text())
    card["artefacts"][-1]["endpoints"]["serving_default"]["evaluation"]["accuracy"] += 0.3
    (copy / "card.json").write_text(json.dumps(card))
    found, _ = benchmark(capsys, copy / "net.onnx", *QUICK, code=1)
    assert "accuracy is" in found["artefacts"][0]["error"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--threads", "0"), "--threads"),
        (("--threads", "two"), "--threads"),
        (("--threads", "1,"), "--threads"),
        (("--threads", "-1"), "--threads"),
        (("--batch-sizes", "0"), "--batch-sizes"),
        (("--batch-sizes", "1.5"), "--batch-sizes"),
        (("--batch-sizes", "99999999"), "--batch-sizes"),
        (("--seconds", "0"), "--seconds"),
        (("--seconds", "nan"), "--seconds"),
        (("--seconds", "long"), "--seconds"),
        (("--second", "1"), "no flag '--second'"),
        (("--data", "no-such-data"), "no-such-data"),
    ],
)
def test_what_is_not_understood_is_said_in_one_message(bundle, capsys, arguments, message):
    assert main(["benchmark", str(bundle), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("target", ["no/such", ".", "README.md"])
def test_an_unknown_target_is_said(bundle, capsys, monkeypatch, target):
    monkeypatch.chdir(bundle.parent)
    path = bundle / target if target == "README.md" else target
    assert main(["benchmark", str(path)]) == 2
    assert str(target) in capsys.readouterr().err


@pytest.mark.slow
def test_numbers_are_measured_once_each(bundle, capsys):
    arguments = ("--threads", "1,1", "--batch-sizes", "2,2", "--seconds", "0.01")
    found, _ = benchmark(capsys, bundle / "net.onnx", *arguments)
    assert len(found["artefacts"][0]["speed"]) == 1


def test_calls_are_timed_as_long_or_as_often_as_is_asked():
    assert len(time_calls(lambda: None, seconds=60, calls=7)) == 7
    assert len(time_calls(lambda: None, seconds=-1)) == 1
    assert len(time_calls(lambda: None, seconds=0.05)) > 50


@pytest.mark.parametrize(("bytes_each", "size"), [(4, 2048), (2**12, 512), (2**20, 256)])
def test_arrays_are_evaluated_in_batches_of_about_as_many_bytes(bytes_each, size):
    features = np.broadcast_to(np.arange(2100, dtype=np.uint8)[:, None], (2100, bytes_each))
    split = ArraySplit(features, np.arange(2100, dtype=np.int32))
    batches = list(passes.split_batches(split)())
    assert {len(labels) for _, labels, _ in batches[:-1]} == {size}
    np.testing.assert_array_equal(np.concatenate([labels for _, labels, _ in batches]), split.targets)
    assert all((images[:, 0] == labels.astype(np.uint8)).all() for images, labels, _ in batches)
    again = passes.split_batches(split, limit=1)
    assert [len(labels) for _, labels, _ in again()] == [len(labels) for _, labels, _ in again()] == [size]


def test_arrays_are_evaluated_in_the_order_of_tf_data():
    test = Digits().load().test
    theirs = list(batches.evaluation_batches(test, batch_size=100).as_numpy_iterator())
    ours = list(passes.split_batches(test)())
    for part in (0, 1):
        left, right = (np.concatenate([batch[part] for batch in batches]) for batches in (ours, theirs))
        np.testing.assert_array_equal(left, right)
        assert left.dtype == right.dtype


def test_further_endpoints_are_compared_on_a_few_examples():
    artefact = Artefact("saved_model.pb", "saved_model", ("first", "second"))
    batches = [({"x": np.zeros((400, 2))}, np.zeros(400)), ({"x": np.zeros((3, 2))}, np.zeros(3))]
    first, second = (Endpoint(name, lambda x: {}, {}) for name in artefact.endpoints)
    ((features, labels),) = batches_of(artefact, second, lambda: batches)()
    assert len(features["x"]) == len(labels) == 256
    assert batches_of(artefact, first, lambda: batches)() is batches
    of_noise = dataclasses.replace(first, takes_examples=False)
    ((features, _),) = batches_of(artefact, of_noise, lambda: batches)()
    assert len(features["x"]) == 256


@pytest.fixture
def torch_networks():
    pytest.importorskip("torch")
    path = Path(__file__).parent.parent / "benchmarks/torch_networks.py"
    spec = importlib.util.spec_from_file_location("torch_networks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def in_benchmarks(monkeypatch):
    """Import the programs of benchmarks/, as they import each other."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks"))


TWINS = [
    (LeNet5, (28, 28, 1), {"activation": "relu", "pooling": "max"}, {}),
    (LeNet5, (28, 28, 3), {"activation": "tanh", "pooling": "average"}, {"channels": 3}),
    (MLP, (5, 4, 3), {"hidden_units": (7, 6)}, {"image_shape": (3, 5, 4)}),
    (ResNet, (16, 16, 3), {"depth": 20, "width": 4, "stem": "cifar", "shortcut": "A", "num_classes": 7}, {}),
    (ResNet, (64, 64, 1), {"depth": 50, "width": 4, "num_classes": 7}, {"channels": 1}),
    (ResNet, (40, 40, 3), {"depth": 18, "width": 4, "version": "v1", "num_classes": 7}, {}),
    (
        VGG,
        (64, 32, 3),
        {"width": 4, "batch_normalization": True, "head_units": (9,), "num_classes": 7},
        {"image_shape": (3, 64, 32)},
    ),
    (VGG, (32, 32, 3), {"depth": 11, "width": 4, "head_units": (), "num_classes": 7}, {}),
]


def weights_of(network, shape):
    """Return the weights in the order in which the layers are called."""
    traced = tf.function(lambda images: network(images, training=False), autograph=False)
    captured = traced.get_concrete_function(tf.TensorSpec((None, *shape))).captured_inputs
    variables = {id(weight.value.handle): weight.numpy() for weight in network.weights}
    return [variables[id(handle)] for handle in captured if id(handle) in variables]


def different(rng, weight):
    """Return values for a weight that keep answers of a deep network moderate, and no two alike."""
    kind = weight.path.rpartition("/")[2]
    if kind == "kernel":
        return rng.normal(0, np.prod(weight.shape[:-1]) ** -0.5, weight.shape)
    if kind in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, weight.shape)
    return rng.normal(0, 0.2, weight.shape)


@pytest.mark.parametrize(("kind", "shape", "arguments", "more"), TWINS)
def test_pytorch_twins_compute_what_the_networks_compute(torch_networks, kind, shape, arguments, more):
    import torch

    rng = np.random.default_rng(0)
    images = rng.random((3, *shape), np.float32)
    network = kind(**arguments)
    network(images)
    network.set_weights([different(rng, weight) for weight in network.weights])
    twin = getattr(torch_networks, kind.__name__)(**arguments, **more).eval()
    weights = weights_of(network, shape)
    assert len(weights) == len(network.weights)
    torch_networks.copy_keras_weights(twin, weights)
    with torch.inference_mode():
        logits = twin(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    expected = network(images).numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    with pytest.raises(ValueError, match="arrays given"):
        torch_networks.copy_keras_weights(twin, weights[:-1])


@pytest.mark.parametrize(("kind", "shape", "arguments", "more"), [TWINS[3], TWINS[4], TWINS[6]])
def test_pytorch_twins_train_as_the_networks_do(torch_networks, kind, shape, arguments, more):
    """Statistics of the batch, and what becomes of the moving ones."""
    import torch

    rng = np.random.default_rng(0)
    images = rng.random((4, *shape), np.float32)
    network = kind(**arguments, dropout=0.0)
    network(images)
    twin = getattr(torch_networks, kind.__name__)(**arguments, **more, dropout=0.0).train()
    torch_networks.copy_keras_weights(twin, weights_of(network, shape))
    logits = twin(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).detach().numpy()
    np.testing.assert_allclose(logits, network(images, training=True).numpy(), atol=2e-3)
    moving = [module.running_mean.numpy() for module in twin.modules() if hasattr(module, "running_mean")]
    theirs = [weight.numpy() for weight in network.weights if weight.path.endswith("moving_mean")]
    np.testing.assert_allclose(moving[0], theirs[0], atol=1e-5)


@pytest.mark.parametrize(("kind", "shape", "arguments", "more"), TWINS)
def test_pytorch_twins_start_as_the_networks_do(torch_networks, kind, shape, arguments, more):
    network = kind(**arguments)
    network(np.zeros((1, *shape), np.float32))
    twin = torch_networks.initialize_like_keras(
        getattr(torch_networks, kind.__name__)(**arguments, **more), seed=0
    )
    targets = [tensor for layer in twin.modules() if isinstance(layer, torch_networks._LAYERS)
               for tensor in torch_networks._tensors(layer)]  # fmt: skip
    for ours, target in zip(weights_of(network, shape), targets, strict=True):
        theirs = target.detach().numpy()
        assert theirs.size == ours.size
        if ours.ndim == 1:
            np.testing.assert_array_equal(theirs, ours)
        elif ours.size > 200:
            assert np.abs(theirs).max() == pytest.approx(np.abs(ours).max(), rel=0.2)
            assert theirs.std() == pytest.approx(ours.std(), rel=0.2)


@pytest.mark.parametrize("name", ["lenet5", "mlp", "resnet20", "vgg16", "resnet50"])
def test_all_arms_train_the_same_network(torch_networks, in_benchmarks, name):
    """As many weights in plain Keras, the recipe's network and PyTorch, and as many normalisations."""
    import keras_networks
    import networks

    spec, recipe = networks.SPECS[name], networks.recipe(name)
    plain = keras_networks.network(name, 0.0)
    ours = recipe.model.build(num_classes=spec.num_classes, preprocessing=recipe.preprocessing.build())
    ours(keras.KerasTensor((None, *spec.shape), dtype="uint8"))
    twin = torch_networks.twin(name, 0.0)
    counts = [sum(np.prod(weight.shape) for weight in network.trainable_weights) for network in (plain, ours)]
    assert counts[0] == counts[1] == sum(weight.numel() for weight in twin.parameters())
    normalizations = [layer for layer in plain.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(normalizations) == sum(hasattr(module, "running_mean") for module in twin.modules())
    # Multiplications of a forward pass, as published, and those of the first layer, which learns no input.
    known = {"resnet20": (40.55e6, 32**2 * 432), "resnet50": (4089.2e6, 112**2 * 9408)}
    if name in known:
        forward, first = known[name]
        answer, update = (keras_networks.flop_per_sample(plain, training=kind) for kind in (False, True))
        assert answer == pytest.approx(2 * forward, rel=1e-3)
        assert update == pytest.approx(6 * forward - 2 * first, rel=1e-3)


def test_large_networks_have_few_variants(in_benchmarks):
    import training

    small, large = (training.choose_arms(name, list(training.ARMS)) for name in ("lenet5", "resnet20"))
    assert set(small) - set(large) == {"keras-best"}
    assert sum(len(arm.variants) for arm in large.values()) < sum(len(arm.variants) for arm in small.values())
    assert "torch-channels-last" not in training.choose_arms("mlp", list(training.ARMS))


def test_verdicts_on_inference(in_benchmarks, monkeypatch):
    import inference_table
    import networks

    names = ("n.float32.tflite", "n.int8.tflite", "PyTorch eager", "PyTorch compile")
    names += ("PyTorch compile channels-last",)
    found = [dict(zip(names, row, strict=True)) for row in ((2, 0.5, 1, 5, 4), (2, 0.5, 9, 5, 4.2))]
    middle = {name: sum(row[name] for row in found) / 2 for name in names}
    monkeypatch.setattr(inference_table.machine, "flags", lambda: {"avx512_vnni"})
    arguments = (names[:2], middle, found, networks.SPECS["resnet20"])
    best, exact, int8 = inference_table.verdicts(*arguments, 1)
    assert best == "Best artefact: n.int8.tflite, 8.20 (8.00 to 8.40) times PyTorch compile channels-last"
    assert exact.startswith("Best in float32: n.float32.tflite, 2.05 (")
    assert exact.endswith("required: 2, met")
    assert int8 == "n.int8.tflite: 4.00 (4.00 to 4.00) times n.float32.tflite; required: 3, met"
    found[0]["n.float32.tflite"] = found[1]["n.float32.tflite"] = 4
    assert inference_table.verdicts(*arguments, 32)[1].endswith("required: 1.05, NOT MET")
    monkeypatch.setattr(inference_table.machine, "flags", set)
    assert "required" not in inference_table.verdicts(*arguments, 32)[2]
