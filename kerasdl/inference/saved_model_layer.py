"""A SavedModel that others made, as a layer: its files lie in that of the network, and are checked first."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.inference import graph
from kerasdl.network.opaque import Opaque

#: What TensorFlow reads of a SavedModel.
_PARTS = ("saved_model.pb", "fingerprint.pb", "variables", "assets")
_MISSING = "The files of the SavedModel are missing in the file of this network, or damaged. Import it again."


@keras.saving.register_keras_serializable("kerasdl")
class SavedModelLayer(Opaque):
    """One signature of a SavedModel, with one of its outputs.

    Args:
        signature: name of the signature.
        output_name: name of the output.
        shape: shape of the output without the batch axis.
        **kwargs: arguments of `keras.layers.Layer`.

    Input: what the signature takes: a tensor, or tensors by the names of its inputs.
    Output: (batch_size, *shape), float32.
    """

    def __init__(self, *, signature: str, output_name: str, shape: Sequence[int | None], **kwargs):
        super().__init__(autocast=False, trainable=False, **kwargs)
        self.signature, self.output_name, self.shape = signature, output_name, tuple(shape)
        self._loaded = self._folder = self._refusal = None
        self.built = True

    def load(self, folder: Path) -> None:
        """Load the SavedModel in a folder, which has to stay there.

        Raises:
            UsageError: when it reaches beyond itself and is not trusted.
            RunFailedError: when it is damaged.
        """
        graph.check(folder)
        self._folder = folder
        self._loaded = tf.saved_model.load(str(folder))

    def call(self, inputs):
        if self._loaded is None:  # Keras asks for shapes before it has read the files
            batch = tf.shape(tf.nest.flatten(inputs)[0])[:1]
            with tf.control_dependencies([tf.debugging.Assert(False, [_MISSING])]):
                sizes = tf.concat([batch, [size or 1 for size in self.shape]], 0)
                return tf.ensure_shape(tf.zeros(sizes), (None, *self.shape))
        function = self._loaded.signatures[self.signature]
        specs = function.structured_input_signature[1]
        named = inputs if isinstance(inputs, Mapping) else dict.fromkeys(specs, inputs)
        given = {name: _cast(named[name], spec.dtype) for name, spec in specs.items()}
        return tf.ensure_shape(tf.cast(function(**given)[self.output_name], tf.float32), (None, *self.shape))

    def compute_output_spec(self, inputs):
        """Return shape and dtype of the output, which need no files."""
        return keras.KerasTensor((None, *self.shape), "float32")

    def resources(self) -> list[Any]:
        """Return what was loaded, if tables are in it; their files hang on it too."""
        if self._loaded is None:
            return []
        parts = tf.train.TrackableView(self._loaded).descendants()
        tables = [part for part in parts if isinstance(part, tf.saved_model.experimental.TrackableResource)]
        return [self._loaded] if tables else []

    def count_values(self) -> int:
        """Return the number of values in the variables of the signature."""
        if self._loaded is None:
            return 0
        variables = self._loaded.signatures[self.signature].variables
        return sum(int(np.prod(one.shape)) for one in variables)

    def save_assets(self, dir_path) -> None:
        """Copy the SavedModel; Keras calls it."""
        for name in _PARTS:
            part = self._folder / name
            if part.is_dir():
                shutil.copytree(part, Path(dir_path) / name)
            elif part.is_file():
                shutil.copyfile(part, Path(dir_path) / name)

    def load_assets(self, dir_path) -> None:
        """Load the SavedModel from a copy that lives as long as this layer; Keras calls it."""
        self._copy = tempfile.TemporaryDirectory(prefix="kerasdl-")
        shutil.copytree(dir_path, self._copy.name, dirs_exist_ok=True)
        try:
            self.load(Path(self._copy.name))
        except Exception as error:  # of which Keras would only tell that there was one
            self._refusal = error

    def check_loaded(self) -> None:
        if isinstance(self._refusal, UsageError | RunFailedError):
            raise self._refusal
        if self._loaded is None:
            raise RunFailedError(f"{_MISSING} ({self._refusal})" if self._refusal else _MISSING)

    def get_config(self):
        own = {"signature": self.signature, "output_name": self.output_name, "shape": list(self.shape)}
        config = {name: value for name, value in super().get_config().items() if name != "trainable"}
        return {**config, **own}


def _cast(value, dtype: tf.DType):
    return value if dtype == tf.string else tf.cast(value, dtype)
