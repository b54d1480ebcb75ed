"""Loads the data of a recipe, as its network and task take it."""

import dataclasses
import logging
from pathlib import Path

from kerasdl.data.dataset import Dataset
from kerasdl.data.source import Source
from kerasdl.errors import UsageError
from kerasdl.jobs import misfit
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Recipe
from kerasdl.report import terminal
from kerasdl.tasks.task import Task

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


def load(source: Source, task: Task) -> Dataset:
    """Load the data of a recipe, and log its notes.

    Args:
        source: where it is read from.
        task: what it is read for.

    Raises:
        UsageError: when it cannot be read, or is not what the task takes; names the pipeline that takes it.
    """
    _log.info(f"Loading the data ({type(source).__name__}) ...")
    try:
        with terminal.status("Loading the data"):
            dataset = source.load()
    except UsageError as error:
        if source.place is not None and not Path(source.place).expanduser().exists():
            raise
        misfit.check(source, task, None)
        raise misfit.explained(error, source) from error
    misfit.check(source, task, dataset.spec)
    for note in dataset.notes:
        _log.warning(note)
    return dataset
