"""One session of a search: open or continue it, run and show trials, write the results."""

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

import keras_tuner
import tensorflow as tf
from rich.console import Console

from kerasdl.errors import UsageError
from kerasdl.report import terminal
from kerasdl.report.live import LivePage
from kerasdl.runs.folder import Run
from kerasdl.search import folder as folders
from kerasdl.search import results
from kerasdl.search.definition import Search
from kerasdl.search.keras_tuner.tuner import RecipeTuner, recipe_of
from kerasdl.search.record import SearchRecord
from kerasdl.search.show.live import View
from kerasdl.search.trials.workers import DATA, Plan, Slot, Workers
from kerasdl.training.interruption import Interrupted, Interruptions

_log = logging.getLogger(__name__)

_POLL = 0.1  # seconds between two checks of the workers
_FOR_THE_PAGE = 0.05  # of the time, at most
_DRAWS = 64  # samples that a space is checked with


def tune(
    search: Search,
    slots: Sequence[Slot] = (Slot("worker0"),),
    console: Console | None = None,
    crew: Callable[..., Any] = Workers,
) -> SearchRecord:
    """Search, or continue the newest unfinished search with the same settings.

    Args:
        search: settings of the search.
        slots: places for trials that run at the same time on this machine.
        console: console for the progress. Defaults to standard output.
        crew: function of a plan, the slots and a callback for changes that returns the context manager which
            runs trials: `Workers`, or the `crew` of a `chief.Door` for workers on other machines.

    Returns:
        The record of the search.

    Raises:
        UsageError: for a space, recipe or settings that do not work.
        RunFailedError: when no trial completed, or none satisfies the constraints.
        Interrupted: after Ctrl-C or SIGTERM; the same call continues the search.
    """
    console = console or terminal.open_console(soft_wrap=True)
    with contextlib.ExitStack() as stack:
        interruptions = stack.enter_context(Interruptions())
        before = find(search)
        folder = before or create(search)
        stack.enter_context(folder.locked())
        if before is not None:
            folders.keep_sources(folder, search.recipe, search.recipe_source, search.space_file)
        tuner = RecipeTuner(search.oracle(), search.space, search.recipe, folder.path)
        num_ended = len(tuner.oracle.end_order)
        said = f"Search  {folder.path}" if before is None else f"Continuing {folder.path}"
        _log.info(f"{said}; trials that have ended: {num_ended}" if before else said)
        _note(folder, search, finished=False)
        plan = make_plan(search, tuner, folder.path)
        view = stack.enter_context(View(folder.path, search.max_trials, console))
        stack.callback(shutil.rmtree, folder.path / DATA, ignore_errors=True)
        with interruptions.deferred(), crew(plan, slots, view.changed) as workers:
            view.workers = workers
            asked_to_stop, known = False, view.known
            live = LivePage(lambda: results.write_page(view.known, live=True), _FOR_THE_PAGE)
            is_stale = False
            while workers.are_working():
                if interruptions.signum is not None and not asked_to_stop:
                    workers.stop()
                    asked_to_stop = True
                if view.refresh():
                    results.write_best(folder, view.known)
                is_stale |= view.known is not known
                known = view.known
                if is_stale and live.update():
                    is_stale = False
                time.sleep(_POLL)
            view.refresh()
            signum, interruptions.signum = interruptions.signum, None
        if workers.error is not None and signum is None:
            if before is None and isinstance(workers.error, UsageError) and not tuner.oracle.end_order:
                shutil.rmtree(folder.path)  # no trial can run
            raise workers.error
        if signum is None:
            _note(folder, search, finished=True, exhausted=_is_exhausted(search, tuner.oracle))
        found = results.write(folder)
    if signum is not None:
        raise Interrupted(
            f"Stopped. Running trials wrote checkpoints. To continue the search:\n  {command()}", signum
        )
    return results.judge(found, tuner.oracle)


def find(search: Search) -> Run | None:
    """Return the folder of the search to continue; None where there is none."""
    return folders.open_search(
        search.searches_dir,
        search.recipe,
        search.settings.identity(search.recipe, search.space_file),
        max_trials=search.max_trials,
        new=search.new,
    )


def create(search: Search) -> Run:
    """Create the folder of a new search, after checking its space.

    Raises:
        UsageError: for a space that does not work, or a folder that cannot be created.
    """
    check_space(search)
    document = {
        "name": search.recipe.name,
        "pipeline": search.pipeline,
        **dataclasses.asdict(search.settings),
        "method": search.oracle().method,
        "max_trials": search.max_trials,
        "command": command(),
        "identity": search.settings.identity(search.recipe, search.space_file),
        "finished": False,
    }
    return folders.create(
        search.searches_dir, search.recipe, search.recipe_source, search.space_file, document
    )


def check_space(search: Search) -> None:
    """Raise a UsageError for a space that fails, or draws more for other values than for its defaults."""
    with tempfile.TemporaryDirectory(prefix="kerasdl-space-") as place:
        tuner = RecipeTuner(search.oracle(), search.space, search.recipe, Path(place) / "1")
        known = tuner.oracle.get_space()
    recipe_of(search.space, search.recipe, known.copy())
    for draw in range(_DRAWS):
        hps = keras_tuner.HyperParameters()
        for index, hp in enumerate(known.space):
            hps.merge([hp])
            if hps.is_active(hp):
                hps.values[hp.name] = hp.random_sample(1000 * draw + index)
        with contextlib.suppress(UsageError):  # values that contradict each other fail their trial
            recipe_of(search.space, search.recipe, hps)
        if more := [hp.name for hp in hps.space[len(known.space) :]]:
            raise UsageError(
                f"The space draws {', '.join(more)} for some values only, so that it would not be searched. "
                "Put the `if` inside `with hp.conditional_scope(parent, values):`, not around it."
            )


def _is_exhausted(search: Search, oracle: Any) -> bool:
    """Tell whether the space has fewer different values than trials, and log it."""
    num_trials = len(oracle.end_order)
    exhausted = search.max_trials is not None and num_trials < search.max_trials and not oracle.has_failed()
    if exhausted:
        _log.info(f"The space is exhausted after {num_trials} trials.")
    return exhausted


def make_plan(search: Search, tuner: RecipeTuner, folder: Path) -> Plan:
    """Return the plan that workers follow."""
    return Plan(
        tuner=tuner,
        folder=folder,
        types=folder,
        names=tuple(dict.fromkeys(aim.name for aim in (*search.aims, *search.limits))),
        preload=tuple(_shipped_modules(search.recipe.task)),
        pruner=search.settings.pruner,
        retries=search.retries,
    )


def _shipped_modules(part: Any) -> list[str]:
    """Return the module of kerasdl that defines a part of a recipe, or the class that it inherits."""
    modules = [kind.__module__ for kind in type(part).__mro__]
    return [module for module in modules if module.startswith("kerasdl.")][:1]


def _note(folder: Run, search: Search, **state: bool) -> None:
    document = folders.read_document(folder.path)
    folder.write(folders.FILE_NAME, {**document, "max_trials": search.max_trials, **state})


def make_slots(num_workers: int | None, gpus: Sequence[str] = ()) -> list[Slot]:
    """Return a slot for each worker: one GPU each where GPUs are named, else equal shares of the cores.

    Raises:
        UsageError: for fewer workers than one, or another number than GPUs.
    """
    if num_workers is not None and num_workers < 1:
        raise UsageError(f"--workers is {num_workers}, but at least 1 is needed.")
    if gpus:
        if num_workers not in (None, len(gpus)):
            raise UsageError(
                f"--workers is {num_workers}, but --gpus names {len(gpus)}. Leave --workers out."
            )
        _check_gpus(gpus)
        return [Slot(f"worker{index}", gpus=gpu) for index, gpu in enumerate(gpus)]
    count = num_workers or 1
    threads = None if count == 1 else max(1, (os.cpu_count() or 1) // count)
    return [Slot(f"worker{index}", num_threads=threads) for index in range(count)]


def _check_gpus(gpus: Sequence[str]) -> None:
    count = len(tf.config.list_physical_devices("GPU"))
    for gpu in gpus:
        if gpu.isdecimal() and int(gpu) >= count:
            there = f"GPUs 0 to {count - 1}" if count else "no GPUs that TensorFlow sees"
            raise UsageError(f"--gpus names {gpu}, but this machine has {there}.")


def command() -> str:
    """Return the command that goes on with the search: what was typed, but for --new."""
    program = Path(sys.argv[0])
    typed = ["python", str(program)] if program.suffix == ".py" else [program.name]
    given = [word for word in sys.argv[1:] if word != "--new"]
    return shlex.join([*(["kerasdl"] if program.name == "__main__.py" else typed), *given])
