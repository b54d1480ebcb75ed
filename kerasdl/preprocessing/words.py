"""Splits texts into numbered words without TensorFlow, from the text files of a bundle.

The numbers are those of Keras's `TextVectorization`, byte by byte: it makes lower case of A to Z alone, takes
out ASCII punctuation, and splits at ASCII white space.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

VOCABULARY = "vocab.txt"
SETTINGS = "tokenizer.json"

_SPECIAL = ("<PAD>", "<UNKNOWN>")
_PUNCTUATION = re.compile(rb'[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~\']')


class Tokenizer:
    """Words of texts by number.

    Args:
        assets: content of `vocab.txt` and `tokenizer.json` by name, as a bundle has them.
    """

    def __init__(self, assets: Mapping[str, str]):
        settings = json.loads(assets[SETTINGS])
        self.max_length: int = settings["max_length"]
        self._lower = "lower" in settings["standardize"]
        self._strip = "strip_punctuation" in settings["standardize"]
        words = assets[VOCABULARY].removesuffix("\n").split("\n")
        self._numbers = {word.encode(): number for number, word in enumerate(words) if number > 1}

    def rows(self, texts: Iterable[str | bytes]) -> list[np.ndarray]:
        """Return the numbers of the words of each text, int32 (length,)."""
        return [self._row(text.encode() if isinstance(text, str) else bytes(text)) for text in texts]

    def padded(self, texts: Sequence[str | bytes]) -> np.ndarray:
        """Return the numbers of the words of each text, int32 (N, max_length), with 0 behind its end."""
        ids = np.zeros((len(texts), self.max_length), np.int32)
        for row, found in zip(ids, self.rows(texts), strict=True):
            row[: len(found)] = found
        return ids

    def _row(self, text: bytes) -> np.ndarray:
        text = text.lower() if self._lower else text
        text = _PUNCTUATION.sub(b"", text) if self._strip else text
        return np.array([self._numbers.get(word, 1) for word in text.split()[: self.max_length]], np.int32)


def to_text(vocabulary: Sequence[str]) -> str:
    """Return the content of `vocab.txt`: the word of number n is line n, counted from 0."""
    return "".join(f"{word}\n" for word in (*_SPECIAL, *vocabulary))
