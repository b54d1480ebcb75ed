"""Numbers tokens without TensorFlow, from the text files of a bundle: the word, its end and its shape.

`TokenPreprocessing` does the same with TensorFlow's operators; both have to agree token by token.
"""

import functools
import json
import re
from collections.abc import Mapping, Sequence

import numpy as np

from kerasdl.preprocessing.words import lines

#: File of each feature, in the order of the last axis of ids; its lines are the values from number 2 on.
FILES = ("words.txt", "suffixes.txt", "shapes.txt")
SETTINGS = "tokens.json"
#: Number of padding, and of every value that is not in a file.
PADDING, UNKNOWN = 0, 1
#: Letters of the end of a word.
SUFFIX = 3
#: What a shape has in place of a run of letters or digits: of A to Z, a to z, 0 to 9 and beyond ASCII.
SHAPE = ((r"[A-Z]+", "A"), (r"[a-z]+", "a"), (r"[0-9]+", "0"), (r"[^\x00-\x7f]+", "u"))

_SHAPE = tuple((re.compile(pattern), mark) for pattern, mark in SHAPE)


def word_of(token: str) -> str:
    """Return a token in lower case (A to Z), with 0 for each digit."""
    return re.sub("[0-9]", "0", token.encode().lower().decode())


def suffix_of(token: str) -> str:
    """Return the last three letters of the word, or all of a shorter one."""
    return word_of(token)[-SUFFIX:]


def shape_of(token: str) -> str:
    """Return the form of a token: "Aa" of "Berlin", "A" of "USA", "0-0" of "3-1"."""
    for pattern, mark in _SHAPE:
        token = pattern.sub(mark, token)
    return token


FEATURES = (word_of, suffix_of, shape_of)


class TokenNumbers:
    """Numbers of tokens, their ends and shapes.

    Args:
        assets: content of `FILES` and `SETTINGS` by name, as a bundle has them.
    """

    def __init__(self, assets: Mapping[str, str]):
        self.phone_length: int = json.loads(assets[SETTINGS])["phone_length"]
        self._tables = [
            {value: number for number, value in enumerate(lines(assets[name]), 2)} for name in FILES
        ]
        self._numbered = functools.lru_cache(2**16)(self._numbers)

    def rows(self, features: np.ndarray) -> list[np.ndarray]:
        """Return the numbers of each sentence, int32 (length, 3), up to its last token and at least one.

        Args:
            features: tokens (N, L), bytes or str, "" behind the end.
        """
        return [self._row(tokens) for tokens in features.tolist()]

    def padded(self, features: np.ndarray, length: int | None) -> np.ndarray:
        """Return the numbers of all sentences, int32 (N, length, 3), with 0 behind the end.

        Args:
            features: tokens (N, L), bytes or str, "" behind the end.
            length: tokens of each, where sentences are cut; None for that of the longest.
        """
        rows = self.rows(features)
        length = max(map(len, rows)) if length is None else length
        ids = np.zeros((len(rows), length, len(FILES)), np.int32)
        for row, found in zip(ids, rows, strict=True):
            row[: len(found)] = found[:length]
        return ids

    def _row(self, tokens: Sequence[str | bytes]) -> np.ndarray:
        count = max((place for place, token in enumerate(tokens, 1) if token), default=1)
        return np.array([self._numbered(token) for token in tokens[:count]], np.int32).reshape(-1, len(FILES))

    def _numbers(self, token: str | bytes) -> tuple[int, ...]:
        text = token.decode(errors="replace") if isinstance(token, bytes) else token
        if not text:
            return (PADDING,) * len(FILES)
        pairs = zip(self._tables, FEATURES, strict=True)
        return tuple(table.get(feature(text), UNKNOWN) for table, feature in pairs)
