"""A tiny network, and how its files are opened: what the tests of exports share."""

import dataclasses

import keras

from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.export import bundle as bundles
from kerasdl.inference.runtimes import open_artifact
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.tasks.classification.task import Classification

LABELS = ("cat", "great dane", "emu")
DATA = DataSpec(Spec((8, 8, 1), "uint8"), Spec((), "int32", LABELS))
ENDPOINTS = {endpoint.name: endpoint for endpoint in Classification().endpoints(None, DATA, {})}
FILES = (
    "saved_model.pb",
    "tiny.float32.tflite",
    "tiny.float16.tflite",
    "tiny.dynamic.tflite",
    "tiny.int8.tflite",
    "tiny.onnx",
)
ASKED = {field.name for field in dataclasses.fields(bundles.Files)}
TOLERANCE = {"float16": 1e-2, "dynamic": 3e-2, "int8": 5e-2}


class Tiny(keras.Model):
    """Convolution and two dense layers over raw images; some 9,000 weights."""

    def __init__(self):
        super().__init__()
        self.preprocess = ImagePreprocessing()
        self.conv = keras.layers.Conv2D(4, 3, activation="relu")
        self.norm = keras.layers.BatchNormalization()
        self.flatten = keras.layers.Flatten()
        self.hidden = keras.layers.Dense(60, activation="relu")
        self.head = keras.layers.Dense(3)

    def call(self, images, training=False):
        x = self.norm(self.conv(self.preprocess(images)), training=training)
        return self.head(self.hidden(self.flatten(x)))


def opened(bundle, file, **arguments):
    return open_artifact(bundle.path if file == "saved_model.pb" else bundle.path / file, **arguments)


def changed(spec, **changes):
    """Return a spec with other properties of all its endpoints."""
    endpoints = tuple(dataclasses.replace(endpoint, **changes) for endpoint in spec.endpoints)
    return dataclasses.replace(spec, endpoints=endpoints)
