"""Preprocessing of sentences: from tokens to the numbers of words, of their ends and of their shapes."""

import collections
import json
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasdl.errors import UsageError
from kerasdl.layers.config import config_of
from kerasdl.preprocessing import tokens
from kerasdl.preprocessing.preprocessing import Preprocessing

_UNKNOWN = "[UNK]"  # Keras's name of the unknown value, which cannot be a value besides


@keras.saving.register_keras_serializable("kerasdl")
class TokenPreprocessing(Preprocessing):
    """Tokens to three numbers each: the word, its last three letters, and its shape.

    The end and the shape ("Aa" of "Berlin", "0-0" of "3-1") tell something of words that training did not
    have. Words and ends are those in lower case (A to Z), with 0 for each digit. In all three 0 is padding, 1
    whatever is not in the vocabulary, which is that of the training sentences.

    Args:
        max_words: size of the vocabulary of words, with padding and the unknown word, 3 or more; the most
            frequent ones are kept. Defaults to 30,000.
        min_count: times that a word has to be in the training sentences to be known, 1 or more. Defaults
            to 1.
        phone_length: tokens that TFLite files take, at most. Defaults to 64.
        words: words from number 2 on, found by `fit`. Defaults to (): to be found.
        suffixes: ends of words, likewise. Defaults to ().
        shapes: shapes of tokens, likewise. Defaults to ().
        **kwargs: arguments of `keras.Layer`.

    Raises:
        UsageError: for a value outside its range.

    Input: tokens (B, T), string, "" behind the end; or ids (B, T, 3), integer; or sequences (B, T, D), float.
    Output: ids (B, T, 3), int32; or (B, T, D), float.
    """

    OF_WEIGHTS: ClassVar = ("words", "suffixes", "shapes")

    def __init__(
        self,
        *,
        max_words: int = 30_000,
        min_count: int = 1,
        phone_length: int = 64,
        words: tuple[str, ...] = (),
        suffixes: tuple[str, ...] = (),
        shapes: tuple[str, ...] = (),
        **kwargs,
    ):
        super().__init__(**kwargs)
        if max_words < 3 or min_count < 1 or phone_length < 1:
            raise UsageError(
                f"max_words is {max_words}, min_count {min_count} and phone_length {phone_length}, but they "
                "have to be at least 3, 1 and 1."
            )
        self.max_words = max_words
        self.min_count = min_count
        self.phone_length = phone_length
        self.words = tuple(words)
        self.suffixes = tuple(suffixes)
        self.shapes = tuple(shapes)
        self._tables = self._lookups() if words else None

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """Number of different words, ends and shapes, each with padding and the unknown one; None before."""
        if not self.words:
            return None
        return tuple(len(values) + 2 for values in (self.words, self.suffixes, self.shapes))

    @property
    def num_tokens(self) -> int | None:
        return None if self.sizes is None else self.sizes[0]

    def check(self, inputs: Any) -> None:
        """Raise a UsageError unless the features are sentences of tokens."""
        if isinstance(inputs, Mapping) or inputs.dtype != "string" or len(inputs.shape) != 1:
            raise UsageError(
                "TokenPreprocessing takes sentences of tokens, but the data has other features. Give data "
                "with a tag at each token (--data requests, a .conll file), or another pipeline."
            )

    def fit(self, examples) -> None:
        """Find the words, ends and shapes of the training sentences."""
        if self.words:
            return
        counts = collections.Counter()
        for batch in examples():
            counts.update(token.decode() for token in np.asarray(batch, object).flat if token)
        found = []
        for feature in tokens.FEATURES:
            of_feature = collections.Counter()
            for token, count in counts.items():
                of_feature[feature(token)] += count
            # Keras loses zeros at the end of a word, and takes its own name for the unknown word.
            usual = sorted(of_feature.items(), key=lambda pair: (-pair[1], pair[0]))
            kept = [value for value, count in usual if count >= self.min_count]
            found.append(tuple(value for value in kept if "\0" not in value and value != _UNKNOWN))
        self.words, self.suffixes, self.shapes = (values[: self.max_words - 2] for values in found)
        if not self.words:
            raise UsageError(
                f"No word is {self.min_count} times in the training sentences. Give a smaller --min-count."
            )
        self._tables = self._lookups()

    def build(self, input_shape):
        """Make nothing: the tables are there already."""

    def call(self, inputs):
        """Return ids."""
        if inputs.dtype != "string":
            whole = inputs.dtype in ("int32", "int64")
            return tf.cast(inputs, tf.int32 if whole else self.compute_dtype)
        word = tf.strings.regex_replace(tf.strings.lower(inputs), "[0-9]", "0")
        suffix = tf.strings.regex_replace(word, f"(?s)^.*({'.' * tokens.SUFFIX})$", r"\1")
        shape = inputs
        for pattern, mark in tokens.SHAPE:
            shape = tf.strings.regex_replace(shape, pattern, mark)
        numbers = [table(value) for table, value in zip(self._tables, (word, suffix, shape), strict=True)]
        return tf.cast(tf.stack(numbers, axis=-1), tf.int32)  # (B, T, 3)

    def encode(self, features: np.ndarray) -> list[np.ndarray]:
        """Return the numbers of each sentence, so that training need not look them up."""
        return tokens.TokenNumbers(self.assets()).rows(features)

    def resources(self) -> list[Any]:
        return list(self._tables or ())

    def assets(self) -> Mapping[str, str]:
        """Return a file for each kind of number, a value on each line from number 2 on, and the length."""
        if not self.words:
            return {}
        values = (self.words, self.suffixes, self.shapes)
        texts = {
            name: "".join(f"{value}\n" for value in part)
            for name, part in zip(tokens.FILES, values, strict=True)
        }
        return {**texts, tokens.SETTINGS: json.dumps({"phone_length": self.phone_length}, indent=2) + "\n"}

    def compute_output_spec(self, inputs):
        if inputs.dtype == "string":
            return keras.KerasTensor((*inputs.shape, len(tokens.FILES)), "int32")
        return keras.KerasTensor(inputs.shape, "int32" if "int" in inputs.dtype else self.compute_dtype)

    def get_config(self):
        names = ("max_words", "min_count", "phone_length", "words", "suffixes", "shapes")
        return {**super().get_config(), **config_of(self, *names)}

    def _lookups(self) -> list[keras.layers.StringLookup]:
        return [
            keras.layers.StringLookup(vocabulary=list(values), mask_token="", oov_token=_UNKNOWN)
            for values in (self.words, self.suffixes, self.shapes)
        ]
