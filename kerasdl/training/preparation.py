"""Prepares examples for training: fits the preprocessing, and does once what each step would do again."""

import dataclasses
from collections.abc import Mapping

import keras

from kerasdl.data import batches
from kerasdl.data.dataset import Dataset
from kerasdl.data.ragged import RaggedSplit
from kerasdl.data.splits import ArraySplit, Split
from kerasdl.preprocessing.preprocessing import Preprocessing
from kerasdl.recipe import Config
from kerasdl.report import terminal


def make_preprocessing(config: Config | None, data: Dataset, batch_size: int) -> keras.Layer | None:
    """Build a recipe's preprocessing and fit it to the training split.

    Raises:
        UsageError: when it does not suit the data.
    """
    if config is None:
        return None
    layer = config.build()
    read, total = 0, len(data.train)

    def examples():
        nonlocal read
        read = 0
        dataset = batches.evaluation_batches(data.train, batch_size=batch_size)
        for features, *_ in dataset.as_numpy_iterator():
            yield features
            read = min(read + batch_size, total)

    if isinstance(layer, Preprocessing):  # any other layer of Keras needs nothing of the data
        layer.check(data.spec.inputs)
        with terminal.status(lambda: f"Fitting the preprocessing: {read:,}/{total:,} examples"):
            layer.fit(examples)
    return layer


def encoded(data: Dataset, preprocessing: keras.Layer | None) -> Dataset:
    """Return the examples as training reads them: what the preprocessing can do beforehand is done.

    Args:
        data: raw examples; the test split stays as it is.
        preprocessing: the fitted layer.
    """
    if not isinstance(preprocessing, Preprocessing):
        return data
    train, validation = (_encoded(split, preprocessing) for split in (data.train, data.validation))
    if train is None or validation is None:
        return data
    # Validation looks at sums alone, and sorted sequences need hardly any padding.
    return dataclasses.replace(data, train=train, validation=validation.by_length())


def _encoded(split: Split, preprocessing: Preprocessing) -> RaggedSplit | None:
    if not isinstance(split, ArraySplit) or isinstance(split.features, Mapping):
        return None
    rows = preprocessing.encode(split.features)
    return None if rows is None else RaggedSplit(rows, split.targets, split.weights)
