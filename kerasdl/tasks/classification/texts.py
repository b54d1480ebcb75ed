"""Endpoints of a classifier of texts: raw texts, and numbers of words."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.inference.endpoint import ALL_FORMATS, Arrays, Endpoint
from kerasdl.preprocessing import words
from kerasdl.preprocessing.words import Tokenizer

if TYPE_CHECKING:
    import keras

#: Name of the output (N, T) with the weight of each step, of networks that have attention.
ATTENTION = "attention"

_LONGEST_WORD = 40  # characters of a word that are kept


def tokenizer(network: "keras.Model | None", data: DataSpec) -> Tokenizer | None:
    """Return what splits texts for a network or, without one, for the bundle that the data's assets are of.

    None where the examples are not texts, or the network takes them otherwise.
    """
    if not (isinstance(data.inputs, Spec) and data.inputs == Spec((), "string")):
        return None
    assets = data.assets
    if network is not None:
        from kerasdl.network.network import Network

        layer = network.preprocessing if isinstance(network, Network) else None
        assets = layer.assets() if layer is not None else {}
    return Tokenizer(assets) if {words.VOCABULARY, words.SETTINGS} <= assets.keys() else None


def attention(network: "keras.Model", data: DataSpec, features: np.ndarray) -> Arrays:
    """Return the words of a few texts, as they are written, and the attention over them.

    Args:
        network: classifier of texts; its output `attention` (N, T) holds the weight of each word.
        data: what is in each example.
        features: texts (K,).

    Returns:
        `words` (K, T), str, "" behind the last one that is read, and `attention` (K, T), float32; empty for
        other networks and examples.
    """
    splitter = tokenizer(network, data)
    if splitter is None:
        return {}
    import tensorflow as tf

    outputs = network.infer(tf.constant(features.tolist()))
    if not isinstance(outputs, Mapping) or ATTENTION not in outputs:
        return {}
    weights = outputs[ATTENTION].numpy().astype(np.float32)
    words = np.full(weights.shape, "", f"U{_LONGEST_WORD}")
    for row, text in zip(words, features, strict=True):
        read = [written for written, number in splitter.spelled(text) if number is not None]
        row[: len(read)] = read
    return {"words": words, ATTENTION: weights}


def endpoints(default: Endpoint, tokenizer: Tokenizer) -> tuple[Endpoint, Endpoint]:
    """Return an endpoint of raw texts, and one beside it that takes the numbers of their words.

    Only a SavedModel can take texts: phones and ONNX have no operators that split them.

    Args:
        default: takes texts (batch_size,), or numbers of words (batch_size, steps).
        tokenizer: finds those numbers.
    """
    import tensorflow as tf

    def numbers(features: np.ndarray, seed: int) -> Arrays:
        return {"ids": features if features.dtype.kind in "iu" else tokenizer.padded(features)}

    default = dataclasses.replace(
        default,
        formats=("saved_model",),
        of_length=lambda steps: np.array([b" ".join([b"word"] * steps)], object),
    )
    of_ids = dataclasses.replace(
        default,
        name="serving_ids",
        inputs={"ids": tf.TensorSpec((None, None), tf.int32, "ids")},
        formats=ALL_FORMATS,
        inputs_of=numbers,
        phone_length=tokenizer.max_length,
    )
    return default, of_ids
