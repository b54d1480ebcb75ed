"""Opens one exported file in its own runtime; all answer in the same way."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl import environment
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.inference import graph
from kerasdl.inference import labels as label_text
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.predictor import InputSpec, Predictor
from kerasdl.inference.worker.script import signature_inputs

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


class EndpointPredictor(Predictor):
    """Endpoints of a Keras network, called in this process: what every artefact is compared with.

    Args:
        path: where the network came from, for messages.
        endpoints: what can be called.
        labels: class names.
        network: the network itself. Defaults to None: the endpoints alone are known.
    """

    kind = "keras"

    def __init__(
        self,
        path: Path,
        endpoints: Sequence[Endpoint],
        labels: tuple[str, ...],
        network: "keras.Model | None" = None,
    ):
        import tensorflow as tf

        from kerasdl.inference.endpoint import signature

        self._functions = {
            endpoint.name: tf.function(
                endpoint.function, input_signature=signature(endpoint), autograph=False
            )
            for endpoint in endpoints
        }
        inputs = {
            endpoint.name: {
                name: (tuple(spec.shape.as_list()), spec.dtype.name) for name, spec in endpoint.inputs.items()
            }
            for endpoint in endpoints
        }
        super().__init__(path, labels, inputs)
        self.network = network

    def _run(self, endpoint, inputs):
        import tensorflow as tf

        outputs = self._functions[endpoint](*(tf.constant(inputs[name]) for name in self.inputs[endpoint]))
        return {name: value.numpy() for name, value in outputs.items()}


class SavedModelPredictor(Predictor):
    """A SavedModel in TensorFlow."""

    kind = "saved_model"

    def __init__(self, path: Path):
        import tensorflow as tf

        self._model = tf.saved_model.load(str(path))
        self._signatures = self._model.signatures
        labels = path / label_text.FILE_NAME
        super().__init__(
            path,
            label_text.from_text(labels.read_text(encoding="utf-8")) if labels.is_file() else (),
            {name: signature_inputs(function) for name, function in self._signatures.items()},
        )
        self.outputs = {
            name: {output: _spec_of(spec) for output, spec in function.structured_outputs.items()}
            for name, function in self._signatures.items()
        }

    def _run(self, endpoint, inputs):
        import tensorflow as tf

        outputs = self._signatures[endpoint](**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}


class TFLitePredictor(Predictor):
    """A .tflite file in LiteRT's interpreter. A file that takes one example is run once for each.

    Inputs and outputs that a file has as quantized whole numbers are real numbers here; the classes that
    scores stand for, which files leave out, are worked out.

    Args:
        path: the file.
        num_threads: threads of its kernels; None leaves it to the interpreter.
    """

    kind = "tflite"

    def __init__(self, path: Path, num_threads: int | None = None):
        from ai_edge_litert.interpreter import Interpreter

        from kerasdl.inference import tflite_file

        with environment.quiet(show_on_error=False):  # it announces its delegate; errors it raises
            self._interpreter = Interpreter(str(path), num_threads=num_threads)
            self._interpreter.allocate_tensors()
        names = self._interpreter.get_signature_list()
        self._runners = {name: self._interpreter.get_signature_runner(name) for name in names}
        # Asked for once: that takes longer than a call of a small network.
        stored_inputs = {name: runner.get_input_details() for name, runner in self._runners.items()}
        stored_outputs = {name: runner.get_output_details() for name, runner in self._runners.items()}
        self._whole_inputs = {name: _quantized_of(stored) for name, stored in stored_inputs.items()}
        self._whole_outputs = {name: _quantized_of(stored) for name, stored in stored_outputs.items()}
        inputs = {name: _tflite_inputs(stored) for name, stored in stored_inputs.items()}
        super().__init__(path, tflite_file.read_labels(path), inputs)
        self.outputs = {name: _tflite_outputs(stored) for name, stored in stored_outputs.items()}

    def as_stored(self, endpoint: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Check inputs, and return them as the tensors of the file: whole numbers where it is quantized."""
        return self._quantized(endpoint, self._prepare(endpoint, inputs))

    def as_real(self, endpoint: str, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return outputs as real numbers where the file stores whole ones for them."""
        whole = {
            name: _dequantized(outputs[name], details)
            for name, details in self._whole_outputs[endpoint].items()
        }
        return {**outputs, **whole}

    def _quantized(self, endpoint: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        whole = {
            name: _quantized(inputs[name], details) for name, details in self._whole_inputs[endpoint].items()
        }
        return {**inputs, **whole}

    def _run(self, endpoint, inputs):
        runner, inputs = self._runners[endpoint], self._quantized(endpoint, inputs)
        batch_size = len(next(iter(inputs.values())))
        if batch_size == 1 or not self.one_by_one(endpoint):
            outputs = runner(**inputs)
        else:
            rows = [
                runner(**{name: value[index : index + 1] for name, value in inputs.items()})
                for index in range(batch_size)
            ]
            outputs = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        outputs = self.as_real(endpoint, outputs)
        if "probabilities" in outputs and "class_ids" not in outputs:
            outputs["class_ids"] = outputs["probabilities"].argmax(-1).astype(np.int32)
        return outputs


class OnnxPredictor(Predictor):
    """An .onnx file in onnxruntime, on the CPU."""

    kind = "onnx"

    def __init__(self, path: Path, num_threads: int | None = None):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads or 0
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        properties = self._session.get_modelmeta().custom_metadata_map
        inputs = {value.name: _onnx_spec(value) for value in self._session.get_inputs()}
        labels = label_text.from_text(properties.get("labels", ""))
        endpoint = properties.get("endpoint", "serving_default")
        super().__init__(path, labels, {endpoint: inputs})
        self.outputs = {endpoint: {value.name: _onnx_spec(value) for value in self._session.get_outputs()}}

    def _run(self, endpoint, inputs):
        names = list(self.outputs[endpoint])
        return dict(zip(names, self._session.run(names, inputs), strict=True))


_SUFFIXES = {".tflite": TFLitePredictor, ".onnx": OnnxPredictor}


def open_artifact(path: str | Path, *, num_threads: int | None = None) -> Predictor:
    """Open a bundle's folder (its SavedModel), a .tflite file or an .onnx file in its own runtime.

    Args:
        path: what to open.
        num_threads: threads of the TFLite or ONNX runtime; None leaves it to the runtime.

    Raises:
        UsageError: when there is no such artefact, or a SavedModel reaches beyond itself and is not trusted.
        RunFailedError: when it cannot be opened.

    Example:
        >>> open_artifact("exported/lenet5/1/lenet5.onnx").predict(images)["probabilities"]
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(f"There is no {path}.")
    if path.is_dir() and not (path / "saved_model.pb").is_file():
        files = sorted(file.name for file in path.iterdir() if file.suffix in _SUFFIXES)
        hint = f"Give one of the files in it: {', '.join(files)}" if files else "Export the run again"
        raise UsageError(f"{path} holds no SavedModel (saved_model.pb). {hint}.")
    if path.is_file() and path.suffix not in _SUFFIXES:
        raise UsageError(
            f"{path} is not an exported model. Give a bundle's folder, a .tflite or an .onnx file."
        )
    if path.is_dir():
        graph.check(path)
    try:
        if path.is_dir():
            return SavedModelPredictor(path)
        return _SUFFIXES[path.suffix](path, num_threads)
    except Exception as error:  # each runtime has error types of its own
        reason = str(error).strip().split("\n")[0]
        raise RunFailedError(
            f"{path} is damaged and cannot be opened ({reason}). Export it again."
        ) from error


def _spec_of(spec: "tf.TensorSpec") -> InputSpec:
    return tuple(spec.shape.as_list()) if spec.shape.rank is not None else (None,), spec.dtype.name


def _tflite_inputs(stored: Mapping[str, Mapping]) -> dict[str, InputSpec]:
    return {name: _tflite_spec(details) for name, details in stored.items()}


def _tflite_outputs(stored: Mapping[str, Mapping]) -> dict[str, InputSpec]:
    found = {name: _tflite_spec(details) for name, details in stored.items()}
    if "probabilities" in found and "class_ids" not in found:
        found["class_ids"] = found["probabilities"][0][:-1], "int32"
    return found


def _tflite_spec(details: Mapping[str, Any]) -> InputSpec:
    shape = tuple(None if size == -1 else int(size) for size in details["shape_signature"])
    return shape, "float32" if _is_quantized(details) else np.dtype(details["dtype"]).name


def _is_quantized(details: Mapping[str, Any]) -> bool:
    """Tell whether a tensor of a .tflite file holds whole numbers that stand for real ones."""
    return np.dtype(details["dtype"]).kind in "iu" and bool(details["quantization"][0])


def _quantized_of(stored: Mapping[str, Mapping]) -> dict[str, Mapping]:
    return {name: details for name, details in stored.items() if _is_quantized(details)}


def _quantized(value: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    (scale, zero_point), limits = details["quantization"], np.iinfo(details["dtype"])
    return np.clip(np.rint(value / scale) + zero_point, limits.min, limits.max).astype(details["dtype"])


def _dequantized(value: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    scale, zero_point = details["quantization"]
    return ((value.astype(np.float32) - zero_point) * scale).astype(np.float32)


def _onnx_spec(value: Any) -> InputSpec:
    dtype = value.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    return shape, {"float": "float32", "double": "float64"}.get(dtype, dtype)
