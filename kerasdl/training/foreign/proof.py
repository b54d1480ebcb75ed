"""The answers of a model as plain Keras gives them, and the proof that its network here gives the same."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from kerasdl.data.dataset import Dataset
from kerasdl.data.passes import split_batches
from kerasdl.data.trees import Tree, leaves, map_leaves
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.inference.endpoint import Arrays, differences
from kerasdl.network.imported import Imported
from kerasdl.network.imported_parts import LAYOUTS
from kerasdl.training.foreign import inputs, several

_MOST, _LARGEST = 64, 2**24  # examples that answers are compared on, bytes of them
_BATCH = 8
#: Largest difference of probabilities, and of numbers in deviations, by the precision of the model.
TOLERANCES = {"float32": 1e-4, "float16": 0.02, "bfloat16": 0.1}


def examples_of(data: Dataset, most: int = _MOST) -> tuple[Tree, Tree]:
    """Return some test examples: raw features and targets, fewer where they are large."""
    features, targets = next(split_batches(data.test, 1)())[:2]
    size = max(1, sum(leaf[:1].nbytes for leaf in leaves(features)))
    number = max(2, min(most, _LARGEST // size))
    return map_leaves(lambda part: part[:number], features), map_leaves(lambda part: part[:number], targets)


@dataclasses.dataclass(frozen=True)
class Asked:
    """Raw examples, and how they are given to a model by plain Keras.

    Attributes:
        features: raw features (N, ...), or arrays by name.
        scaling: a word of `--preprocess`.
        layouts: name in the data, layout and dtype of each input of the model.
    """

    features: Tree
    scaling: inputs.Scaling
    layouts: Sequence[tuple[str, str, str]]

    def answers(self, model: keras.Model) -> np.ndarray:
        """Return what a model answers, float32.

        Raises:
            UsageError: when it cannot be called on the examples, or has several outputs.
        """
        found = self._called(model)
        if keras.tree.is_nested(found[0]):
            raise UsageError(
                f"The model has several outputs: {several.listed(model, found[0])}. Give --output with one "
                "of them, which is judged by the data; or --task outputs for a bundle of all, compared with "
                "Keras and not judged."
            )
        return np.concatenate([tf.cast(part, tf.float32).numpy() for part in found])

    def all_answers(self, model: keras.Model) -> Arrays:
        """Return all that a model answers, by name: floating-point outputs as float32.

        Raises:
            UsageError: when it cannot be called on the examples, or an output is not one of each example.
        """
        found = self._called(model)
        names = several.names_of(model, found[0])
        count = min(_BATCH, len(leaves(self.features)[0]))
        for name, part in zip(names, keras.tree.flatten(found[0]), strict=True):
            if tuple(part.shape[:1]) != (count,):
                raise UsageError(
                    f"The output {name} has shape {tuple(part.shape)} for {count} examples: it is not one of "
                    "each example. Make a model of the others in Keras, or take one with --output."
                )
        columns = zip(*map(keras.tree.flatten, found), strict=True)
        return {
            name: np.concatenate(
                [(tf.cast(part, tf.float32) if part.dtype.is_floating else part) for part in parts]
            )
            for name, parts in zip(names, columns, strict=True)
        }

    def _called(self, model: keras.Model) -> list:
        """Return what a model gives for each batch of the examples."""
        count = len(leaves(self.features)[0])
        parts = [slice(start, start + _BATCH) for start in range(0, count, _BATCH)]
        try:
            return [model(self._given(model, part), training=False) for part in parts]
        except Exception as error:  # whatever layers raise
            lines = [line for line in str(error).splitlines() if line.strip()]
            told = [line for line in lines if not line.startswith("Exception encountered")] or lines
            raise UsageError(
                f"The model cannot be called on these examples: {type(error).__name__}: "
                f"{' '.join(told[:2])[:300]}"
            ) from error

    def _given(self, model: keras.Model, part: slice):
        """Return inputs of the model, made with functions of `keras.applications` alone."""
        features = map_leaves(lambda leaf: leaf[part], self.features)
        named = features if isinstance(features, Mapping) else {"": features}
        given = {
            name: self._tensor(LAYOUTS[layout](inputs.as_keras_does(self.scaling, named[name])), dtype)
            for name, layout, dtype in self.layouts
        }
        if isinstance(features, Mapping):
            return given
        return next(iter(given.values()))

    def _tensor(self, value, dtype: str):
        return tf.convert_to_tensor(value) if dtype == "string" else tf.cast(value, dtype)


def check(network: Imported, asked: Asked, original: np.ndarray | Arrays, precision: str, ends: str) -> float:
    """Compare the network of a run with the model of the file, on raw examples.

    Args:
        network: as it will be saved.
        asked: the examples.
        original: answers of the model, as plain Keras gives them; by name where there are several.
        precision: that of the model; a key of `TOLERANCES`.
        ends: what the model's answers are: "softmax", "sigmoid", "logits", "logit" or "numbers"; "all" where
            there are several.

    Returns:
        The largest difference, of probabilities or of numbers in standard deviations of the targets; of
        several outputs measured against the root mean square of the output where that is above 1.

    Raises:
        RunFailedError: when it is more than rounding.
    """
    count = len(leaves(asked.features)[0])
    # Other batches than those of the model: an answer that depends on its neighbours is another one here.
    places = [0, *range(1, count, _BATCH), count]
    parts = [
        network.infer(map_leaves(lambda leaf, a=a, b=b: tf.constant(leaf[a:b]), asked.features))
        for a, b in itertools.pairwise(places)
    ]
    if isinstance(original, Mapping):
        found = {name: np.concatenate([part[name] for part in parts]) for name in original}
        difference = differences(original, found, None)["max_difference"]
    else:
        difference = _apart(network, np.concatenate(parts), original, ends)
    if not difference <= TOLERANCES[precision]:
        raise RunFailedError(
            f"The network made of this model does not answer as the model does: on {count} examples they "
            f"differ by up to {difference:.2g} (at most {TOLERANCES[precision]:g} is rounding). Nothing was "
            "written. Models whose answers go by chance, or by other examples of the batch, cannot be "
            "imported."
        )
    return difference


def _apart(network: Imported, found: np.ndarray, original: np.ndarray, ends: str) -> float:
    """Return how far logits or scaled numbers of a network lie from what the model's answers mean."""
    found = found.astype(np.float64)
    wanted = _MEANINGS[ends](original.astype(np.float64))
    if ends == "numbers":
        wanted = (wanted - np.array(network.mean)) / np.array(network.std)
    else:
        found = _softmax(found)
    return float(np.abs(found - wanted).max()) if np.isfinite(found).all() else float("inf")


def _softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _second(values: np.ndarray) -> np.ndarray:
    return np.concatenate([1 - values, values], axis=1)


#: What a model ends with -> what its answers mean.
_MEANINGS = {
    "softmax": lambda values: values,
    "sigmoid": _second,
    "logits": _softmax,
    "logit": lambda values: _second(1 / (1 + np.exp(-values))),
    "numbers": lambda values: values,
}
