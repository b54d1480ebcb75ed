"""A Keras model that was made elsewhere, as a network over raw examples."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasdl.files import hash_file
from kerasdl.layers import export_mode
from kerasdl.network.imported_parts import (
    ALL,
    LAYOUTS,
    OUTPUTS,
    Parts,
    activated_layers,
    opaque,
    parts_of_config,
    parts_of_file,
)
from kerasdl.network.network import Network
from kerasdl.private.keras import all_parts_of, in_safe_mode
from kerasdl.recipe import trust


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
    Output: logits (batch_size, num_classes) or numbers (batch_size, num_outputs), float32; of a model with
        outputs of its own a dict of these, floating-point ones as float32.
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
            parts = parts_of_file(file, num_classes or num_outputs)
        self.file = file
        self.backbone, self.head = parts.backbone, parts.head
        self.outputs_are, self.left_out = parts.outputs, parts.left_out
        self.inputs_are = tuple(map(tuple, parts.inputs))
        self.mean, self.std = tuple(parts.mean), tuple(parts.std)
        self.names = tuple(parts.names)
        self.num_classes, self.num_outputs = num_classes, num_outputs

    def build_on(self, inputs) -> None:
        """Make all weights, and leave out the last activation where it is one of the backbone's."""
        self(inputs)
        if self.left_out is not None:
            activated_layers(self.backbone)[self.left_out].activation = keras.activations.linear

    def forward(self, x, training=False):
        """Return the logits or numbers of preprocessed examples."""
        x = self.forward_features(x, training=training)
        if self.outputs_are == ALL:
            return {
                name: ops.cast(part, "float32") if keras.backend.is_float_dtype(part.dtype) else part
                for name, part in zip(self.names, keras.tree.flatten(x), strict=True)
            }
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
            "names": list(self.names),
        }
        counts = {"num_classes": self.num_classes, "num_outputs": self.num_outputs}
        return {**super().get_config(), "file": self.file, "parts": parts, **counts}

    @classmethod
    def from_config(cls, config):
        """Rebuild the model and the network around it."""
        return super().from_config({**config, "parts": parts_of_config(config["parts"], in_safe_mode())})


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
