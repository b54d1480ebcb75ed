"""The first test texts, whose attention a page shows where few answers are wrong."""

import numpy as np

from kerasdl.data.dataset import Dataset
from kerasdl.data.passes import split_batches
from kerasdl.inference.endpoint import Arrays
from kerasdl.inference.predictor import Predictor
from kerasdl.inference.word_numbers import tokenizer
from kerasdl.tasks.classification import attention, figures, files

#: Texts whose attention a page shows.
NUM_SHOWN = 8
#: Before the names of what is kept of the first ones.
FIRST = "first_"


def answered(predictor: Predictor, data: Dataset) -> Arrays:
    """Return the answers to the first test texts with the attention over their words.

    Returns:
        `first_indices`, `first_labels`, `first_class_ids`, `first_confidence` (K,), and `first_words` and
        `first_attention` (K, T) as of `attention.over_words`; empty for other networks and examples.
    """
    if predictor.network is None or tokenizer(predictor.network, data.spec) is None:
        return {}
    indices = np.arange(min(NUM_SHOWN, len(data.test)))
    features, labels, *_ = next(iter(split_batches(data.test.select(indices))()))
    found = attention.over_words(predictor.network, data.spec, features)
    if not found:
        return {}
    answers = predictor.predict(features)
    class_ids = files.class_ids(answers)
    confidence = figures.confidences(answers["probabilities"], class_ids)
    kept = {"indices": indices, "labels": labels, "class_ids": class_ids, "confidence": confidence, **found}
    return {FIRST + name: values for name, values in kept.items()}
