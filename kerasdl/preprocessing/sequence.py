"""Preprocessing of sequences: from texts, images or numbers to what a recurrent network reads."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal

import keras
import numpy as np
import tensorflow as tf

from kerasdl.errors import UsageError
from kerasdl.layers.config import config_of
from kerasdl.preprocessing import spellings, words
from kerasdl.preprocessing.preprocessing import Preprocessing

_AT_ONCE = 512  # texts whose words are counted in one call, at least


@keras.saving.register_keras_serializable("kerasdl")
class SequencePreprocessing(Preprocessing):
    """Raw examples to sequences: texts to numbers of words, images to rows of pixels.

    Texts are split and numbered by Keras's `TextVectorization`: 0 is padding, 1 any word that is not in the
    vocabulary, and the others follow by how often they are in the training texts. Each row of an image, from
    top to bottom, is one step. Sequences of numbers, and of words that are numbered already, stay as they
    are.

    Args:
        max_tokens: size of the vocabulary, with padding and the unknown word, 3 or more. Defaults to 30,000.
        max_length: words of a text that are read, from its beginning, 1 or more. Defaults to 400.
        standardize: "lower_and_strip_punctuation", "lower" (of the letters A to Z), "strip_punctuation" or
            "none". Defaults to "lower_and_strip_punctuation".
        vocabulary: words from number 2 on, found by `fit`. Defaults to (): to be found.
        spellings: how words are written in the training texts besides plain cases ("don't"), found by `fit`,
            for tokenisers of phones. Defaults to ().
        **kwargs: arguments of `keras.Layer`.

    Raises:
        UsageError: for a value outside its range.

    Input: texts (B,), string; or numbers of words (B, T), integer; or images (B, H, W, C), 0..255; or
        sequences (B, T, D), float.
    Output: numbers of words (B, T), int32, T that of the longest text in the batch and 1 at least; or
        (B, H, W * C), float, 0..1; or (B, T, D), float.
    """

    OF_WEIGHTS: ClassVar = ("max_length", "standardize", "vocabulary", "spellings")

    def __init__(
        self,
        *,
        max_tokens: int = 30_000,
        max_length: int = 400,
        standardize: Literal[
            "lower_and_strip_punctuation", "lower", "strip_punctuation", "none"
        ] = "lower_and_strip_punctuation",
        vocabulary: tuple[str, ...] = (),
        spellings: tuple[str, ...] = (),
        **kwargs,
    ):
        super().__init__(**kwargs)
        if max_tokens < 3 or max_length < 1:
            raise UsageError(
                f"max_tokens is {max_tokens} and max_length {max_length}, but they have to be at least 3 and "
                "1."
            )
        self.max_tokens = max_tokens
        self.max_length = max_length
        self.standardize = standardize
        self.vocabulary = tuple(vocabulary)
        self.spellings = tuple(spellings)
        self._numbers = self._vectorization() if vocabulary else None

    @property
    def num_tokens(self) -> int | None:
        """Number of different words, with padding and the unknown one; None where examples are no texts."""
        return len(self.vocabulary) + 2 if self.vocabulary else None

    def check(self, inputs: Any) -> None:
        """Raise a UsageError unless the features are one text, image or sequence."""
        if isinstance(inputs, Mapping) or not (
            (inputs.dtype == "string" and not inputs.shape)
            or len(inputs.shape) == 3
            or (len(inputs.shape) == 2 and inputs.dtype != "string")
        ):
            raise UsageError(
                "SequencePreprocessing takes texts, images (height, width, channels) or sequences (steps, "
                "numbers), but the data has other features. Give the recipe another preprocessing, or none."
            )

    def fit(self, examples) -> None:
        """Find the words of the training texts; other examples need nothing.

        Raises:
            UsageError: when the texts hold no word at all.
        """
        first = next(iter(examples()))
        if np.asarray(first).dtype.kind not in "OS" or self.vocabulary:
            return
        layer, parts = self._vectorization(), []
        for texts in _joined(examples(), _AT_ONCE):
            layer.update_state(tf.constant(texts)[:, None])
            parts.append(texts)
        layer.finalize_state()
        texts = np.concatenate(parts)
        found = map(str, layer.get_vocabulary(include_special_tokens=False))
        # Keras loses zeros at the end of a word, and takes this one for the unknown word.
        self.vocabulary = tuple(word for word in dict.fromkeys(found) if word not in ("", "[UNK]"))
        if not self.vocabulary:
            raise UsageError("The training texts hold no word. Look at the file, and at --standardize.")
        self._numbers = self._vectorization()
        self.spellings = spellings.find(texts, self.vocabulary, self.standardize, self.max_tokens)

    def build(self, input_shape):
        """Make nothing: the tables are there already."""

    def call(self, inputs):
        """Return sequences."""
        if inputs.dtype == "string":
            ids = tf.cast(self._numbers(inputs)[:, : self.max_length], tf.int32)
            return tf.pad(ids, ((0, 0), (0, tf.maximum(0, 1 - tf.shape(ids)[1]))))  # (B, T)
        if len(inputs.shape) == 4:
            height, width, channels = inputs.shape[1:]
            rows = tf.reshape(tf.cast(inputs, self.compute_dtype), (-1, height, width * channels))
            return rows / 255
        if inputs.dtype in ("int32", "int64"):
            return tf.cast(inputs, tf.int32)
        return tf.cast(inputs, self.compute_dtype)

    def encode(self, features: np.ndarray) -> list[np.ndarray] | None:
        """Return the numbers of the words of each text, so that training need not look them up."""
        if features.dtype.kind not in "OS":
            return None
        return words.Tokenizer(self.assets()).rows(features)

    def resources(self) -> list[Any]:
        return [] if self._numbers is None else [self._numbers]

    def assets(self) -> Mapping[str, str]:
        """Return the vocabulary, one word a line in the order of the numbers, and how texts are split."""
        if not self.vocabulary:
            return {}
        settings = {"max_length": self.max_length, "standardize": self.standardize}
        return {
            words.VOCABULARY: words.to_text(self.vocabulary),
            words.SETTINGS: json.dumps(settings, indent=2) + "\n",
            spellings.FILE: "".join(f"{form}\n" for form in self.spellings),
        }

    def compute_output_spec(self, inputs):
        shape = inputs.shape
        if inputs.dtype == "string":
            return keras.KerasTensor((shape[0], None), "int32")
        if len(shape) == 4:
            return keras.KerasTensor((shape[0], shape[1], shape[2] * shape[3]), self.compute_dtype)
        return keras.KerasTensor(shape, "int32" if "int" in inputs.dtype else self.compute_dtype)

    def get_config(self):
        names = ("max_tokens", "max_length", "standardize", "vocabulary", "spellings")
        return {**super().get_config(), **config_of(self, *names)}

    def _vectorization(self) -> keras.layers.TextVectorization:
        return keras.layers.TextVectorization(
            max_tokens=self.max_tokens,
            standardize=None if self.standardize == "none" else self.standardize,
            vocabulary=list(self.vocabulary) or None,
        )


def _joined(batches: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Yield the examples of several batches as one array, `size` of them or more, but for the last."""
    waiting: list[np.ndarray] = []
    for batch in batches:
        waiting.append(np.asarray(batch, object))
        if sum(map(len, waiting)) >= size:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)
