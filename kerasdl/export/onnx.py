"""One endpoint to one ONNX file, in a few times the memory of its weights."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx

from kerasdl import environment
from kerasdl.errors import RunFailedError
from kerasdl.export.spec import ExportSpec
from kerasdl.inference import labels as label_text
from kerasdl.inference.endpoint import Endpoint, signature
from kerasdl.layers import export_mode, recurrent

OPSET = 18  # the newest that tf2onnx 1.17 writes


def write_onnx(spec: ExportSpec, endpoint: Endpoint, path: Path) -> None:
    """Write one endpoint: open batch axis "batch", inputs and outputs by name, labels in the metadata.

    Raises:
        RunFailedError: when it cannot be converted, or onnxruntime does not take the file.
    """
    variables = spec.model.variables
    names = [f"weight_{index}" for index in range(len(variables))]
    try:
        proto = _convert(endpoint, variables, names)
        onnx.checker.check_model(proto, full_check=True)  # with weights it takes several times their memory
        weights = _weights_used(proto.graph, dict(zip(names, variables, strict=True)))
        _name_batch_axis(proto.graph)
        properties = {"name": spec.name, "endpoint": endpoint.name, "labels": label_text.to_text(spec.labels)}
        onnx.helper.set_model_props(proto, properties)
        _save(proto, weights, path)
        onnx.checker.check_model(path)
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # three libraries, each with error types of its own
        path.unlink(missing_ok=True)
        reason = str(error).strip().split("\n")[0]
        raise RunFailedError(f"{type(error).__name__}: {reason[:500]}") from error


def _convert(endpoint: Endpoint, variables: Sequence[keras.Variable], names: Sequence[str]) -> Any:
    """Convert with the weights as inputs: of weights in a graph tf2onnx takes some 40 times the memory."""
    inputs = signature(endpoint)

    def stateless(*arguments):
        tensors, weights = arguments[: len(inputs)], arguments[len(inputs) :]
        with keras.StatelessScope(state_mapping=list(zip(variables, weights, strict=True))):
            return dict(endpoint.function(*tensors))

    weights = [tf.TensorSpec(v.shape, v.dtype, name) for v, name in zip(variables, names, strict=True)]
    function = tf.function(stateless, input_signature=[*inputs, *weights], autograph=False)
    notes = environment.quiet_logger("tf2onnx"), environment.quiet_logger("tensorflow")
    with notes[0], notes[1], export_mode.exporting("onnx"):
        with _inlined():
            function.get_concrete_function()
        proto, _ = tf2onnx.convert.from_function(
            function,
            input_signature=[*inputs, *weights],
            opset=OPSET,
            custom_op_handlers={"PyFunc": (_recurrent_operator, []), "Erfc": (_erfc_operator, [])},
        )
    return proto


@contextlib.contextmanager
def _inlined() -> Iterator[None]:
    """Let functions be traced as parts of those that call them.

    Keras has XLA compile convolutions in groups, and tf2onnx leaves the calls of such functions as they are.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _recurrent_operator(graph: Any, node: Any, name: str, arguments: Sequence[Any]) -> None:
    """Replace a placeholder of `kerasdl.layers.Recurrent` by ONNX's operator for all steps."""
    token = node.get_attr_str("token")
    if not token.startswith(recurrent.ONNX_TOKEN):
        raise RunFailedError("it calls back into Python, which no ONNX file can")
    cell, direction = token.removeprefix(recurrent.ONNX_TOKEN).split("/")
    units = graph.get_shape(node.input[2])[-1]
    steps, batch, _ = graph.get_shape(node.input[0])
    attributes = {"hidden_size": units, "direction": direction}
    if cell == "gru":
        attributes["linear_before_reset"] = 1
    inputs, outputs = list(node.input), list(node.output)
    shapes = [[steps, 1, batch, units], *[[1, batch, units]] * (len(outputs) - 1)]
    dtypes = node.output_dtypes
    graph.remove_node(node.name)
    graph.make_node(
        {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN"}[cell],
        inputs,
        attr=attributes,
        outputs=outputs,
        shapes=shapes,
        dtypes=dtypes,
        name=node.name,
    )


def _erfc_operator(graph: Any, node: Any, name: str, arguments: Sequence[Any]) -> None:
    """Write erfc(x), which the exact GELU has and tf2onnx does not know, as 1 - erf(x)."""
    given, outputs = node.input[0], list(node.output)
    dtype, shape = graph.get_dtype(outputs[0]), graph.get_shape(outputs[0])
    graph.remove_node(node.name)
    erf = graph.make_node("Erf", [given], shapes=[shape], dtypes=[dtype])
    one = graph.make_const(f"{name}_one", np.ones((), onnx.helper.tensor_dtype_to_np_dtype(dtype)))
    inputs = [one.output[0], erf.output[0]]
    graph.make_node("Sub", inputs, outputs=outputs, name=name, shapes=[shape], dtypes=[dtype])


def _weights_used(
    graph: onnx.GraphProto, variables: Mapping[str, keras.Variable]
) -> dict[str, keras.Variable]:
    """Return the inputs that are weights, but for those that nothing uses; they are no inputs any more."""
    used = _names_used(graph)
    inputs = [value for value in graph.input if value.name not in variables]
    weights = [value.name for value in graph.input if value.name in variables and value.name in used]
    del graph.input[:]
    graph.input.extend(inputs)
    return {name: variables[name] for name in weights}


def _save(proto: onnx.ModelProto, weights: Mapping[str, keras.Variable], path: Path) -> None:
    """Write a model with its weights as stored values, one after the other.

    In one piece the library holds four copies of them. Source: https://protobuf.dev/programming-guides/encoding/
    """
    graph = proto.graph.SerializeToString()
    proto.ClearField("graph")
    heads, size = {}, len(graph)
    for name, weight in weights.items():
        value = np.asarray(weight.numpy())
        dtype = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        head = onnx.TensorProto(name=name, dims=value.shape, data_type=dtype).SerializeToString()
        head += _field(onnx.TensorProto.RAW_DATA_FIELD_NUMBER, value.nbytes)
        heads[name] = _field(onnx.GraphProto.INITIALIZER_FIELD_NUMBER, len(head) + value.nbytes) + head
        size += len(heads[name]) + value.nbytes
    with path.open("wb") as file:
        file.write(proto.SerializeToString())
        file.write(_field(onnx.ModelProto.GRAPH_FIELD_NUMBER, size) + graph)
        for name, weight in weights.items():
            value = np.asarray(weight.numpy())
            file.write(heads[name])
            file.write(value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes())


def _field(number: int, size: int) -> bytes:
    """Return what stands before a field of `size` bytes in a protocol buffer."""
    found = bytearray([number << 3 | 2])
    while size > 127:
        found.append(size & 127 | 128)
        size >>= 7
    return bytes([*found, size])


def _names_used(graph: onnx.GraphProto) -> set[str]:
    """Return what nodes read, bodies of loops and branches included."""
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for node in graph.node:
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                used |= _names_used(body) if body.node else set()
    return used


def _name_batch_axis(graph: onnx.GraphProto) -> None:
    for value in (*graph.input, *graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if dimensions and not dimensions[0].HasField("dim_value"):
            dimensions[0].dim_param = "batch"
