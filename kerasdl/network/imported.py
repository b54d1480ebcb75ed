"""A Keras model that was made elsewhere, as a network: raw examples in, logits or scaled numbers out."""

import contextlib
import dataclasses
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasdl.errors import UsageError
from kerasdl.files import hash_file, parsing
from kerasdl.layers import export_mode
from kerasdl.network.network import Network
from kerasdl.network.opaque import Opaque
from kerasdl.private.keras import all_parts_of, in_safe_mode
from kerasdl.recipe import keras_file, python_file, trust

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


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """A model taken apart.

    Attributes:
        backbone: the model, or all of it but the head.
        head: its last dense layer, without activation, where it can be taken apart; another number of classes
            replaces it. None where the backbone is all of it.
        outputs: what the model answers with, one of `OUTPUTS`: logits or probabilities of classes, one logit
            or probability of the second of two classes, or numbers.
        left_out: number of the layer of the backbone whose activation is left out, among those with one
            (`activated_layers`). None where none is.
        inputs: name, layout (one of `LAYOUTS`) and dtype of each input; the name of a single one is "".
        mean: mean of the targets, where these are numbers.
        std: standard deviation of the targets, likewise.
    """

    backbone: keras.Layer
    head: keras.layers.Dense | None = None
    outputs: str = "logits"
    left_out: int | None = None
    inputs: tuple[tuple[str, str, str], ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@keras.saving.register_keras_serializable("kerasdl")
class Imported(Network):
    """A Keras model of any kind, with what turns raw examples into its inputs and its outputs into ours.

    Networks of kerasdl answer with logits, or with numbers in standard deviations around the mean. A softmax
    or a sigmoid at the end of a model is left out, so that integer files hold it as well as those of other
    networks; where it cannot be, logarithms of the probabilities are logits too.

    Args:
        file: the `model.keras` of a run that `kerasdl import` made; its model is taken, without weights.
            Defaults to "": `parts` are given.
        parts: the model. Defaults to None: that of `file`.
        num_classes: number of classes. Defaults to None: not a classifier.
        num_outputs: number of numbers. Defaults to None: a classifier.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.

    Raises:
        UsageError: when the file is not one of `kerasdl import`, or the head cannot be replaced.

    Input: raw examples of the data.
    Output: logits (batch_size, num_classes) or numbers (batch_size, num_outputs), float32.
    """

    def __init__(
        self,
        *,
        file: str = "",
        parts: Parts | None = None,
        num_classes: int | None = None,
        num_outputs: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if parts is None:
            parts = _of_file(file, num_classes or num_outputs)
        self.file = file
        self.backbone, self.head = parts.backbone, parts.head
        self.outputs_are, self.left_out = parts.outputs, parts.left_out
        self.inputs_are = tuple(map(tuple, parts.inputs))
        self.mean, self.std = tuple(parts.mean), tuple(parts.std)
        self.num_classes, self.num_outputs = num_classes, num_outputs

    def build_on(self, inputs) -> None:
        """Make all weights, and leave out the last activation where it is one of the backbone's."""
        self(inputs)
        if self.left_out is not None:
            activated_layers(self.backbone)[self.left_out].activation = keras.activations.linear

    def forward(self, x, training=False):
        """Return the logits or numbers of preprocessed examples."""
        x = self.forward_features(x, training=training)
        if self.head is not None:
            x = self.head(x)
        x = OUTPUTS[self.outputs_are](ops.cast(x, "float32"))
        if self.std:
            x = (x - ops.convert_to_tensor(np.float32(self.mean))) / np.float32(self.std)
        return x

    def forward_features(self, x, training=False):
        """Return the inputs of the head; the outputs of the model where it has no head of its own."""
        with _suited(self.backbone):
            return self.backbone(self.arranged(x), training=training)

    def arranged(self, x):
        """Return what the model takes of preprocessed examples: in its own layout and dtype."""
        if not self.inputs_are:
            return x
        arranged = {
            name: _cast(LAYOUTS[layout](x[name] if isinstance(x, Mapping) else x), dtype)
            for name, layout, dtype in self.inputs_are
        }
        return arranged if isinstance(x, Mapping) else next(iter(arranged.values()))

    def resources(self) -> list[Any]:
        """Return the tables within layers of texts, which a SavedModel has to be told of."""
        layers = all_parts_of(self.backbone)
        found = [vars(layer).get("lookup_table") for layer in layers]
        tables = [table for table in found if table is not None]
        return tables + [part for layer in opaque(self) for part in layer.resources()]

    def count_params(self):
        """Return the number of weights, and of values in graphs that others made."""
        return super().count_params() + sum(layer.count_values() for layer in opaque(self))

    def save(self, filepath, *args, **kwargs):
        """Save the network; where it holds code, the file is trusted as the model was."""
        super().save(filepath, *args, **kwargs)
        if any(isinstance(layer, keras.layers.Lambda) for layer in all_parts_of(self)):
            trust.record(hash_file(Path(filepath)), Path(filepath))

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        parts = {
            "backbone": serialize(self.backbone),
            "head": serialize(self.head),
            "outputs": self.outputs_are,
            "left_out": self.left_out,
            "inputs": [list(one) for one in self.inputs_are],
            "mean": list(self.mean),
            "std": list(self.std),
        }
        counts = {"num_classes": self.num_classes, "num_outputs": self.num_outputs}
        return {**super().get_config(), "file": self.file, "parts": parts, **counts}

    @classmethod
    def from_config(cls, config):
        """Rebuild the model and the network around it."""
        return super().from_config({**config, "parts": _parts(config["parts"], in_safe_mode())})


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


@contextlib.contextmanager
def _suited(model: keras.Layer) -> Iterator[None]:
    """Let layers of Keras be traced so that files can hold them.

    Normalization keeps constants as tensors, which ONNX files would ask for as inputs. Recurrent layers go
    through lists of tensors, which TFLite's builtin operators lack: there each step is written out.
    """
    found = all_parts_of(model)
    for layer in found:
        if isinstance(layer, keras.layers.Normalization):
            for name in ("mean", "variance"):
                value = vars(layer).get(name)
                if tf.is_tensor(value) and not tf.is_symbolic_tensor(value):
                    setattr(layer, name, value.numpy())
    loops = [layer for layer in found if isinstance(layer, keras.layers.RNN) and not layer.unroll]
    loops = loops if export_mode.kind() == "tflite" else []
    for layer in loops:
        layer.unroll = True
    try:
        yield
    finally:
        for layer in loops:
            layer.unroll = False


def _cast(x, dtype: str):
    return x if dtype == "string" else ops.cast(x, dtype)


def _parts(config: Mapping[str, Any], safe_mode: bool) -> Parts:
    """Build the model that a network's `get_config` tells of, without weights."""
    built = {
        name: keras.saving.deserialize_keras_object(config[name], safe_mode=safe_mode)
        for name in ("backbone", "head")
    }
    return Parts(**{**config, **built})


def _of_file(file: str, wanted: int | None) -> Parts:
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
        parts = _parts(config["parts"], safe_mode)
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


#: Classes and functions of the user's `--custom` file, by registered name, as this process knows them.
_own: dict[str, Any] = {}


def own_objects(folder: Path | None = None) -> dict[str, Any]:
    """Return the classes and functions of custom code that models here may name.

    Args:
        folder: a run, whose copy of the code is read if it is trusted. Defaults to None.

    Raises:
        UsageError: when the code is not trusted.
    """
    file = None if folder is None else folder / "recipe.py"
    if file is not None and file.is_file():
        remember(python_file.objects_in(python_file.load_received(file)))
    return dict(_own)


def remember(objects: Mapping[str, Any]) -> None:
    """Let models name the classes and functions of custom code."""
    _own.update({keras.saving.get_registered_name(found): found for found in objects.values()})
