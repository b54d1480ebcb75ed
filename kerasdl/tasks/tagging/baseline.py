"""The tag that each word most often has in training: what a tagger has to beat."""

import collections

import numpy as np

from kerasdl.data.dataset import Dataset
from kerasdl.data.splits import ArraySplit, Split
from kerasdl.tasks.tagging import figures


def of_words(data: Dataset, split: Split) -> dict[str, float] | None:
    """Return accuracy and F1 of the most frequent tag of each word; of unknown words that of all tokens.

    None where the tokens do not lie in memory.
    """
    if not (isinstance(data.train, ArraySplit) and isinstance(split, ArraySplit)):
        return None
    (features, targets, _), (asked, true, _) = (part.part(slice(None)) for part in (data.train, split))
    counts: dict[bytes, collections.Counter] = collections.defaultdict(collections.Counter)
    mask = targets > 0
    for token, tag in zip(features[mask].tolist(), targets[mask].tolist(), strict=True):
        counts[token][tag] += 1
    usual = {token: tags.most_common(1)[0][0] for token, tags in counts.items()}
    most = int(np.bincount(targets[mask]).argmax())
    given, mask = np.zeros_like(true), true > 0
    given[mask] = [usual.get(token, most) for token in asked[mask].tolist()]
    found = figures.short(given, true, data.spec.class_names)
    return {name: found[name] for name in ("accuracy", "f1")}
