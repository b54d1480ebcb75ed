"""A process with TensorFlow but neither Keras nor kerasdl: converts to TFLite, runs files.

`kerasdl.inference.worker.client.Worker` starts this file as a script and talks to it over its pipes. A
crash here ends no training run, and what runs here needs no line of this package.
"""

import copy
import ctypes
import os
import pickle
import platform
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

_loaded: dict[str, Any] = {}  # the SavedModel that `call` and `durations` use


def convert(
    source: str,
    target: str,
    mode: str,
    signatures: list[str],
    calibration: Mapping[str, Mapping[str, np.ndarray]] | None,
    io: str = "float32",
) -> None:
    """Convert signatures of a SavedModel to one TFLite file of builtin operators, and run it once.

    Args:
        source: folder of the SavedModel.
        target: path of the file.
        mode: "float32", "float16", "dynamic", "int8" or "int16x8".
        signatures: names of the signatures to keep.
        calibration: real inputs (N, ...) by signature and name, for the integer modes.
        io: type of inputs and outputs of an int8 file: "float32", "uint8" or "int8".
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(source, signature_keys=signatures)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if mode != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if mode in ("int8", "int16x8"):
        loaded = tf.saved_model.load(source).signatures
        inputs = {key: signature_inputs(loaded[key]) for key in signatures}
        del loaded  # a second copy of the weights
        converter.representative_dataset = lambda: _one_by_one(calibration, inputs)
    if mode == "int16x8":
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
            tf.lite.OpsSet.TFLITE_BUILTINS,
        ]
        quantize = converter._quantize
        converter._quantize = lambda model, *rest: quantize(with_own_buffers(model), *rest)
    if mode == "int8" and io != "float32":
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(io)
    content = converter.convert()
    _run_once(content, signatures)
    Path(target).write_bytes(content)


def with_own_buffers(content: bytes) -> bytes:
    """Give each tensor of a TFLite file a buffer of its own.

    Signatures share their weights, and the converter's quantizer of int16x8 quantizes a shared buffer once
    for each of them: the weights are wrong after the second time. Equal buffers are merged afterwards.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    model, taken = flatbuffer_utils.convert_bytearray_to_object(content), set()
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors):
        if tensor.buffer in taken and model.buffers[tensor.buffer].data is not None:
            model.buffers.append(copy.copy(model.buffers[tensor.buffer]))
            tensor.buffer = len(model.buffers) - 1
        taken.add(tensor.buffer)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def load(path: str) -> dict[str, dict[str, tuple[tuple, str]]]:
    """Load a SavedModel; return the shape and dtype of each input by signature and name."""
    import tensorflow as tf

    _loaded["model"] = tf.saved_model.load(path)  # the signatures die with it
    _loaded["signatures"] = _loaded["model"].signatures
    return {key: signature_inputs(function) for key, function in _loaded["signatures"].items()}


def call(endpoint: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run one signature of the loaded SavedModel."""
    import tensorflow as tf

    outputs = _loaded["signatures"][endpoint](**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}


def durations(
    endpoint: str, inputs: Mapping[str, np.ndarray], seconds: float, calls: int | None
) -> list[float]:
    """Return the seconds of each call of the loaded SavedModel; see `time_calls`."""
    return time_calls(lambda: call(endpoint, inputs), seconds, calls)


def compiled(path: str, endpoint: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a signature of a .tflite file in LiteRT's CompiledModel, example by example.

    Args:
        path: the file.
        endpoint: the signature.
        inputs: an array (N, ...) for each input name, of the dtype that the file stores.
    """
    from ai_edge_litert.compiled_model import CompiledModel

    model = CompiledModel.from_file(path)
    sizes = model.get_input_tensor_details(endpoint)
    for name, value in inputs.items():
        if [1, *value.shape[1:]] != list(sizes[name]["shape"]):  # an open length
            model.resize_input_tensor_by_name(endpoint, name, [1, *value.shape[1:]])
    details = model.get_output_tensor_details(endpoint)
    given = {name: model.create_input_buffer_by_name(endpoint, name) for name in inputs}
    taken = {name: model.create_output_buffer_by_name(endpoint, name) for name in details}
    rows = []
    for index in range(len(next(iter(inputs.values())))):
        for name, value in inputs.items():
            given[name].write(np.ascontiguousarray(value[index : index + 1]))
        model.run_by_name(endpoint, given, taken)
        rows.append(
            {
                name: taken[name]
                .read(int(np.prod(one["shape"])), np.dtype(one["dtype"]))
                .reshape(one["shape"])
                for name, one in details.items()
            }
        )
    return {name: np.concatenate([row[name] for row in rows]) for name in details}


def signature_inputs(function) -> dict[str, tuple[tuple, str]]:
    """Return the shape (None where open) and the dtype of each input of a SavedModel's signature."""
    specs = function.structured_input_signature[1]
    return {name: (tuple(spec.shape.as_list()), spec.dtype.name) for name, spec in specs.items()}


def time_calls(run: Callable[[], Any], seconds: float, calls: int | None = None) -> list[float]:
    """Return the seconds of each call, warm, over about `seconds`: one call at least, at most `calls`."""
    for _ in range(3):
        run()
    durations = []
    end = time.perf_counter() + seconds
    while (calls is None or len(durations) < calls) and (not durations or time.perf_counter() < end):
        start = time.perf_counter()
        run()
        durations.append(time.perf_counter() - start)
    return durations


def _one_by_one(
    samples: Mapping[str, Mapping[str, np.ndarray]], inputs: Mapping[str, Mapping[str, tuple[tuple, str]]]
) -> Iterator[tuple[str, dict]]:
    """Yield (signature, inputs of one example), signature after signature."""
    for signature, specs in inputs.items():
        values = {name: samples[signature][name].astype(dtype) for name, (_, dtype) in specs.items()}
        for index in range(len(next(iter(values.values())))):
            yield signature, {name: value[index : index + 1] for name, value in values.items()}


def _run_once(content: bytes, signatures: list[str]) -> None:
    """Run each signature on zeros: a file that brings its interpreter down must do so here."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    for signature in signatures:
        runner = interpreter.get_signature_runner(signature)
        details = runner.get_input_details()
        runner(**{name: np.zeros(np.maximum(d["shape"], 1), d["dtype"]) for name, d in details.items()})


def _reason(error: Exception) -> str:
    """Return the useful lines of an error; those of the converter are pages long."""
    missing = sorted(set(re.findall(r"'tf\.(\w+)' op is neither a custom op nor a flex op", str(error))))
    if missing:
        return (
            f"it needs operators that phones do not have ({', '.join(missing)}). Compute that part outside "
            "and give the endpoint its result as an input, or leave this format out"
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:500] if lines else 'no message'}"


def _give_back() -> None:
    """Give freed memory back to the system, which glibc does not by itself."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def _main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    for module in ("keras", "tf_keras", "kerasdl"):
        sys.modules[module] = None  # importing them raises ModuleNotFoundError
    import tensorflow as tf  # the slow part, done before anything is asked

    if len(sys.argv) > 1:  # its pools are made with the first operation, and stay as they are
        tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))
        tf.config.threading.set_inter_op_parallelism_threads(int(sys.argv[1]))
    commands = {function.__name__: function for function in (convert, load, call, durations, compiled)}
    while True:
        try:
            command, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:  # the parent is gone
            return
        try:
            answer = (True, commands[command](**arguments))
        except Exception as error:
            answer = (False, _reason(error))
        pickle.dump(answer, answers)
        answers.flush()
        del answer, arguments
        _give_back()


if __name__ == "__main__":
    _main()
