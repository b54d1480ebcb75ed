"""One version of a model, opened by the runtime that was asked for."""

import dataclasses
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from kerasdl.errors import RunFailedError, UsageError, did_you_mean
from kerasdl.inference.predictor import InputSpec, Predictor
from kerasdl.inference.runtimes import open_artifact

#: What `--engine` takes: which file of a version answers.
ENGINES = (
    "saved_model", "onnx", "tflite", "tflite:float32", "tflite:float16", "tflite:dynamic", "tflite:int8",
    "tflite:int16x8",
)  # fmt: skip
_PREDICT = "tensorflow/serving/predict"


@dataclasses.dataclass(frozen=True, eq=False)
class Signature:
    """One way to call a model.

    Attributes:
        name: "serving_default", ...
        inputs: shape (None where open) and dtype by name.
        outputs: likewise.
        merges: whether examples of several requests may go through it in one call: they are rows of every
            input and output, and no output's length depends on its neighbours.
    """

    name: str
    inputs: Mapping[str, InputSpec]
    outputs: Mapping[str, InputSpec]
    merges: bool


class Engine:
    """A model that answers.

    Attributes:
        kind: "saved_model", "tflite" or "onnx".
        path: what was opened.
        labels: class names; empty where there are none.
        signatures: by name.
        definitions: the same as TensorFlow's protocol describes it, with the names that the file has.
        parallel: whether several threads may call it at once.
    """

    def __init__(self, predictor: Predictor, path: Path):
        self._predictor = predictor
        self.kind, self.path, self.labels = predictor.kind, path, predictor.labels
        self.parallel = predictor.kind != "tflite"  # an interpreter has one set of tensors
        self.signatures = {name: _signature(predictor, name) for name in predictor.inputs}
        self.definitions = _definitions(self.signatures, path)

    def call(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run a signature on inputs of its shapes and dtypes; returns the outputs by name."""
        outputs = self._predictor.call(signature, inputs)
        return {name: outputs[name] for name in self.signatures[signature].outputs}

    def warm_up(self, batch_sizes: tuple[int, ...]) -> None:
        """Call the first signature on zeros, so that the first request does not pay for it."""
        name = self._predictor.default_endpoint
        specs = self.signatures[name].inputs
        if any(dtype == "string" for _, dtype in specs.values()):
            return  # an empty text is fine, an empty picture is none
        for size in batch_sizes:
            shapes = {key: (size, *(1 if axis is None else axis for axis in shape[1:]))
                      for key, (shape, _) in specs.items()}  # fmt: skip
            try:
                self.call(name, {key: np.zeros(shapes[key], dtype) for key, (_, dtype) in specs.items()})
            except Exception:  # zeros need not be an example: what matters is what requests get
                return


def file_of(folder: Path, engine: str) -> Path:
    """Return which file of a version folder an engine opens; the folder itself is the SavedModel.

    Raises:
        UsageError: when there is none, or several.
    """
    if folder.is_file():
        return folder
    kind, _, mode = engine.partition(":")
    if kind == "saved_model":
        return folder
    files = sorted(folder.glob(f"*.{kind}"))
    if kind == "tflite":
        wanted = [file for file in files if file.name.endswith(f".{mode or 'float32'}.tflite")]
        files = wanted or (files if not mode else [])
    if len(files) > 1:
        names = [file for file in files if file.stem == folder.parent.name]
        files = names or files
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise UsageError(f"{folder} has to hold one file for --engine {engine}; it holds {found}.")
    return files[0]


def check_engine(engine: str) -> None:
    """Raise a UsageError for an unknown `--engine`."""
    if engine not in ENGINES:
        raise UsageError(
            f"--engine is {engine!r}; it takes one of {', '.join(ENGINES)}." + did_you_mean(engine, ENGINES)
        )


def open_engine(path: Path, num_threads: int | None = None) -> Engine:
    """Open a SavedModel's folder, a .tflite or an .onnx file.

    A file is read from a copy that nobody else can change: a runtime that maps it would die with whoever
    writes into it.

    Raises:
        UsageError: when a SavedModel reaches beyond itself and is not trusted.
        RunFailedError: when it cannot be opened.
    """
    if path.is_dir():
        return Engine(open_artifact(path), path)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copyfile(path, Path(folder) / path.name))
        try:
            predictor = open_artifact(copy, num_threads=num_threads)
        except (UsageError, RunFailedError) as error:
            raise type(error)(str(error).replace(str(copy), str(path))) from error
        predictor.path = path
        return Engine(predictor, path)


def _signature(predictor: Predictor, name: str) -> Signature:
    inputs, outputs = dict(predictor.inputs[name]), dict(sorted(predictor.outputs[name].items()))
    if predictor.one_by_one(name):  # it takes one example a call, and is called for each
        inputs = {key: ((None, *shape[1:]), dtype) for key, (shape, dtype) in inputs.items()}
        outputs = {key: ((None, *shape[1:]), dtype) for key, (shape, dtype) in outputs.items()}
    specs = [*inputs.values(), *outputs.values()]
    rows = all(shape[:1] == (None,) for shape, _ in specs)
    # Lengths that the graph works out itself, such as of texts, are those of the longest in a batch.
    told = all(None not in shape[1:] for shape, _ in outputs.values())
    return Signature(name, inputs, outputs, merges=bool(inputs) and rows and told)


def _definitions(signatures: Mapping[str, Signature], path: Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    if path.is_dir():
        model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
        return dict(model.meta_graphs[0].signature_def)
    return {
        name: meta_graph_pb2.SignatureDef(
            inputs={key: _info(key, spec) for key, spec in signature.inputs.items()},
            outputs={key: _info(key, spec) for key, spec in signature.outputs.items()},
            method_name=_PREDICT,
        )
        for name, signature in signatures.items()
    }


def _info(name: str, spec: InputSpec) -> meta_graph_pb2.TensorInfo:
    shape, dtype = spec
    info = meta_graph_pb2.TensorInfo(name=name, dtype=enum_of(dtype))
    for size in shape:
        info.tensor_shape.dim.add(size=-1 if size is None else size)
    return info


def enum_of(dtype: str) -> int:
    """Return the number of a dtype in TensorFlow's protocol: "float32" -> DT_FLOAT."""
    import tensorflow as tf

    return tf.as_dtype(dtype).as_datatype_enum


def name_of(enum: int) -> str:
    """Return the name of a dtype in TensorFlow's protocol: DT_FLOAT -> "float"."""
    return types_pb2.DataType.Name(enum).removeprefix("DT_").lower()
