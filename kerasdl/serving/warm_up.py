"""Calls a model before it is served: by the requests that its bundle brings, else on zeros."""

from pathlib import Path

from kerasdl.serving import tensors
from kerasdl.serving.engine import Engine

_FILE = "assets.extra/tf_serving_warmup_requests"
_MOST = 1000  # requests, as TensorFlow Serving takes
_LARGEST = 2**28  # bytes of a tensor


def warm_up(engine: Engine, folder: Path, batch_sizes: tuple[int, ...]) -> None:
    """Call a model as TensorFlow Serving does before it serves it; what fails is passed over.

    Args:
        engine: the opened model.
        folder: its version folder, or its one file.
        batch_sizes: numbers of examples to call with, where the folder brings no requests.
    """
    file = folder / _FILE
    if not file.is_file():
        engine.warm_up(batch_sizes)
        return
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    try:
        for record in tf.data.TFRecordDataset(str(file)).take(_MOST).as_numpy_iterator():
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            name = request.model_spec.signature_name or "serving_default"
            inputs = {key: tensors.array_of_proto(proto, _LARGEST) for key, proto in request.inputs.items()}
            engine.call(name, inputs)
    except Exception:  # a model that cannot answer its warm-up may well answer its requests
        return
