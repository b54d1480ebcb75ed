"""The answers of the network that was trained, taken from memory: where every proof of its files begins."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasdl.data.dataset import Dataset
from kerasdl.data.passes import split_batches
from kerasdl.data.trees import Tree, map_leaves
from kerasdl.errors import RunFailedError
from kerasdl.files import parsing, read_arrays, replacing
from kerasdl.inference.endpoint import Arrays, differences
from kerasdl.network.network import Network
from kerasdl.runs.folder import Run

#: In the run folder: outputs of the network in memory, with the weights of the best epoch, by name.
FILE_NAME = "reference.npz"

_NUM_EXAMPLES = 64
_CALLS_BEFORE_TRACING = 5  # which costs as much as these
#: Largest difference of a network in float32, and of one trained in 16 bits, which is saved in float32;
#: relative to the outputs' root mean square above 1.
_TOLERANCES = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.3}


class Reference:
    """The first validation examples, and what a network in memory answers to them.

    Args:
        data: the data of a run.

    Attributes:
        fingerprint: that of the data.
    """

    def __init__(self, data: Dataset):
        features = next(split_batches(data.validation, 1)())[0]
        self.fingerprint = data.fingerprint
        self._features = map_leaves(lambda part: tf.constant(part[:_NUM_EXAMPLES]), features)
        self._function = None
        self._num_calls = 0

    def answers(self, network: keras.Model) -> Arrays:
        """Return the outputs of a network for the examples, arrays (N, ...) by name, at most 64.

        Ask the same network each time: from the sixth time on it is traced.
        """
        infer = network.infer if isinstance(network, Network) else network
        self._num_calls += 1
        if self._num_calls <= _CALLS_BEFORE_TRACING:
            return {name: _readable(value) for name, value in _named(infer(self._features)).items()}
        if self._function is None:
            traced = tf.function(lambda features: infer(features), autograph=False)
            self._function = traced.get_concrete_function(self._features)
        return {name: _readable(value) for name, value in _named(self._function(self._features)).items()}


def keep(file: Path, reference: Reference, network: keras.Model) -> None:
    """Write what the network in memory answers."""
    answers = {f"outputs/{name}": value for name, value in reference.answers(network).items()}
    with replacing(file) as temporary:
        np.savez(temporary, data=reference.fingerprint, dtype=network.compute_dtype, **answers)


def check(run: Run, network: keras.Model, data: Dataset) -> None:
    """Compare a run's network, read from its file, with the answers of the network that was trained.

    Runs of earlier versions kept none, and answers for other data cannot be compared.

    Args:
        run: a run with a `model.keras`.
        network: the network that was read from it.
        data: the data of the run.

    Raises:
        RunFailedError: when they differ by more than rounding.
    """
    file = run.path / FILE_NAME
    if not file.is_file():
        return
    saved = read_arrays(file, "data", "dtype")
    if str(saved["data"]) != data.fingerprint:
        return
    dtype = str(saved["dtype"])
    expected = {name.removeprefix("outputs/"): value for name, value in saved.items() if "/" in name}
    actual = Reference(data).answers(network)
    with parsing(file):
        found = differences(expected, actual, None).get("max_difference", 0.0)
    if not found <= _TOLERANCES[dtype]:
        raise RunFailedError(
            f"{run.model_file} is not the network that was trained: for the same validation examples "
            f"their outputs differ by up to {found:.2g} (at most {_TOLERANCES[dtype]:g} is rounding). "
            "Something that training changes is not saved with the network: make every variable with "
            f"add_weight, and keep no state outside of layers. (If you replaced the file, remove {file}.)"
        )


def _named(outputs: Tree) -> Mapping[str, Any]:
    return outputs if isinstance(outputs, Mapping) else {"outputs": outputs}


def _readable(value) -> np.ndarray:
    """Return an output as NumPy knows it: of 16 bits as float32."""
    value = tf.convert_to_tensor(value)
    return (tf.cast(value, tf.float32) if value.dtype in (tf.float16, tf.bfloat16) else value).numpy()
