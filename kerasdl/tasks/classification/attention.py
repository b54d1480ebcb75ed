"""Attention of a classifier of texts: the weight of each word in its answer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.data.dataset import DataSpec
from kerasdl.inference.endpoint import Arrays
from kerasdl.inference.word_numbers import tokenizer

if TYPE_CHECKING:
    import keras

#: Name of the output (N, T) with the weight of each step, of networks that have attention.
ATTENTION = "attention"

_LONGEST_WORD = 40  # characters of a word that are kept


def over_words(network: "keras.Model", data: DataSpec, features: np.ndarray) -> Arrays:
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
