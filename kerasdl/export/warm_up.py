"""Requests in a SavedModel that TF Serving answers before those of users, whose first ones it would delay.

TensorFlow allocates and plans at the first call with each batch size: TF Serving replays the file when it
loads a version, and makes it available afterwards. A request is a few bytes: one value stands for a tensor.
Reference: https://www.tensorflow.org/tfx/serving/saved_model_warmup
"""

import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from kerasdl.data.trees import map_leaves
from kerasdl.errors import RunFailedError
from kerasdl.export.references import References
from kerasdl.export.spec import ExportSpec
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.predictor import Predictor

_log = logging.getLogger(__name__)

FILE = "assets.extra/tf_serving_warmup_requests"
#: Batch sizes that are warmed, and that servers are told to pad requests to.
BATCH_SIZES = (1, 2, 4, 8, 16, 32)

_LENGTH = 16  # steps of a request where examples have any length
_MOST = 1000  # requests that TF Serving replays
_LARGEST = 2**28  # values in a tensor of a request: what is larger is not ours
_TEXT = b"some text"
_DEFAULT = "serving_default"  # Keras gives the first endpoint this name too


def write_warm_up(
    spec: ExportSpec, folder: Path, references: References, described: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Write the requests of all signatures of a SavedModel, but for those that a made-up text fails.

    Args:
        spec: what was exported.
        folder: the SavedModel.
        references: answers whether the network takes the inputs.
        described: the endpoints, as the card describes them.

    Returns:
        What the card tells of it: `batch_sizes`; nothing where there are no requests, and so no file.
    """
    _name_fixed_batches(described)
    endpoints = [endpoint for endpoint in spec.endpoints if "saved_model" in endpoint.formats]
    signatures = {endpoint.name: endpoint for endpoint in endpoints}
    signatures |= {} if _DEFAULT in signatures else {_DEFAULT: endpoints[0]}
    logs = []
    for name, endpoint in signatures.items():
        values = _values(endpoint, references)
        if not _is_taken(endpoint, values, references):
            continue
        for size in BATCH_SIZES:
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = spec.name, name
            for key, value in _tensors(endpoint, values, size).items():
                request.inputs[key].CopyFrom(value)
            logs.append(log.SerializeToString())
    if not logs:
        return {}
    (folder / FILE).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / FILE)) as writer:
        for log in logs[:_MOST]:
            writer.write(log)
    return {"batch_sizes": list(BATCH_SIZES)}


def replay(folder: Path, predictor: Predictor, *, largest: int = max(BATCH_SIZES)) -> int:
    """Answer the requests of a SavedModel as TF Serving does when it loads it.

    Args:
        folder: the SavedModel; one of an earlier version holds none.
        predictor: it, opened.
        largest: largest batch size to run; all are read. Defaults to all.

    Returns:
        The number of requests in the file.

    Raises:
        RunFailedError: when one cannot be read, asks for what is not there, or is not answered for each
            example of its batch.
    """
    requests = _read(folder) if (folder / FILE).is_file() else []
    for request in requests:
        name = request.model_spec.signature_name
        if name not in predictor.inputs:
            raise RunFailedError(f"{FILE} asks for {name!r}, which is not a signature of the SavedModel")
        size = _batch_size(request)
        if size > largest:
            continue
        try:
            outputs = predictor.call(
                name, {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            )
        except (RunFailedError, ValueError) as error:
            raise RunFailedError(f"{FILE}: {name} does not answer a batch of {size}: {error}") from error
        wrong = {key: value.shape for key, value in outputs.items() if value.shape[:1] != (size,)}
        if wrong:
            raise RunFailedError(f"{FILE}: {name} answers a batch of {size} by the shapes {wrong}")
    return len(requests)


def _name_fixed_batches(endpoints: Iterable[Mapping[str, Any]]) -> None:
    """Log which inputs and outputs have no open batch axis: no server can batch them."""
    for endpoint in endpoints:
        tensors = {**endpoint["inputs"], **endpoint["outputs"]}
        fixed = [name for name, tensor in tensors.items() if tensor["shape"][:1] != [None]]
        if fixed and "saved_model" in endpoint["formats"]:
            _log.warning(
                f"{endpoint['name']}: {', '.join(fixed)} has no open first axis, so that servers cannot "
                "answer several requests at once. Let the endpoint take and give (batch, ...)."
            )


def _read(folder: Path) -> list[predict_pb2.PredictRequest]:
    try:
        records = list(tf.data.TFRecordDataset(str(folder / FILE)).as_numpy_iterator())
        logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    except (tf.errors.OpError, DecodeError) as error:
        raise RunFailedError(f"{FILE} is damaged ({type(error).__name__})") from error
    if not logs:  # of a file without a whole record TensorFlow says nothing
        raise RunFailedError(f"{FILE} is damaged (it holds no request)")
    return [log.predict_log.request for log in logs]


def _batch_size(request: predict_pb2.PredictRequest) -> int:
    """Return the number of examples of a request, which a stranger may have written."""
    shapes = [[axis.size for axis in value.tensor_shape.dim] for value in request.inputs.values()]
    if not shapes or any(not shape or min(shape) < 1 or math.prod(shape) > _LARGEST for shape in shapes):
        raise RunFailedError(f"{FILE} holds a request with inputs of the shapes {shapes}")
    return shapes[0][0]


def _tensors(endpoint: Endpoint, values: Mapping[str, Any], size: int) -> dict[str, tensor_pb2.TensorProto]:
    """Return the inputs of a batch: a value and a shape each, as short as a protocol buffer can say it."""
    tensors = {}
    for name, spec in endpoint.inputs.items():
        length = endpoint.phone_length or _LENGTH
        shape = [size, *(length if axis is None else axis for axis in spec.shape[1:])]
        tensors[name] = tf.make_tensor_proto(values[name], spec.dtype)
        tensors[name].tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    return tensors


def _values(endpoint: Endpoint, references: References) -> dict[str, Any]:
    """Return the one value that stands for each input: 0, a text, or a black picture as a file."""
    values: dict[str, Any] = dict.fromkeys(endpoint.inputs, 0)
    texts = [name for name, spec in endpoint.inputs.items() if spec.dtype == tf.string]
    if texts:
        features, *_ = next(iter(references.batches()))
        inputs = endpoint.inputs_of(map_leaves(_blank, features), 0)
        values |= {name: inputs[name].flat[0] for name in texts}
    return values


def _blank(features: np.ndarray) -> np.ndarray:
    """Return one example that tells nothing of the data."""
    one = np.asarray(features)[:1]
    return np.zeros_like(one) if one.dtype.kind in "biuf" else np.full(one.shape, _TEXT, object)


def _is_taken(endpoint: Endpoint, values: Mapping[str, Any], references: References) -> bool:
    """Tell whether the network answers; it need not where it reads something in a text."""
    inputs = {name: tf.make_ndarray(value) for name, value in _tensors(endpoint, values, 1).items()}
    try:
        references.call(endpoint.name, inputs)
    except (tf.errors.OpError, ValueError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        _log.warning(f"TF Serving gets no warm-up requests for {endpoint.name}: {reason}")
        return False
    return True
