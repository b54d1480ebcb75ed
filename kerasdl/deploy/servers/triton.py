"""Triton: a model repository of the ONNX files, and of the SavedModel for what these cannot hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasdl.deploy.description import Called, Content, Described, Tensor
from kerasdl.deploy.servers import images, tf_serving
from kerasdl.deploy.template import Templates
from kerasdl.errors import UsageError

_TEMPLATES = Templates(Path(__file__).parent / "templates")
_ONNX, _TENSORFLOW = "models", "models-tensorflow"
#: dtype -> Triton's name in a configuration, and in the V2 protocol.
_TYPES = {
    "bool": ("TYPE_BOOL", "BOOL"),
    "uint8": ("TYPE_UINT8", "UINT8"),
    "uint16": ("TYPE_UINT16", "UINT16"),
    "uint32": ("TYPE_UINT32", "UINT32"),
    "uint64": ("TYPE_UINT64", "UINT64"),
    "int8": ("TYPE_INT8", "INT8"),
    "int16": ("TYPE_INT16", "INT16"),
    "int32": ("TYPE_INT32", "INT32"),
    "int64": ("TYPE_INT64", "INT64"),
    "float16": ("TYPE_FP16", "FP16"),
    "float32": ("TYPE_FP32", "FP32"),
    "float64": ("TYPE_FP64", "FP64"),
    "string": ("TYPE_STRING", "BYTES"),
}


def generate(bundle: Described, out: Path) -> Mapping[str, Content]:
    """Return the model repositories, a model for each endpoint, and what starts and tries the server.

    Raises:
        UsageError: when the bundle holds nothing that Triton serves.
    """
    check(bundle)
    with_onnx = {endpoint: file for endpoint in bundle.endpoints if (file := bundle.onnx_file(endpoint))}
    others = [e for e in bundle.endpoints_of("saved_model") if e not in with_onnx and bundle.saved_model]
    files: dict[str, Content] = {}
    models = []
    for endpoint in (*with_onnx, *others):
        folder, alone = (_ONNX, len(with_onnx) == 1) if endpoint in with_onnx else (_TENSORFLOW, False)
        model = bundle.name if alone else f"{bundle.name}_{endpoint.name}"
        models.append((folder, model, endpoint))
        place = f"{folder}/{model}"
        files |= _model_files(bundle, model, endpoint, place, with_onnx.get(endpoint))
    values = {
        "bundle": bundle,
        "name": bundle.name,
        "slug": tf_serving.slug(bundle.name),
        "models": [(folder, model, endpoint.name) for folder, model, endpoint in models],
        "onnx": bool(with_onnx),
        "tensorflow": bool(others),
        "scalars": sorted({f"`{name}`" for _, _, endpoint in models for name in _scalars(endpoint)}),
        "image": images.TRITON,
        "tensorflow_image": images.TRITON_WITH_TENSORFLOW,
    }
    templates = {"README.md": "triton_README.md", "run.sh": "triton_run.sh"}
    asked = {model: _asked(endpoint) for folder, model, endpoint in models if folder == _ONNX}
    smoke = _TEMPLATES.fill({"smoke_test.py": "triton_smoke_test.py.jinja"}, {**values, "models": asked})
    return files | _TEMPLATES.fill(templates, values) | (smoke if asked else {})


def check(bundle: Described) -> None:
    """Raise a UsageError unless the bundle holds an ONNX file or a SavedModel, whose outputs are recorded."""
    if not bundle.saved_model and "onnx" not in bundle.files.values():
        raise UsageError(
            f"{bundle.folder} holds neither a SavedModel nor an ONNX file, as servers need it. Export the "
            "run with --formats saved_model,onnx."
        )
    if unknown := [endpoint.name for endpoint in bundle.endpoints if not endpoint.outputs]:
        raise UsageError(
            f"{bundle.folder} does not record the outputs of {', '.join(unknown)}: an earlier version of "
            "kerasdl made it. Export the run again."
        )


def _model_files(
    bundle: Described, model: str, endpoint: Called, place: str, onnx_file: str | None
) -> dict[str, Content]:
    """Return configuration and files of a model of the repository."""
    inputs = [_described(bundle, endpoint, tensor) for tensor in endpoint.inputs]
    outputs = [_described(bundle, endpoint, tensor) for tensor in endpoint.outputs]
    values = {
        "bundle": bundle,
        "model": model,
        "endpoint": endpoint,
        "inputs": inputs,
        "outputs": outputs,
        "sizes": bundle.batch_sizes,
        "signature": None if onnx_file else endpoint.name,
        # Zeros are no text and no picture.
        "is_warmed": all(tensor.dtype != "string" for tensor in endpoint.inputs),
    }
    files: dict[str, Content] = {**_TEMPLATES.fill({f"{place}/config.pbtxt": "config.pbtxt"}, values)}
    if any(output["is_of_labels"] for output in outputs):
        files[f"{place}/labels.txt"] = "".join(f"{label}\n" for label in bundle.labels)
    if onnx_file:
        return files | {f"{place}/{bundle.version}/model.onnx": bundle.folder / onnx_file}
    saved_model = f"{place}/{bundle.version}/model.savedmodel"
    return files | {f"{saved_model}/{file}": bundle.folder / file for file in bundle.saved_model}


def _described(bundle: Described, endpoint: Called, tensor: Tensor) -> dict[str, Any]:
    """Return a tensor as `config.pbtxt` has it. Triton knows no tensor of the batch axis alone."""
    axes = tensor.shape[1:] if endpoint.takes_batches else tensor.shape
    sizes = tuple(-1 if size is None else size for size in axes)
    scalar = not sizes
    example = endpoint.example_shape(tensor)[1:] if endpoint.takes_batches else endpoint.example_shape(tensor)
    return {
        "name": tensor.name,
        "kind": _type(tensor)[0],
        "dims": list(sizes or (1,)),
        "example": ", ".join(map(str, example or (1,))),
        "is_scalar": scalar,
        "is_of_labels": bool(bundle.labels) and sizes == (len(bundle.labels),) and tensor.dtype == "float32",
    }


def _scalars(endpoint: Called) -> list[str]:
    """Return the names of what is one number for each example."""
    return [tensor.name for tensor in (*endpoint.inputs, *endpoint.outputs) if len(tensor.shape) == 1]


def _asked(endpoint: Called) -> dict[str, Any]:
    """Return what a client of the V2 protocol has to know of a model."""
    return {
        part: {
            tensor.name: {
                "shape": list(endpoint.example_shape(tensor)[1:] or (1,)),
                "datatype": _type(tensor)[1],
            }
            for tensor in tensors
        }
        for part, tensors in (("inputs", endpoint.inputs), ("outputs", endpoint.outputs))
    }


def _type(tensor: Tensor) -> tuple[str, str]:
    if tensor.dtype not in _TYPES:
        raise UsageError(f"Triton has no type for {tensor.name}, which is {tensor.dtype}.")
    return _TYPES[tensor.dtype]
