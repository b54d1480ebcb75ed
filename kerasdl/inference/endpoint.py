"""Endpoints: the ways to call a network or an exported file."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.dataset import Tree

if TYPE_CHECKING:
    import tensorflow as tf

ALL_FORMATS = ("saved_model", "tflite", "onnx")

#: Arrays (N, ...) by name.
Arrays = dict[str, np.ndarray]


def only_input(features: Tree, seed: int) -> Arrays:
    """Return features that are a dict as they are, others as the input `inputs`."""
    return dict(features) if isinstance(features, Mapping) else {"inputs": features}


def differences(expected: Arrays, actual: Arrays, targets: Tree) -> dict[str, float]:
    """Return the largest difference over all outputs, and the mean one of the output where it is largest.

    A difference is measured against the root mean square of the expected output, where that is above 1.
    """
    parts = [
        np.abs(np.asarray(value, np.float64) - actual[name]).ravel()
        / max(1.0, float(np.sqrt(np.square(value, dtype=np.float64).mean())))
        for name, value in expected.items()
        if value.dtype.kind in "fiub"
    ]
    if not parts:
        return {}
    return {
        "max_difference": max(float(part.max()) for part in parts),
        "mean_difference": max(float(part.mean()) for part in parts),
    }


def close(kind: str) -> dict[str, tuple[str, float]]:
    """Return the limits on `differences` by kind of file."""
    quantized = {"mean_difference": ("<=", 0.02)}
    return {
        "float16": {"max_difference": ("<=", 1e-2)},
        "dynamic": quantized,
        "int8": quantized,
        "int16x8": quantized,
    }.get(kind, {"max_difference": ("<=", 1e-5)})


@dataclasses.dataclass(frozen=True, eq=False)
class Endpoint:
    """One way to call an exported network, and all that is needed to check and to use it.

    Attributes:
        name: the signature's name: "serving_default", "encode", ...
        function: takes one tensor per entry of `inputs`, in their order, and returns a dict of tensors. It
            accepts every dtype that a format may feed it (TFLite images are float32, the others uint8).
        inputs: input name -> `tf.TensorSpec` with an open batch axis.
        formats: the formats that have this endpoint (strings need a SavedModel).
        inputs_of: takes raw features (N, ...), an array or arrays by name, and a seed for what it draws;
            returns the inputs by name.
        compare: takes expected outputs, actual outputs and targets; returns figures by name.
        tolerances: takes the kind of a file (saved_model, float32, float16, dynamic, int8, int16x8, onnx);
            returns the limits on figures of `compare` by name: ("<=" or ">=", limit).
        judge: takes the answers (`kerasdl.inference.answers.Answers`) to a whole split and returns the few
            figures that a bundle keeps of each file; None where the task's figures are not about this
            endpoint.
        reads: takes what `kerasdl predict` is given, a path or a text, and returns one raw example; it raises
            a UsageError for what it cannot read. None where `predict` has to be given arrays.
        describe: takes outputs and returns what `predict` tells of each example.
        example: an argument of `kerasdl predict` to show in READMEs: "some.png"; "" where `reads` is None.
        derived: outputs that follow from the others. TFLite files leave them out, as MediaPipe's classifiers
            take scores alone; `kerasdl.load` works them out.
    """

    name: str
    function: Callable[..., Mapping[str, Any]]
    inputs: Mapping[str, "tf.TensorSpec"]
    formats: tuple[str, ...] = ALL_FORMATS
    inputs_of: Callable[[Tree, int], Arrays] = only_input
    compare: Callable[[Arrays, Arrays, Tree], dict[str, float]] = differences
    tolerances: Callable[[str], dict[str, tuple[str, float]]] = close
    judge: Callable[[Any], dict[str, Any]] | None = None
    reads: Callable[[str], Tree] | None = None
    describe: Callable[[Arrays], Sequence[Mapping[str, Any]]] | None = None
    example: str = ""
    derived: tuple[str, ...] = ()


def figure_of(row: Mapping[str, Any], name: str) -> Any:
    """Return a figure of a file's row: of its comparison, or else of the task's judgement; None without."""
    return row.get(name, row.get("evaluation", {}).get(name))


def signature(endpoint: Endpoint) -> "list[tf.TensorSpec]":
    """Return the inputs of an endpoint in order, each with the name it has in every format."""
    import tensorflow as tf

    return [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in endpoint.inputs.items()]
