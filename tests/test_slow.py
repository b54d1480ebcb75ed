"""What takes minutes: the promised accuracies on real data, and the wheel. Run with `pytest -m slow`."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kerasdl
from kerasdl.cli import main
from kerasdl.data.text.phrases import Phrases
from kerasdl.data.tfds.builder import open_builder
from kerasdl.errors import UsageError
from kerasdl.recipe import catalog

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


def test_lenet5_on_digits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "lenet5", "--data", "digits", "--no-export"]) == 0
    metrics = json.loads((tmp_path / "runs/lenet5/1/metrics.json").read_text())
    assert metrics["test"]["accuracy"] >= 0.985


# What a pipeline needs besides the digits, which are 8x8 and of ten classes.
_FLAGS = {
    "char_lm": ("--units", "64"),
    "flow": ("--widths", "16,32"),
    "transfer": ("--classes", "none"),
    "resnet50": ("--crop", "1", "--batch-size", "16"),
}


#: Pipelines that take minutes or gigabytes, or differ little from others.
_LARGE = (
    "alexnet", "autoencoder", "bilstm_attention", "cvae", "flow", "googlenet", "gru", "iwae", "resnet18",
    "resnet50", "vgg16", "wgan_gp",
)  # fmt: skip


#: Pipelines of texts and series; what they train on by default comes with the package.
_OF_OTHER_DATA = ("char_lm", "dlinear", "forecast", "nlinear", "tagger")


@pytest.mark.parametrize(
    "pipeline",
    [
        pytest.param(name, marks=pytest.mark.large) if name in _LARGE else name
        for name in sorted(catalog.names())
    ],
)
def test_a_pipeline_goes_through_every_stage_at_its_own_size(pipeline, tmp_path, monkeypatch, capsys):
    """Six files, each verified."""
    monkeypatch.chdir(tmp_path)
    data = () if pipeline in _OF_OTHER_DATA else ("--data", "digits")
    assert main(["train", pipeline, *data, "--dry-run", *_FLAGS.get(pipeline, ())]) == 0
    output = capsys.readouterr().out
    assert "Dry run passed" in output and all(kind in output for kind in ("saved_model", "int8", ".onnx"))


@pytest.fixture(scope="module")
def mnist_bundle(tmp_path_factory):
    """LeNet-5 after three epochs on MNIST, as a bundle; its folder."""
    try:
        open_builder("mnist", download=False)
    except UsageError as error:
        pytest.skip(f"needs MNIST: {error}")
    folder = tmp_path_factory.mktemp("mnist")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "lenet5", "--epochs", "3"]) == 0
    return folder / "exported/lenet5/1"


def test_lenet5_on_mnist(mnist_bundle):
    figures = json.loads((mnist_bundle / "card.json").read_text())["metrics"]["test"]
    assert figures["examples"] == 10_000
    assert figures["accuracy"] >= 0.985


@pytest.mark.parametrize(
    ("file", "figure", "lowest", "highest"),
    [
        ("lenet5.float32.tflite", "max_difference", 0, 1e-5),
        ("lenet5.onnx", "max_difference", 0, 1e-5),
        ("lenet5.float16.tflite", "max_difference", 0, 1e-2),
        ("lenet5.int8.tflite", "accuracy_change", -0.002, 1),
    ],
)
def test_files_of_mnist_answer_as_keras_does(mnist_bundle, file, figure, lowest, highest):
    rows = json.loads((mnist_bundle / "card.json").read_text())["artefacts"]
    (row,) = [row for row in rows if row["file"] == file]
    assert lowest <= row[figure] <= highest
    assert row["evaluation"]["examples"] == 10_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of this checkout, unpacked; the checkout itself stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns(".*", "*.egg-info", "build", "__pycache__")
    made = {
        str(ROOT / name) for name in ("runs", "searches", "exported")
    }  # not the package's folder of a name

    def ignored(path, names):
        return unwanted(path, names) | {name for name in names if str(Path(path) / name) in made}

    shutil.copytree(ROOT, folder / "copy", ignore=ignored)
    # setuptools and wheel come with TensorFlow: no isolated build, which would need the network.
    options = ["--no-deps", "--no-build-isolation", "--no-index", "-w", "built"]
    command = [sys.executable, "-m", "pip", "wheel", "./copy", *options]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (file,) = (folder / "built").glob("kerasdl-*.whl")
    zipfile.ZipFile(file).extractall(folder / "unpacked")
    return folder / "unpacked"


def test_wheel_holds_pipelines_and_spaces(wheel):
    shipped = {path.relative_to(ROOT / "kerasdl") for path in (ROOT / "kerasdl").rglob("*.py")}
    for name in ("pipelines", "tuning"):
        shipped |= {path.relative_to(ROOT) for path in (ROOT / name).glob("*.py")}
    assert {path.relative_to(wheel / "kerasdl") for path in (wheel / "kerasdl").rglob("*.py")} == shipped
    assert {Path("pipelines/lenet5.py"), Path("pipelines/mlp.py"), Path("tuning/__init__.py")} <= shipped


def test_wheel_works_in_an_empty_folder(wheel, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(wheel)}

    def run(*arguments):
        ran = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert Path(run("-c", "import kerasdl; print(kerasdl.__file__)").strip()).parent == wheel / "kerasdl"
    assert "lenet5" in run("-m", "kerasdl", "list")
    run("-m", "kerasdl", "train", "mlp", "--data", "digits", "--epochs", "1", "--no-export")
    assert (tmp_path / "runs/mlp/1/model.keras").is_file()


def python_of(version):
    """Return the interpreter of a version that is really there, or skip: shims may stand for none."""
    name = f"python{version}"
    for folder in os.get_exec_path():
        path = shutil.which(name, path=folder)
        tried = path and subprocess.run([path, "--version"], capture_output=True, text=True)
        if tried and tried.returncode == 0 and tried.stdout.startswith(f"Python {version}."):
            return path
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}"))
    return str(found[-1]) if found else pytest.skip(f"{name} is not on this machine")


@pytest.mark.large
@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_first_command_of_the_readme_in_a_fresh_environment(version, wheel, tmp_path):
    """Installs what README says, from this checkout's own files, into an environment of another Python."""
    python = python_of(version)
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}

    def run(*arguments):
        return subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert run(python, "-m", "venv", "env").returncode == 0
    installed = run("env/bin/pip", "install", "-q", wheel.parent / "copy")
    if "No matching distribution" in installed.stderr or "Temporary failure" in installed.stderr:
        pytest.skip(f"the package index has not what is needed: {installed.stderr[-300:]}")
    assert installed.returncode == 0, installed.stderr[-2000:]
    (line,) = (
        line
        for line in (ROOT / "README.md").read_text().splitlines()
        if line.startswith("pip install -e . &&")
    )
    trained = run(*shlex.split(line.partition("&& ")[2].replace("kerasdl", "env/bin/kerasdl")))
    assert trained.returncode == 0, trained.stderr[-2000:]
    card = json.loads((tmp_path / "exported/lenet5/1/card.json").read_text())
    assert len(card["artefacts"]) == 6
    metrics = json.loads((tmp_path / "runs/lenet5/1/metrics.json").read_text())
    assert metrics["test"]["accuracy"] >= 0.98


MEDIAPIPE_TEXT = """
import json, sys
from mediapipe.tasks.python.text import TextClassifier

with TextClassifier.create_from_model_path(sys.argv[1]) as classifier:
    for text in json.load(sys.stdin):
        (head,) = classifier.classify(text).classifications
        print(json.dumps({found.category_name: found.score for found in head.categories}))
"""

MEDIAPIPE = """
import json, sys
import mediapipe
from mediapipe.tasks.python import vision
from mediapipe.tasks.python.core.base_options import BaseOptions

model, *images = sys.argv[1:]
options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=model), max_results=-1)
with vision.ImageClassifier.create_from_options(options) as classifier:
    for image in images:
        (head,) = classifier.classify(mediapipe.Image.create_from_file(image)).classifications
        print(json.dumps({found.category_name: found.score for found in head.categories}))
"""


@pytest.fixture(scope="module")
def mediapipe(tmp_path_factory):
    """MediaPipe Tasks, from the package index, in an environment of its own; its Python."""
    folder = tmp_path_factory.mktemp("mediapipe")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    if subprocess.run([folder / "bin/python", "-m", "pip", "install", "-q", "mediapipe>=0.10.30"]).returncode:
        pytest.skip("mediapipe cannot be installed here")
    return folder / "bin/python"


def test_mediapipe_answers_texts_as_keras_does(mediapipe, tmp_path, monkeypatch):
    """Raw texts, with signs and cases that are not in the vocabulary as they are."""
    monkeypatch.chdir(tmp_path)
    phrases = Phrases().load().train
    rows = zip(phrases.features[:400], phrases.targets[:400], strict=True)
    lines = ["text,label", *(f'"The film wasn\'t dull: {text}...",{("bad", "good")[y]}' for text, y in rows)]
    (tmp_path / "x.csv").write_text("\n".join(lines), encoding="utf-8")
    flags = ["--epochs", "3", "--units", "8", "--embedding-size", "8", "--max-length", "20", "--no-export"]
    assert main(["train", "lstm", "--data", "x.csv", *flags]) == 0
    assert main(["export", "runs/lstm/1", "--tflite-unroll", "--tflite-modes", "float32,dynamic"]) == 0
    texts = [
        "The film wasn't dull: a GOOD film",
        "... The FILM, -- good?!\u2028",
        "",
        "wasnt dull\n" * 30,
        "caf\u00e9",
    ]
    for mode in ("float32", "dynamic"):
        path = tmp_path / f"exported/lstm/1/lstm.{mode}.tflite"
        command = [mediapipe, "-c", MEDIAPIPE_TEXT, path]
        ran = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        found = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
        file = kerasdl.load(path)
        given = [[scores[label] for label in file.labels] for scores in found]
        expected = file.predict(np.array(texts, object))["probabilities"]
        np.testing.assert_allclose(given, expected, atol=1e-5)
        assert np.ptp(expected[:, 0]) > 1e-3


def test_mediapipe_classifies_with_our_labels_and_scores(mediapipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for name, color in (("night", 40), ("noon", 200), ("dusk", 120)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(30):
            pixels = draw.normal((color, color / 2, 90), 40, (32, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    command = [
        "train",
        "mlp",
        "--data",
        "photos",
        "--epochs",
        "3",
        "--batch-size",
        "16",
        "--hidden-units",
        "8",
    ]
    assert main([*command, "--image-size", "32,32", "--channels", "3"]) == 0
    files = [str(path) for path in sorted((tmp_path / "photos").glob("*/1*.png"))[::5]]
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    for mode in ("float32", "int8"):
        path = tmp_path / f"exported/mlp/1/mlp.{mode}.tflite"
        ran = subprocess.run([mediapipe, "-c", MEDIAPIPE, path, *files], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        found = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
        expected = kerasdl.load(path).predict(images)["probabilities"]
        labels = kerasdl.load(path).labels
        given = [[scores[label] for label in labels] for scores in found]
        np.testing.assert_allclose(given, expected, atol=1e-5)
