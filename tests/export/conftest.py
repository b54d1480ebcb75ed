"""One bundle of a tiny network, with every file, for all tests of exports."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.export import bundle as bundles
from kerasdl.export.spec import ExportSpec
from kerasdl.export.tflite import Converter
from kerasdl.inference import labels
from kerasdl.tasks.classification.task import Classification
from tests.export.tiny import ASKED, DATA, LABELS, Tiny


@pytest.fixture(scope="package")
def images():
    return np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)


@pytest.fixture(scope="package")
def batches(images):
    classes = np.arange(40, dtype=np.int32) % 3
    return lambda: ((images[i : i + 16], classes[i : i + 16], None) for i in range(0, 40, 16))


@pytest.fixture(scope="package")
def spec(images):
    keras.utils.set_random_seed(0)
    model = Tiny()
    model(images[:1])
    endpoints = Classification().endpoints(model, DATA, {})
    representative = {"serving_default": {"images": images[:20]}}
    return ExportSpec("tiny", model, endpoints, LABELS, representative, labels.assets(DATA))


@pytest.fixture(scope="package")
def expected(spec, images):
    return tf.nn.softmax(spec.model(images)).numpy()


@pytest.fixture(scope="package")
def converter():
    with Converter() as converter:
        converter.start()
        yield converter


@pytest.fixture(scope="package")
def write(spec, batches, converter):
    def write(root, spec=spec, **arguments):
        asked = {name: arguments.pop(name) for name in list(arguments) if name in ASKED}
        defaults = {"batches": batches, "converter": converter, "info": {}}
        return bundles.write_bundle(spec, root=root, files=bundles.Files(**asked), **(defaults | arguments))

    return write


@pytest.fixture(scope="package")
def bundle(write, images, tmp_path_factory):
    info = {"recipe": {"name": "tiny"}, "data": {}, "metrics": {}}
    samples = {"features": images[:4], "targets": np.arange(4)}
    return write(tmp_path_factory.mktemp("exported"), info=info, samples=samples)


@pytest.fixture
def copy(bundle, tmp_path):
    return Path(shutil.copytree(bundle.path, tmp_path / "copy"))
