"""Files of Keras 2: the arguments of its layers that Keras 3 no longer takes, and what cannot be read."""

import inspect
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import keras

from kerasdl.errors import UsageError
from kerasdl.layers.hard_sigmoid import hard_sigmoid_of_keras_2
from kerasdl.private.keras import all_parts_of

ADVICE = "Save it there as .h5, which can be read: model.save('my_model.h5')."
OTHERWISE = (
    "where that one is installed, save a SavedModel, which can be exported: "
    "tf.saved_model.save(model, 'my_model')."
)
#: Layers that Keras 2 made of functions of TensorFlow.
_FUNCTIONS = frozenset({"ClassMethod", "InstanceMethod", "SlicingOpLambda", "TFOpLambda"})
#: Layers that give something else in Keras 3, or that it does not have.
_OTHERS = frozenset({"RandomCrop", "ThresholdedReLU"})
#: Arguments that Keras 2 wrote for layers that no longer take them, and the values that say nothing.
_SILENT: dict[str, tuple[Any, ...]] = {
    "time_major": (False,), "groups": (1,), "output_padding": (None,), "trainable": (True,),
    "noise_shape": (None,),
}  # fmt: skip
#: The same, whatever they say: a depthwise kernel has arguments of its own, shapes come with the inputs.
_UNUSED = (
    "kernel_initializer", "kernel_regularizer", "kernel_constraint", "query_shape", "key_shape",
    "value_shape", "rng_type",
)  # fmt: skip


def wrote(version: str) -> bool:
    """Tell whether a version of Keras is one before 3."""
    return bool(version) and numbers(version) < (3,)


def numbers(version: str) -> tuple[int, ...]:
    """Return the first two numbers of a version."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def check(path: Path, kinds: Collection[str]) -> None:
    """Refuse a model of Keras 2 with layers that Keras 3 does not have as they were.

    Args:
        path: its file, for the message.
        kinds: names of the classes of its layers.

    Raises:
        UsageError: names them.
    """
    if found := sorted(_FUNCTIONS & set(kinds)):
        raise UsageError(
            f"{path} was built in Keras 2 with functions of TensorFlow between its layers "
            f"({', '.join(found)}), which Keras 3 cannot read. Build the model anew in Keras 3, with "
            f"keras.ops in their place, load its weights and save it as .keras; or {OTHERWISE}"
        )
    if found := sorted(_OTHERS & set(kinds)):
        raise UsageError(
            f"{path} was built in Keras 2 with {', '.join(found)}, which Keras 3 does not have or which "
            f"gives something else there. Build the model anew without, or {OTHERWISE}"
        )


def as_keras_3_takes_it(document: Any) -> Any:
    """Return a configuration without arguments that Keras 3 no longer takes, where they say nothing."""
    if isinstance(document, Mapping):
        kept = {name: as_keras_3_takes_it(part) for name, part in document.items()}
        kind = vars(keras.layers).get(str(kept.get("class_name")))
        if isinstance(kind, type) and isinstance(kept.get("config"), Mapping):
            taken = inspect.signature(kind.__init__).parameters
            kept["config"] = {
                name: value
                for name, value in kept["config"].items()
                if name in taken or not (name in _UNUSED or value in _SILENT.get(name, ()))
            }
        return kept
    return [as_keras_3_takes_it(part) for part in document] if isinstance(document, list) else document


def mend(model: keras.Model) -> None:
    """Put functions of Keras 2 in the place of those of Keras 3 with the same name and other values."""
    for layer in all_parts_of(model):
        for name in ("activation", "recurrent_activation"):
            if vars(layer).get(name) is keras.activations.hard_sigmoid:
                setattr(layer, name, hard_sigmoid_of_keras_2)
