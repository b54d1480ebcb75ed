"""The judge that is trained where none is named: a LeNet-5 on the same data."""

import dataclasses

from kerasdl.data.dataset import Dataset
from kerasdl.data.source import Source
from kerasdl.recipe import Recipe, catalog

NAME = "judge"

_UPDATES, _EPOCHS = 1200, 4  # at least
_BATCH = 64
_SMALLEST = 28  # pixels of a side that LeNet-5 was made for: smaller images are enlarged
_LARGEST = 64  # larger ones are made smaller


def recipe(source: Source, data: Dataset) -> Recipe | None:
    """Return the recipe of the judge, settled, so that an earlier run of it is found again by its recipe.

    Args:
        source: the source of the data.
        data: what was loaded from it.

    Returns:
        None for data with fewer than two classes, which no classifier can be trained on.
    """
    if len(data.spec.class_names) < 2:
        return None
    height, width, channels = data.spec.inputs.shape
    size = tuple(min(max(side, _SMALLEST), _LARGEST) for side in (height, width))
    known, _ = catalog.load("lenet5")
    batch_size = min(_BATCH, max(1, len(data.train) // 8))
    return dataclasses.replace(
        known,
        name=NAME,
        data=source,
        task=dataclasses.replace(known.task, judge_by="accuracy"),
        preprocessing=known.preprocessing.replace(size=size, channels=channels),
        epochs=max(_EPOCHS, -(-_UPDATES // max(1, len(data.train) // batch_size))),
        min_steps=0,
        min_steps_per_epoch=0,
        batch_size=batch_size,
        strategy="none",
    )
