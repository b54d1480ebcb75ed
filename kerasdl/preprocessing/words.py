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

UNKNOWN = 1  # number of every word that is not in the vocabulary

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

    def spelled(self, text: str | bytes) -> list[tuple[str, int | None]]:
        """Return each word of a text as it is written, and its number; None for punctuation alone.

        Words behind the first `max_length` numbers have None too: they are not read.
        """
        found: list[tuple[str, int | None]] = []
        count = 0
        for written in (text.encode() if isinstance(text, str) else bytes(text)).split():
            word = self._standardized(written)
            read = bool(word) and count < self.max_length
            count += read
            found.append((written.decode(errors="replace"), self._number(word) if read else None))
        return found

    def _row(self, text: bytes) -> np.ndarray:
        words = self._standardized(text).split()[: self.max_length]
        return np.array([self._number(word) for word in words], np.int32)

    def _standardized(self, text: bytes) -> bytes:
        text = text.lower() if self._lower else text
        return _PUNCTUATION.sub(b"", text) if self._strip else text

    def _number(self, word: bytes) -> int:
        return self._numbers.get(word, UNKNOWN)


def to_text(vocabulary: Sequence[str]) -> str:
    """Return the content of `vocab.txt`: the word of number n is line n, counted from 0."""
    return "".join(f"{word}\n" for word in (*_SPECIAL, *vocabulary))
