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
_MODELS = frozenset({"Functional", "Model", "Sequential"})
#: Arguments that Keras 2 wrote for layers that no longer take them, and the values that say nothing.
_SILENT: dict[str, tuple[Any, ...]] = {
    "time_major": (False,), "groups": (1,), "output_padding": (None,), "trainable": (True,),
    "noise_shape": (None,), "softmax_robust_masking": (False,),
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
        if isinstance(layers := kept.get("layers"), list):
            models = {str(one.get("name")) for one in layers if one.get("class_name") in _MODELS}
            kept["layers"] = [
                {**one, "inbound_nodes": _counted_anew(one.get("inbound_nodes", []), models)}
                for one in layers
            ]
            ends = {name: kept[name] for name in ("input_layers", "output_layers") if name in kept}
            kept |= {name: _only(_counted_anew(part, models)) for name, part in ends.items()}
        kind = vars(keras.layers).get(str(kept.get("class_name")))
        if isinstance(kind, type) and isinstance(kept.get("config"), Mapping):
            kept["config"] = _arguments(kind, kept["config"])
        return kept
    return [as_keras_3_takes_it(part) for part in document] if isinstance(document, list) else document


def _arguments(kind: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return those arguments of a layer that it takes, or that say something."""
    taken = inspect.signature(kind.__init__).parameters
    kept = {
        name: value
        for name, value in config.items()
        if name in taken or not (name in _UNUSED or value in _SILENT.get(name, ()))
    }
    if kind is keras.layers.BatchNormalization and isinstance(axis := kept.get("axis"), list):
        kept["axis"] = axis[0]  # of several it has none
    return kept


def _only(ends: Any) -> Any:
    """Return the only input or output without the list around it, which Keras 3 would give a list for."""
    return ends[0] if isinstance(ends, list) and len(ends) == 1 else ends


def _counted_anew(nodes: Any, models: Collection[str]) -> Any:
    """Return nodes with calls of inner models counted from 0; in Keras 2 the first was their own."""
    if isinstance(nodes, Mapping):
        return {name: _counted_anew(part, models) for name, part in nodes.items()}
    if not isinstance(nodes, list):
        return nodes
    if len(nodes) >= 3 and isinstance(nodes[0], str) and nodes[0] in models and isinstance(nodes[1], int):
        return [nodes[0], max(0, nodes[1] - 1), *(_counted_anew(part, models) for part in nodes[2:])]
    return [_counted_anew(part, models) for part in nodes]


def mend(model: keras.Model) -> None:
    """Put functions of Keras 2 in the place of those of Keras 3 with the same name and other values."""
    for layer in all_parts_of(model):
        for name in ("activation", "recurrent_activation"):
            if vars(layer).get(name) is keras.activations.hard_sigmoid:
                setattr(layer, name, hard_sigmoid_of_keras_2)
