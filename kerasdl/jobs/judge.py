"""Finds or trains the run that a task judges results with, such as a classifier of generated images."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

from kerasdl.data.dataset import Dataset
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.recipe import Recipe
from kerasdl.runs.folder import Run

_log = logging.getLogger(__name__)


def settled(recipe: Recipe, data: Dataset, runs_dir: Path, train: Callable[[Recipe], Run]) -> Recipe:
    """Return a recipe whose task has its judge, where it needs one: an earlier run, or a new one.

    Args:
        recipe: the recipe of a run.
        data: its data, which the judge is trained on too.
        runs_dir: folder of the runs of all pipelines.
        train: trains a recipe on this data without exporting it.
    """
    if not recipe.task.wants_judge:
        return recipe
    wanted = recipe.task.judge_recipe(recipe.data, data)
    if wanted is None:
        return dataclasses.replace(recipe, task=recipe.task.judged_by("none"))
    found = _find(wanted, data.fingerprint, runs_dir / wanted.name)
    if found is None:
        _log.info(
            f"First a judge is trained, {wanted.model.target.__name__} on the same data. Another one: "
            "--judge RUN, none: --judge none."
        )
        found = train(wanted)
    else:
        _log.info(f"Results are judged with {found.path}.")
    return dataclasses.replace(recipe, task=recipe.task.judged_by(str(found.path)))


def _find(wanted: Recipe, fingerprint: str, folder: Path) -> Run | None:
    """Return the newest finished run of a recipe on this data."""
    numbers = sorted((int(path.name) for path in folder.glob("*") if path.name.isdecimal()), reverse=True)
    for run in (Run(folder / str(number)) for number in numbers):
        try:
            same = run.is_finished() and run.data()["fingerprint"] == fingerprint
            if same and dataclasses.replace(run.recipe(), data=wanted.data) == wanted:
                return run
        except (UsageError, RunFailedError):  # of another version, or damaged
            continue
    return None
