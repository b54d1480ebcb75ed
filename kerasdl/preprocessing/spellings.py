"""Finds how words are written, for the tokeniser of MediaPipe Tasks.

That one splits a text at a regular expression and looks up what lies between: it neither makes lower case nor
deletes a sign. So its vocabulary has to hold each word as people write it.
"""

import collections
import itertools
import json
import string
from collections.abc import Iterable, Mapping, Sequence

from kerasdl.preprocessing import words

#: File of a bundle: how words are written besides the plain cases, one a line, the most frequent first.
FILE = "spellings.txt"

_SPECIAL = (*words.SPECIAL, "<START>")  # they mean something to MediaPipe
_PUNCTUATION = string.punctuation
_SPACE = r" \t\n\v\f\r"
_SIGN = r"[:punct:]"  # of RE2: those of ASCII


def find(texts: Iterable[bytes], vocabulary: Sequence[str], standardize: str, limit: int) -> tuple[str, ...]:
    """Return how words are written in texts, but for plain cases.

    Args:
        texts: UTF-8; words that are not are left out.
        vocabulary: the standardised words.
        standardize: as `SequencePreprocessing` has it.
        limit: greatest number of spellings.

    Returns:
        the most frequent first: "don't", "film.<br", "McDonald". None where words are taken as they are.
    """
    if standardize == "none":
        return ()
    written = collections.Counter(itertools.chain.from_iterable(text.split() for text in texts))
    known, found = {word.encode(): word for word in vocabulary}, collections.Counter()
    for form, count in written.items():
        form = form.strip(_PUNCTUATION.encode()) if "strip_punctuation" in standardize else form
        word = known.get(words.standardized(form, standardize))
        text = form.decode(errors="replace")
        if word is not None and text.encode() == form and text not in _cases(word, standardize):
            found[text] += count
    return tuple(text for text, _ in found.most_common(limit))


def for_mediapipe(assets: Mapping[str, str]) -> tuple[str, str] | None:
    """Return what MediaPipe's tokeniser needs, from the text files of a bundle; None without a vocabulary.

    Returns:
        delimiters: a regular expression of RE2. White space takes the signs beside it along, so that as many
            words are left as Keras finds; "don't" and "well-made" stay one word.
        tokens: a line "token number" for each spelling.
    """
    if not {words.VOCABULARY, words.SETTINGS} <= assets.keys():
        return None
    standardize = json.loads(assets[words.SETTINGS])["standardize"]
    vocabulary = words.lines(assets[words.VOCABULARY])[len(words.SPECIAL) :]
    numbers = {word.encode(): number for number, word in enumerate(vocabulary, len(words.SPECIAL))}
    tokens = {word: number for number, word in enumerate(words.SPECIAL)}
    for word in vocabulary:
        for form in _cases(word, standardize):
            if form not in _SPECIAL:
                tokens[form] = numbers[word.encode()]
    for form in words.lines(assets.get(FILE, "")):
        tokens[form] = numbers[words.standardized(form.encode(), standardize)]
    stripped = f"[{_SPACE}{_SIGN}]*[{_SPACE}][{_SPACE}{_SIGN}]*|^[{_SIGN}]+|[{_SIGN}]+$"
    delimiters = stripped if "strip_punctuation" in standardize else f"[{_SPACE}]+"
    return delimiters, "".join(f"{form} {number}\n" for form, number in tokens.items())


def _cases(word: str, standardize: str) -> tuple[str, ...]:
    """Return a word in lower case, with a capital and in capitals, those of ASCII alone."""
    if "lower" not in standardize:
        return (word,)
    capitals = word.encode().upper().decode()
    return tuple(dict.fromkeys((word, capitals[:1] + word[1:], capitals)))
