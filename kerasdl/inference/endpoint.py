"""What a network, or a file that was made of it, can be asked."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

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


def signature(endpoint: Endpoint) -> list[tf.TensorSpec]:
    """Return the inputs of an endpoint in order, each with the name it has in every format."""
    return [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in endpoint.inputs.items()]
