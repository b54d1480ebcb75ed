"""One session of a search: open it or go on with it, run trials, show them, write what was found."""

import contextlib
import dataclasses
import logging
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from kerasdl.errors import UsageError
from kerasdl.interruption import Interrupted, Interruptions
from kerasdl.run import Run
from kerasdl.search import folder as folders
from kerasdl.search import results
from kerasdl.search.definition import Search
from kerasdl.search.loop import DATA, Plan, Slot, Workers
from kerasdl.search.objectives import parse_constraint, parse_objective
from kerasdl.search.record import SearchRecord
from kerasdl.search.tuner import RecipeTuner
from kerasdl.search.view import View

_log = logging.getLogger(__name__)

_LOOK = 0.1  # seconds between two looks at the workers


def tune(
    search: Search,
    slots: Sequence[Slot] = (Slot("worker0"),),
    console: Console | None = None,
    crew: Callable[..., Any] = Workers,
) -> SearchRecord:
    """Search, or go on with the newest unfinished search of the same settings.

    Args:
        search: what and how.
        slots: places for trials that run at the same time, on this machine.
        console: where progress is drawn. Defaults to standard output.
        crew: makes what runs trials, of a plan, the slots and what to call on changes: `Workers`, or the
            `crew` of a `chief.Door`, for workers on other machines.

    Returns:
        What the folder of the search says.

    Raises:
        UsageError: for a space, recipe or settings that do not work.
        RunFailedError: when no trial completed, or none keeps to the constraints.
        Interrupted: after Ctrl-C or SIGTERM; the same call goes on.
    """
    console = console or Console(soft_wrap=True)
    with contextlib.ExitStack() as stack:
        interruptions = stack.enter_context(Interruptions())
        folder = open_or_create(search)
        stack.enter_context(folder.locked())
        tuner = RecipeTuner(search.oracle(), search.space, search.recipe, folder.path)
        _note(folder, search, finished=False)
        plan = make_plan(search, tuner, folder.path)
        view = stack.enter_context(View(folder.path, search.max_trials, console))
        stack.callback(shutil.rmtree, folder.path / DATA, ignore_errors=True)
        with interruptions.deferred(), crew(plan, slots, view.changed) as workers:
            view.workers = workers
            asked_to_stop = False
            while workers.are_working():
                if interruptions.signum is not None and not asked_to_stop:
                    workers.stop()
                    asked_to_stop = True
                if view.refresh():
                    results.write_best(folder, view.known)
                time.sleep(_LOOK)
            view.refresh()
            signum, interruptions.signum = interruptions.signum, None
        if workers.error is not None:
            raise workers.error
        if signum is None:
            _note(folder, search, finished=True)
        found = results.write(folder)
    if signum is not None:
        raise Interrupted(f"Stopped; trials go on where they are. Go on with\n  {_command()}", signum)
    return results.judge(found, tuner.oracle)


def open_or_create(search: Search) -> Run:
    """Return the folder of a search that goes on, or a new one."""
    identity = search.settings.identity(search.recipe, search.space_file)
    folder = folders.open_search(
        search.root, search.recipe, identity, max_trials=search.max_trials, new=search.new
    )
    if folder is not None:
        ended = len(list(folder.path.glob("trial_*/trial.json")))
        _log.info(f"Going on with {folder.path}, {ended} trials so far.")
        return folder
    # What cannot work is said before there is a folder.
    check_space(search)
    document = {
        "name": search.recipe.name,
        "pipeline": search.pipeline,
        **dataclasses.asdict(search.settings),
        "method": search.oracle().method,
        "max_trials": search.max_trials,
        "command": _command(),
        "identity": identity,
        "finished": False,
    }
    folder = folders.create(search.root, search.recipe, search.recipe_source, search.space_file, document)
    _log.info(f"Search  {folder.path}")
    return folder


def check_space(search: Search) -> None:
    """Raise a UsageError for a space that does not give a recipe of its own defaults."""
    with tempfile.TemporaryDirectory(prefix="kerasdl-space-") as place:
        tuner = RecipeTuner(search.oracle(), search.space, search.recipe, Path(place) / "1")
        tuner.build(tuner.oracle.get_space())


def make_plan(search: Search, tuner: RecipeTuner, folder: Path) -> Plan:
    """Return what workers need."""
    aims = [*map(parse_objective, search.objectives), *map(parse_constraint, search.constraints)]
    return Plan(
        tuner=tuner,
        folder=folder,
        types=folder,
        names=tuple(dict.fromkeys(aim.name for aim in aims)),
        pruner=search.settings.pruner,
        retries=search.retries,
    )


def _note(folder: Run, search: Search, *, finished: bool) -> None:
    document = folders.read_document(folder.path)
    folder.write(folders.FILE_NAME, {**document, "max_trials": search.max_trials, "finished": finished})


def make_slots(num_workers: int | None, gpus: Sequence[str] = ()) -> list[Slot]:
    """Return a slot for each worker: one GPU each where they are named, else equal shares of the cores.

    Raises:
        UsageError: when there are to be fewer than one, or another number than GPUs.
    """
    if num_workers is not None and num_workers < 1:
        raise UsageError(f"--workers is {num_workers}, but at least 1 is needed.")
    if gpus:
        if num_workers not in (None, len(gpus)):
            raise UsageError(
                f"--workers is {num_workers}, but --gpus names {len(gpus)}. Leave --workers out."
            )
        return [Slot(f"worker{index}", gpus=gpu) for index, gpu in enumerate(gpus)]
    count = num_workers or 1
    threads = None if count == 1 else max(1, (os.cpu_count() or 1) // count)
    return [Slot(f"worker{index}", num_threads=threads) for index in range(count)]


def _command() -> str:
    """Return what was typed."""
    program = Path(sys.argv[0])
    typed = ["python", str(program)] if program.suffix == ".py" else [program.name]
    return shlex.join([*(["kerasdl"] if program.name == "__main__.py" else typed), *sys.argv[1:]])
