"""Opens SavedModels of anybody: a signature becomes a model of Keras. Their operators are checked first."""

from pathlib import Path

import keras
import tensorflow as tf

from kerasdl.errors import RunFailedError, UsageError, did_you_mean
from kerasdl.inference import graph
from kerasdl.inference.saved_model_layer import SavedModelLayer
from kerasdl.training.foreign.files import Opened

_DEFAULT = "serving_default"


def open_model(path: Path, signature: str = "", output: str = "") -> Opened:
    """Open one signature of a SavedModel as a model of Keras.

    Args:
        path: its folder.
        signature: name of the signature. Defaults to "": "serving_default", or the only one.
        output: name of the output. Defaults to "": the only one.

    Raises:
        UsageError: when it reaches beyond itself and is not trusted, or has no such signature.
        RunFailedError: when it is damaged.
    """
    graph.check(path)
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:  # whatever TensorFlow raises
        reason = " ".join(str(error).split())[:300]
        raise RunFailedError(f"TensorFlow cannot open {path}: {type(error).__name__}: {reason}") from error
    signature = _signature(path, loaded.signatures, signature)
    function = loaded.signatures[signature]
    specs = function.structured_input_signature[1]
    for name, spec in specs.items():
        _check_input(path, name, spec)
    output = _output(path, function.structured_outputs, output)
    shape = function.structured_outputs[output].shape
    given = {
        name: keras.Input(spec.shape[1:], dtype=spec.dtype.name, name=name) for name, spec in specs.items()
    }
    layer = SavedModelLayer(
        signature=signature, output_name=output, shape=(None,) if shape.rank is None else tuple(shape[1:])
    )
    layer.load(path)
    inputs = given if len(given) > 1 else next(iter(given.values()))
    return Opened(path, keras.Model(inputs, layer(inputs)), "float32")


def _signature(path: Path, found, wanted: str) -> str:
    names = sorted(found)
    if not names:
        raise UsageError(
            f"{path} has no signatures, so that nobody can tell how it is called. Save it with one: "
            "tf.saved_model.save(module, folder, signatures=module.call.get_concrete_function(...))"
        )
    if not wanted and (_DEFAULT in names or len(names) == 1):
        return _DEFAULT if _DEFAULT in names else names[0]
    if wanted not in names:
        what = f"no signature {wanted!r}" if wanted else "several signatures"
        near = did_you_mean(wanted, names) if wanted else ""
        raise UsageError(f"{path} has {what}. Give --signature with one of {', '.join(names)}.{near}")
    return wanted


def _output(path: Path, found, wanted: str) -> str:
    shown = ", ".join(f"{name} {one.shape}" for name, one in sorted(found.items()))
    if not wanted and len(found) == 1:
        return next(iter(found))
    if wanted not in found:
        what = f"no output {wanted!r}" if wanted else "several outputs"
        raise UsageError(f"{path} has {what}. Give --output with one of {shown}.")
    return wanted


def _check_input(path: Path, name: str, spec: tf.TensorSpec) -> None:
    if spec.shape.rank is None:
        raise UsageError(
            f"The input {name} of {path} has no shape. Save it with one: tf.TensorSpec([None, 224, 224, 3])."
        )
    if not spec.shape.rank or spec.shape[0] is not None:
        raise UsageError(
            f"The input {name} of {path} has shape {spec.shape}: it takes no batches of any size. Save it "
            "with an open first axis: tf.TensorSpec([None, ...])."
        )
