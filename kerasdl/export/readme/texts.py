"""How a text becomes the ids that a bundle's files take: a part of its README."""

import json
from collections.abc import Mapping
from typing import Any

from kerasdl.inference.steps import STEP
from kerasdl.preprocessing import words

#: The input that holds numbers of words, and what fills it in each language.
INPUT = "ids"
VALUES = {"python": 'ids_of("some text")', "kotlin": 'idsOf("some text")', "javascript": "idsOf('some text')"}

_TEXT = """
## From a text to `ids`

`serving_default` of the SavedModel takes texts (UTF-8) and needs none of this. All else takes the numbers of
words, int32:

1. {lower}
2. {strip}
3. Words are what stands between ASCII white space (space, `\\t`, `\\n`, `\\v`, `\\f`, `\\r`). The first
   {length} are read.
4. The number of a word is that of its line in `vocab.txt`, counted from 0. Lines 0 and 1 stand for padding
   and the unknown word: any word that is not in the file has the number 1.
5. Behind the last word: 0. TFLite files take {length} numbers. ONNX files and `serving_ids` of the SavedModel
   take any length: that of the longest text in a batch is enough.

`tokenizer.json` holds these settings, and `spellings.txt` how words were written in the training texts
besides plain cases, for tokenisers that cannot delete signs.

Python:

```python
from pathlib import Path

import numpy as np

words = Path("vocab.txt").read_bytes().split(b"\\n")[:-1]
numbers = {{word: number for number, word in enumerate(words) if number > 1}}


def ids_of(text):
    found = text.encode(){python}.split()[:{length}]
    return np.array([[numbers.get(word, 1) for word in found] + [0] * ({length} - len(found))], np.int32)
```

Kotlin (`vocab.txt` in `assets/`):

```kotlin
val numbers = context.assets.open("vocab.txt").bufferedReader().useLines {{ lines ->
    lines.withIndex().filter {{ it.index > 1 }}.associate {{ it.value to it.index }}
}}

fun idsOf(text: String): IntArray {{
    val words = text{kotlin}
        .split(Regex("[ \\\\t\\\\n\\\\u000B\\\\f\\\\r]+")).filter {{ it.isNotEmpty() }}.take({length})
    return IntArray({length}) {{ n -> if (n < words.size) numbers[words[n]] ?: 1 else 0 }}
}}
```

JavaScript:

```js
const vocabulary = await (await fetch('vocab.txt')).text();
const numbers = new Map(vocabulary.split('\\n').slice(0, -1).map((word, n) => [word, n]).slice(2));

function idsOf(text) {{
  const words = text{js}
    .split(/[ \\t\\n\\v\\f\\r]+/).filter(word => word).slice(0, {length});
  return Int32Array.from({{length: {length}}}, (_, n) => n < words.length ? numbers.get(words[n]) ?? 1 : 0);
}}
```
"""
_LOWER = {
    "python": ".lower()",
    "kotlin": "\n        .map { if (it in 'A'..'Z') it + 32 else it }.joinToString(\"\")",
    "js": ".replace(/[A-Z]/g, letter => letter.toLowerCase())",
}
_STRIP = {
    "python": """.translate(None, b"!\\"#$%&'()*+,-./:;<=>?@[\\\\]^_`{|}~")""",
    "kotlin": '\n        .replace(Regex("[!-/:-@\\\\[-`{-~]"), "")',
    "js": ".replace(/[!-\\/:-@[-`{-~]/g, '')",
}
_MEDIAPIPE = """
## MediaPipe Tasks

It takes a text itself: words and tokeniser are inside the TFLite files. It deletes no signs, so that a word
that is written in a new way ("rea-lly") is unknown to it.

```python
from mediapipe.tasks.python.text import TextClassifier  # pip install mediapipe

print(TextClassifier.create_from_model_path("{file}").classify("some text"))
```

```kotlin
val classifier = TextClassifier.createFromFile(context, "{file}")  // com.google.mediapipe:tasks-text
val found = classifier.classify("some text").classificationResult().classifications()[0].categories()
```
"""
_LOOPS = """
MediaPipe Tasks' `TextClassifier` takes texts, but no file with a loop in it. Files without one:
`kerasdl export RUN --tflite-unroll`.
"""
_STEPS = """
MediaPipe Tasks' `TextClassifier` takes texts, but no file with a second endpoint:
train without `--streaming`.
"""


def has_words(card: Mapping[str, Any], assets: Mapping[str, str]) -> bool:
    """Tell whether files of a bundle take numbers of words."""
    takes = any(INPUT in endpoint["inputs"] for endpoint in card["endpoints"])
    return takes and {words.VOCABULARY, words.SETTINGS} <= assets.keys()


def text_part(card: Mapping[str, Any], assets: Mapping[str, str]) -> str:
    """Return the part of the README about texts; none where the files take something else.

    Args:
        card: content of `card.json`.
        assets: content of the bundle's text files by name.
    """
    if not has_words(card, assets):
        return ""
    settings = json.loads(assets[words.SETTINGS])
    lower = "lower" in settings["standardize"]
    strip = "strip_punctuation" in settings["standardize"]
    code = {name: _LOWER[name] * lower + _STRIP[name] * strip for name in _LOWER}
    text = _TEXT.format(
        lower="A to Z become lower case; other letters stay as they are."
        if lower
        else "Letters stay as they are.",
        strip="ASCII punctuation is deleted, so that `don't` becomes `dont`."
        if strip
        else "Punctuation stays.",
        length=settings["max_length"],
        **code,
    )
    rows = [row for row in card["artefacts"] if row["file"].endswith(".tflite") and "error" not in row]
    if not rows or not card["labels"]:
        return text
    if any(endpoint["name"] == STEP for endpoint in card["endpoints"]):
        return text + _STEPS
    return text + (_MEDIAPIPE.format(file=rows[0]["file"]) if card.get("tflite_unroll") else _LOOPS)
