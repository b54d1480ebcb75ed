"""Loads the data of a recipe, as its network and task take it."""

import dataclasses
import logging

from kerasdl.data.dataset import Dataset
from kerasdl.data.source import Source
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Recipe
from kerasdl.report import terminal

_log = logging.getLogger(__name__)


def sized(recipe: Recipe) -> Recipe:
    """Return a recipe whose data gives what its network and task take: images of a size, without classes."""
    if not recipe.task.needs_classes:
        recipe = dataclasses.replace(recipe, data=recipe.data.without_classes())
    config = recipe.preprocessing
    if config is None or not issubclass(config.target, ImagePreprocessing):
        return recipe
    wanted = config.values.get("size"), config.values.get("channels")
    return dataclasses.replace(recipe, data=recipe.data.sized_for(*wanted))


def load(source: Source) -> Dataset:
    """Load the data of a recipe, and log its notes."""
    _log.info(f"Loading the data ({type(source).__name__}) ...")
    with terminal.status("Loading the data"):
        dataset = source.load()
    for note in dataset.notes:
        _log.warning(note)
    return dataset
