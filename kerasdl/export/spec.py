"""What is exported: endpoints over one float32 network, and the samples they are checked with."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

ALL_FORMATS = ("saved_model", "tflite", "onnx")


@dataclasses.dataclass(frozen=True, eq=False)
class Endpoint:
    """One way to call an exported network.

    Attributes:
        name: the signature's name: "serving_default", "encode", ...
        function: takes one tensor per entry of `inputs`, in their order, and returns a dict of tensors. It
            accepts every dtype that a format may feed it (TFLite images are float32, the others uint8).
        inputs: input name -> `tf.TensorSpec` with an open batch axis.
        formats: the formats that have this endpoint (strings need a SavedModel).
    """

    name: str
    function: Callable[..., Mapping[str, Any]]
    inputs: Mapping[str, tf.TensorSpec]
    formats: tuple[str, ...] = ALL_FORMATS


@dataclasses.dataclass(frozen=True, eq=False)
class ExportSpec:
    """Everything a format needs to be written.

    Attributes:
        name: file stem of the artefacts: "lenet5".
        model: the built float32 network whose variables the endpoints use.
        endpoints: what can be called. All are verified, the first of each file on the whole test split.
        labels: class names in the order of the outputs; empty where there are none.
        calibration: real training samples for int8 ranges, for every endpoint that TFLite files have:
            endpoint name -> input name -> (N, ...).
    """

    name: str
    model: keras.Model
    endpoints: tuple[Endpoint, ...]
    labels: tuple[str, ...]
    calibration: Mapping[str, Mapping[str, np.ndarray]]
