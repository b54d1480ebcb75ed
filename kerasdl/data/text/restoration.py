"""Makes a tagging problem of any text: capitals and punctuation are taken out, and to be told again."""

import re

from kerasdl.data.text.columns import Sentence

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
#: Punctuation behind a word that is told, and how its tag ends; all other signs are left out.
_SIGNS = {",": "COMMA", ".": "PERIOD", "?": "QUESTION", "!": "BANG", ";": "SEMICOLON", ":": "COLON"}
_WINDOW = (
    40  # words of a sentence: longer ones would have lines behind each other that have nothing in common
)


def sentences(text: str) -> list[Sentence]:
    """Return lower-case words of a text, 40 at a time, with their tags.

    A tag says how the word is written, `cap` (first letter) or `low`, and the sign behind it: "cap,COMMA",
    "low". A sign behind a word is the first that follows it before the next word.
    """
    words, tags = [], []
    matches = list(_WORD.finditer(text))
    ends = [match.start() for match in matches[1:]] + [len(text)]
    for match, end in zip(matches, ends, strict=True):
        between = text[match.end() : end]
        sign = next((_SIGNS[letter] for letter in between if letter in _SIGNS), "")
        word = match.group()
        words.append(word.lower())
        tags.append(("cap" if word[0].isupper() else "low") + (f",{sign}" if sign else ""))
    return [
        (words[start : start + _WINDOW], tags[start : start + _WINDOW])
        for start in range(0, len(words), _WINDOW)
    ]
