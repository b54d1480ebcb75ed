"""Splits texts into numbered words without TensorFlow, from the text files of a bundle.

The numbers are those of Keras's `TextVectorization`, byte by byte: it makes lower case of A to Z alone, takes
out ASCII punctuation, and splits at ASCII white space.
"""

import json
import string
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

VOCABULARY = "vocab.txt"
SETTINGS = "tokenizer.json"

UNKNOWN = 1  # number of every word that is not in the vocabulary

#: Numbers 0 and 1.
SPECIAL = ("<PAD>", "<UNKNOWN>")
_PUNCTUATION = string.punctuation.encode()


class Tokenizer:
    """Words of texts by number.

    Args:
        assets: content of `vocab.txt` and `tokenizer.json` by name, as a bundle has them.
    """

    def __init__(self, assets: Mapping[str, str]):
        settings = json.loads(assets[SETTINGS])
        self.max_length: int = settings["max_length"]
        self._standardize: str = settings["standardize"]
        words = enumerate(lines(assets[VOCABULARY]))
        self._numbers = {word.encode(): number for number, word in words if number > 1}

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
            word = standardized(written, self._standardize)
            read = bool(word) and count < self.max_length
            count += read
            found.append((written.decode(errors="replace"), self._number(word) if read else None))
        return found

    def _row(self, text: bytes) -> np.ndarray:
        words = standardized(text, self._standardize).split()[: self.max_length]
        return np.array([self._number(word) for word in words], np.int32)

    def _number(self, word: bytes) -> int:
        return self._numbers.get(word, UNKNOWN)


def standardized(text: bytes, standardize: str) -> bytes:
    """Return a text as Keras has it before it splits it.

    Args:
        text: UTF-8.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation" or "none".
    """
    text = text.lower() if "lower" in standardize else text
    return text.translate(None, _PUNCTUATION) if "strip_punctuation" in standardize else text


def to_text(vocabulary: Sequence[str]) -> str:
    """Return the content of `vocab.txt`: the word of number n is line n, counted from 0."""
    return "".join(f"{word}\n" for word in (*SPECIAL, *vocabulary))


def lines(text: str) -> list[str]:
    """Return the lines of a text file of a bundle: words may hold what `str.splitlines` takes for an end."""
    return text.removesuffix("\n").split("\n") if text else []
