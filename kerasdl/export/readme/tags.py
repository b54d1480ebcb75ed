"""How tokens become the ids that a tagger's files take, and its answer tags: a part of a bundle's README."""

from collections.abc import Mapping
from typing import Any

from kerasdl.preprocessing import tokens

_TEXT = """
## From tokens to `ids`, and from `tag_ids` to tags

`serving_default` of the SavedModel takes tokens (sentences, tokens), UTF-8, with "" behind the end of the
shorter ones, and needs none of this. All else takes three numbers for each token, int32 (sentences, tokens,
3): of its word, of the end of the word, and of its shape. 0 is padding, 1 whatever is not in the file; the
number of a value is that of its line in `words.txt`, `suffixes.txt` or `shapes.txt`, counted from 2. TFLite
files take {length} tokens, with 0 behind the last one; ONNX files and `serving_ids` take any number.

```python
import re
from pathlib import Path
import numpy as np

tables = [
    {{value: n for n, value in enumerate(Path(name).read_text("utf-8").split("\\n")[:-1], 2)}}
    for name in ("words.txt", "suffixes.txt", "shapes.txt")
]

def ids_of(tokens, length={length}):
    ids = np.zeros((length, 3), np.int32)
    for row, token in zip(ids, tokens):
        word = re.sub("[0-9]", "0", token.encode().lower().decode())  # A to Z become lower case
        shape = token
        for pattern, mark in {shapes!r}:
            shape = re.sub(pattern, mark, shape)
        row[:] = [table.get(value, 1) for table, value in zip(tables, (word, word[-{suffix}:], shape))]
    return ids

ids = ids_of(["Anna", "sings"])[None]  # for one sentence, (1, {length}, 3)
```

`tag_ids` holds a number for each token, that of the tag's line in `labels.txt` counted from 1, and 0 behind
the end; `probabilities` (sentences, tokens, tags) hold how probable each tag is by itself. A network with
`--crf` gives the best sequence of tags as a whole, which may differ from the most probable tag of each
token.
"""


def has_tokens(card: Mapping[str, Any], assets: Mapping[str, str]) -> bool:
    """Tell whether files of a bundle take numbers of tokens."""
    return {*tokens.FILES, tokens.SETTINGS} <= assets.keys()


def tags_part(card: Mapping[str, Any], assets: Mapping[str, str]) -> str:
    """Return the part of the README about tokens and tags; none where the files take something else.

    Args:
        card: content of `card.json`.
        assets: content of the bundle's text files by name.
    """
    if not has_tokens(card, assets):
        return ""
    length = tokens.TokenNumbers(assets).phone_length
    return _TEXT.format(length=length, shapes=tokens.SHAPE, suffix=tokens.SUFFIX)
