"""Finds or trains the run that a task judges results with, such as a classifier of generated images."""

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from kerasdl.data.dataset import Dataset
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.jobs import recipe_data
from kerasdl.jobs.stages import Options, Stages
from kerasdl.recipe import Recipe
from kerasdl.report import terminal
from kerasdl.runs.folder import Run, create

_log = logging.getLogger(__name__)


def settled(recipe: Recipe, data: Dataset, runs_dir: Path, train: Callable[[Recipe, Dataset], Run]) -> Recipe:
    """Return a recipe whose task has its judge, where it needs one: an earlier run, or a new one.

    Args:
        recipe: the recipe of a run.
        data: its data, which the judge is trained on too.
        runs_dir: folder of the runs of all pipelines.
        train: trains a recipe on data without exporting it.

    Raises:
        UsageError: for arguments that the network does not take, before a judge is trained.
    """
    if not recipe.task.wants_judge:
        return recipe
    wanted = recipe.task.judge_recipe(recipe.data, data)
    if wanted is None:
        return dataclasses.replace(recipe, task=recipe.task.judged_by("none"))
    found = _find(wanted, data.fingerprint, runs_dir / wanted.name)
    if found is None:
        recipe.model.build(**recipe.task.network_arguments(data.spec))  # or fail before the judge's training
        _log.info(
            f"First a judge is trained, {wanted.model.target.__name__} on the same data. Another one: "
            "--judge RUN, none: --judge none."
        )
        found = train(wanted, data)
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


def settler(runs_dir: Path, console: Console, dry_run: bool = False) -> Callable[[Recipe, Dataset], Recipe]:
    """Return the function from a recipe and its data to the recipe with a judge that is trained if needed.

    Args:
        runs_dir: folder of the runs of all pipelines.
        console: where is said which run the judge is.
        dry_run: whether two batches are enough.
    """
    train = functools.partial(_train, runs_dir=runs_dir, console=console, dry_run=dry_run)
    return functools.partial(settled, runs_dir=runs_dir, train=train)


def judged(recipe: Recipe, runs_dir: str | Path = "runs", console: Console | None = None) -> Recipe:
    """Return the recipe of a search, whose task has its judge where trials aim at what a judge tells.

    Args:
        recipe: the recipe of runs to come.
        runs_dir: folder of the runs of all pipelines.
        console: where is said which run it is. Defaults to standard output.
    """
    if not recipe.task.wants_judge or set(recipe.task.objectives_of(recipe.model.target)) <= {"val_loss"}:
        return recipe
    data = recipe_data.load(recipe_data.sized(recipe).data, recipe.task)
    return settler(Path(runs_dir), console or terminal.open_console(soft_wrap=True))(recipe, data)


def _train(recipe: Recipe, data: Dataset, runs_dir: Path, console: Console, dry_run: bool) -> Run:
    """Train the run that others are judged with, on data that is loaded already."""
    if dry_run:
        recipe = dataclasses.replace(recipe, epochs=1)
    options = Options(exported_dir="exported", export=False, embed_samples=False)

    def start(resolved: Recipe, fingerprint: str):
        run = create(runs_dir, resolved, **options.status())
        stack.enter_context(run.locked())
        return run, None

    with contextlib.ExitStack() as stack:
        found = Stages(
            recipe=recipe,
            options=options,
            runs_dir=runs_dir,
            start=start,
            console=terminal.open_console(quiet=True),
            dry_run=dry_run,
            loaded=data,
        ).work()
        said = found.recipe.task.summary(found.metrics) if found.metrics else ""
        console.print(f"Judge   {found.run.path}  {said}".rstrip(), highlight=False)
        return found.run
