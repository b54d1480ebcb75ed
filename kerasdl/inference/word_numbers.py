"""Endpoints of a network over words: raw texts, and the numbers of their words."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.inference.endpoint import ALL_FORMATS, Arrays, Endpoint
from kerasdl.preprocessing import words
from kerasdl.preprocessing.words import Tokenizer

if TYPE_CHECKING:
    import keras


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

    def of_file(specs: Mapping[str, Any]) -> Callable[[np.ndarray, int], Arrays]:
        """Return `numbers` for an opened file; without padding behind the longest text if it takes any."""
        return numbers if specs["ids"][0][1] is not None else up_to_the_end

    def up_to_the_end(features: np.ndarray, seed: int) -> Arrays:
        ids = numbers(features, seed)["ids"]
        longest = int(np.flatnonzero(ids.any(axis=0)).max(initial=0)) + 1
        return {"ids": ids if features.dtype.kind in "iu" else ids[:, :longest]}

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
        drawn=of_file,
        phone_length=tokenizer.max_length,
    )
    return default, of_ids
