"""A Keras model taken apart: what an imported network is made of, and read from its file."""

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasdl.errors import UsageError
from kerasdl.files import parsing
from kerasdl.network.opaque import Opaque
from kerasdl.network.own_objects import own_objects
from kerasdl.private.keras import all_parts_of
from kerasdl.recipe import keras_file

#: How a tensor of an example becomes the one that a model takes.
LAYOUTS = {
    "same": lambda x: x,
    "without_channel": lambda x: ops.squeeze(x, -1),  # (B, H, W, 1) to (B, H, W)
    "with_axis": lambda x: ops.expand_dims(x, -1),  # (B,) to (B, 1)
    "flat": lambda x: ops.reshape(x, (-1, int(np.prod(x.shape[1:])))),
    "channels_first": lambda x: ops.moveaxis(x, -1, 1),
}
_LEAST = 1e-30  # probability; its logarithm is finite in float32

#: What the outputs of a model are -> how they become what the tasks work with.
OUTPUTS = {
    "logits": lambda y: y,
    "probabilities": lambda y: ops.log(ops.maximum(y, _LEAST)),
    "logit": lambda y: ops.concatenate([ops.zeros_like(y), y], axis=-1),
    "probability": lambda y: ops.log(ops.maximum(ops.concatenate([1 - y, y], axis=-1), _LEAST)),
    "numbers": lambda y: y,
}
ALL = "all"  # outputs, by name, as they are


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """A model taken apart.

    Attributes:
        backbone: the model, or all of it but the head.
        head: its last dense layer, without activation, where it can be taken apart; another number of classes
            replaces it. None where the backbone is all of it.
        outputs: what the model answers with, one of `OUTPUTS`: logits or probabilities of classes, one logit
            or probability of the second of two classes, or numbers; `ALL` for outputs of its own.
        left_out: number of the layer of the backbone whose activation is left out, among those with one
            (`activated_layers`). None where none is.
        inputs: name, layout (one of `LAYOUTS`) and dtype of each input; the name of a single one is "".
        mean: mean of the targets, where these are numbers.
        std: standard deviation of the targets, likewise.
        names: names of all outputs in the order of `keras.tree`, where these are `ALL`.
    """

    backbone: keras.Layer
    head: keras.layers.Dense | None = None
    outputs: str = "logits"
    left_out: int | None = None
    inputs: tuple[tuple[str, str, str], ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    names: tuple[str, ...] = ()


def parts_of_config(config: Mapping[str, Any], safe_mode: bool) -> Parts:
    """Build the model that a network's `get_config` tells of, without weights."""
    built = {
        name: keras.saving.deserialize_keras_object(config[name], safe_mode=safe_mode)
        for name in ("backbone", "head")
    }
    return Parts(**{**config, **built})


def parts_of_file(file: str, wanted: int | None) -> Parts:
    """Return the model in a file, without weights.

    Args:
        file: path of the file.
        wanted: number of outputs; None for as many as it has.
    """
    path = Path(file)
    if not file or not path.is_file():
        raise UsageError(
            f"There is no {file or 'file of the network to train'}. Give the run that kerasdl import made: "
            "kerasdl train runs/my_model/1 --file runs/my_model/1/model.keras"
        )
    with zipfile.ZipFile(path) as archive, parsing(path, "Import the model again.", UsageError):
        document = json.loads(archive.read("config.json"))
    if document.get("registered_name") != "kerasdl>Imported":
        raise UsageError(f"{path} was not made by kerasdl import. Import it first: kerasdl import {path}")
    policy = keras.config.dtype_policy().name
    if policy != "float32":
        raise UsageError(
            f"--precision {policy} has no effect on an imported network: its layers compute in float32. "
            "Leave it out."
        )
    names = own_objects(path.parent)
    safe_mode, config = keras_file.check(path, document, names), document["config"]
    with keras.saving.custom_object_scope(names):
        parts = parts_of_config(config["parts"], safe_mode)
    if opaque(parts.backbone):
        raise UsageError(
            f"The model of {file} came as a SavedModel: a graph without the layers it was made of, which "
            "cannot be trained. Import the .keras file that it was exported from."
        )
    count = config["num_classes"] or config["num_outputs"]
    if wanted in (None, count):
        return parts
    if parts.head is None:
        raise UsageError(
            f"The model of {file} has {count} outputs, the data {wanted}, and its last layer is not a dense "
            f"one that could be replaced. Give data with {count} classes, or change the model in Keras."
        )
    head = keras.layers.Dense(wanted, name=parts.head.name, dtype="float32")
    return dataclasses.replace(parts, head=head, outputs="logits" if config["num_classes"] else "numbers")


def opaque(model: keras.Layer) -> list[Opaque]:
    """Return the layers of a model that cannot be trained: graphs that others made."""
    return [layer for layer in all_parts_of(model) if isinstance(layer, Opaque)]


def check_opaque(model: keras.Layer) -> None:
    """Check that a model that was read from a file has all it calls; see `Opaque.check_loaded`."""
    for layer in opaque(model):
        layer.check_loaded()


def activated_layers(model: keras.Layer) -> list[keras.Layer]:
    """Return the layers of a model that have an activation of their own, in order of creation."""
    return [layer for layer in all_parts_of(model) if callable(vars(layer).get("activation"))]
