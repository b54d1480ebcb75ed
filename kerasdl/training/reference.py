"""The answers of the network that was trained, taken from memory: where every proof of its files begins."""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kerasdl.data.dataset import Dataset
from kerasdl.data.passes import split_batches
from kerasdl.data.trees import Tree, leaves, map_leaves, named, storable
from kerasdl.errors import RunFailedError
from kerasdl.files import parsing, read_arrays, replacing
from kerasdl.inference.endpoint import Arrays, differences
from kerasdl.network.network import Network
from kerasdl.runs.folder import Run

#: In the run folder: some validation examples, and the outputs of the network in memory at its best epoch.
FILE_NAME = "reference.npz"

_MOST, _FEWEST = 64, 4  # examples
_LARGEST = 2**21  # bytes of them together
_CALLS_BEFORE_TRACING = 5  # which costs as much as these
#: Largest difference of a network in float32, and of one trained in 16 bits, which is saved in float32;
#: relative to the outputs' root mean square above 1.
_TOLERANCES = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.3}


class Reference:
    """A few examples, and what a network answers to them.

    Args:
        features: raw features (N, ...), an array or arrays by name.
    """

    def __init__(self, features: Tree):
        self.features = map_leaves(storable, features)
        self._given = map_leaves(tf.constant, self.features)
        self._function = None
        self._num_calls = 0

    @classmethod
    def of(cls, data: Dataset) -> "Reference":
        """Return the first validation examples: 64, or fewer where they are large."""
        features = next(split_batches(data.validation, 1)())[0]
        size = max(1, sum(leaf[:1].nbytes for leaf in leaves(features)))
        number = max(_FEWEST, min(_MOST, _LARGEST // size))
        return cls(map_leaves(lambda part: part[:number], features))

    def answers(self, network: keras.Model) -> Arrays:
        """Return the outputs of a network for the examples, arrays (N, ...) by name.

        Ask the same network each time: from the sixth time on it is traced.
        """
        infer = network.infer if isinstance(network, Network) else network
        self._num_calls += 1
        if self._num_calls > _CALLS_BEFORE_TRACING and self._function is None:
            traced = tf.function(lambda features: infer(features), autograph=False)
            self._function = traced.get_concrete_function(self._given)
        outputs = (self._function or infer)(self._given)
        return {name: _readable(value) for name, value in named(outputs, "outputs").items()}


def keep(file: Path, reference: Reference, network: keras.Model) -> None:
    """Write the examples, and what the network in memory answers."""
    answers = {f"outputs/{name}": value for name, value in reference.answers(network).items()}
    features = {f"features/{name}": value for name, value in named(reference.features, "").items()}
    with replacing(file) as temporary:
        np.savez(temporary, dtype=network.compute_dtype, **features, **answers)


def open_network(run: Run) -> keras.Model:
    """Load a run's network, and compare it with the answers of the network that was trained.

    Raises:
        UsageError: when the run has none.
        RunFailedError: when its file is damaged, or they differ by more than rounding.
    """
    network = run.network()
    check(run, network)
    return network


def check(run: Run, network: keras.Model) -> None:
    """Compare a network that was read from a run's file with the one that was trained.

    Runs of earlier versions kept no answers of that.

    Raises:
        RunFailedError: when they differ by more than rounding.
    """
    file = run.path / FILE_NAME
    if not file.is_file():
        return
    saved = read_arrays(file, "dtype")
    features, expected = _parts(saved, "features/"), _parts(saved, "outputs/")
    with parsing(file):
        actual = Reference(features.get("", features)).answers(network)
        found, limit = differences(expected, actual, None)["max_difference"], _TOLERANCES[str(saved["dtype"])]
    if not found <= limit:
        raise RunFailedError(
            f"{run.model_file} is not the network that was trained: to the same validation examples its "
            f"answers differ by up to {found:.2g} (at most {limit:g} is rounding). Something that it "
            "computes with is not saved in it: make every variable with add_weight, keep no state outside of "
            f"layers, and read no files that change. (If you replaced model.keras, remove {file}.)"
        )


def _parts(saved: Mapping[str, np.ndarray], prefix: str) -> Arrays:
    return {name.removeprefix(prefix): value for name, value in saved.items() if name.startswith(prefix)}


def _readable(value) -> np.ndarray:
    """Return an output as NumPy knows it: of 16 bits as float32."""
    value = tf.convert_to_tensor(value)
    return (tf.cast(value, tf.float32) if value.dtype in (tf.float16, tf.bfloat16) else value).numpy()
