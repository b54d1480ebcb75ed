"""One trial in its own process: an ordinary training run, continued from its last checkpoint."""

import dataclasses
import functools
import hashlib
import json
import logging
import os
import pickle
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from kerasdl import environment
from kerasdl.errors import MachineError, RunFailedError, UsageError
from kerasdl.recipe import trust
from kerasdl.report import terminal
from kerasdl.search.trials import outcomes
from kerasdl.search.trials.outcomes import Outcome
from kerasdl.training.interruption import Interrupted

if TYPE_CHECKING:
    from kerasdl.data.dataset import Dataset
    from kerasdl.data.source import Source
    from kerasdl.tasks.task import Task

#: Gets the metrics of an epoch; returns a reason to stop, or None.
Observer = Callable[[Mapping[str, float]], str | None]


class _NoDataError(UsageError):
    """The data cannot be loaded, in no trial."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """The work of a trial's process.

    Attributes:
        folder: folder of the trial; its runs are made in it.
        recipe: recipe as JSON.
        types: folder with the `recipe.py` that defines types of the recipe.
        data: folder where decoded data is kept while the search runs.
        trusted: hashes of the code that the search may run, and its trials with it.
        formats: formats to export and measure.
        tflite_modes: modes of the TFLite files.
        asks: whether the trial waits after each epoch for a reason to stop, or None.
        num_threads: size of TensorFlow's thread pools; None for TensorFlow's default.
        gpus: value of `CUDA_VISIBLE_DEVICES`; None leaves it unchanged.
    """

    folder: Path
    recipe: str
    types: Path
    data: Path
    trusted: frozenset[str] = frozenset()
    formats: tuple[str, ...] = ()
    tflite_modes: tuple[str, ...] = ()
    asks: bool = False
    num_threads: int | None = None
    gpus: str | None = None


def main(job: Job, pipe: Connection, lifeline: Connection) -> None:
    """Run a trial; send the metrics of each epoch (dict), then the `Outcome`, through `pipe`.

    Args:
        job: work of the trial.
        pipe: connection to the search.
        lifeline: connection that carries nothing; it closes when the search's process ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the search, which asks trials to stop
    threading.Thread(target=_die_with_the_search, args=(lifeline,), daemon=True).start()
    log = os.open(job.folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    terminal.begin_logging()
    environment.limit(job.num_threads, job.gpus)
    pipe.send(run(job, functools.partial(_observe, job, pipe)))


def run(job: Job, observe: Observer) -> Outcome:
    """Run a trial in this process; no exception leaves it.

    Args:
        job: work of the trial.
        observe: function that gets the metrics of each epoch and returns a reason to stop, or None.
    """
    trust.allow(job.trusted)
    try:
        job.data.mkdir(exist_ok=True)
        tempfile.tempdir = tempfile.mkdtemp(dir=job.data)  # what TensorFlow leaves there goes with the search
        return _run(job, observe)
    except Interrupted as error:
        return Outcome(status="interrupted", reason=str(error))
    except (_NoDataError, MachineError) as error:
        return Outcome(status="misused" if isinstance(error, UsageError) else "halted", reason=str(error))
    except (UsageError, RunFailedError) as error:
        return Outcome(status="failed", reason=str(error))
    except OSError as error:  # before the run has a folder
        return Outcome(status="halted", reason=f"{job.folder} cannot be written to: {error}.")
    except Exception as error:
        logging.exception("The trial crashed.")
        return Outcome(status="crashed", reason=f"{type(error).__name__}: {error}")


def _die_with_the_search(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGKILL)  # the last checkpoint is whole; there is nobody to tell


def _run(job: Job, observe: Observer) -> Outcome:
    from kerasdl.jobs.resume import resume
    from kerasdl.jobs.train import train
    from kerasdl.jobs.trial import Trial
    from kerasdl.recipe.document import from_json

    recipe = from_json(job.recipe, folder=job.types, own=True)
    begun = time.perf_counter()
    run, before = _unfinished(job.folder / recipe.name)
    if run is not None and (outcome := outcomes.recorded(run)) is not None:
        return outcome
    trial = Trial(
        load=functools.partial(_load, job.data),
        observe=observe,
        formats=job.formats,
        tflite_modes=job.tflite_modes,
    )
    options = {
        "exported_dir": job.folder / "exported",
        "export": bool(job.formats),
        "embed_samples": False,
        "trial": trial,
        "console": terminal.open_console(file=sys.stdout, soft_wrap=True),
    }
    if run is None:
        source = job.types / "recipe.py"
        result = train(
            recipe, runs_dir=job.folder, recipe_source=source if source.is_file() else None, **options
        )
    else:
        result = resume(run.path, **options)
    exported = job.folder / "exported" if job.formats else None
    outcome = outcomes.read(result.run, exported, {*recipe.task.columns, "latency_ms"})
    seconds = before + time.perf_counter() - begun
    outcome = dataclasses.replace(outcome, figures={**outcome.figures, "trial_seconds": round(seconds, 3)})
    result.run.write(outcomes.FILE_NAME, dataclasses.asdict(outcome))
    shutil.rmtree(job.folder / "exported", ignore_errors=True)  # measured; the winner is exported anew
    shutil.rmtree(result.run.checkpoints, ignore_errors=True)
    return outcome


def _unfinished(folder: Path):
    """Return a run that can be resumed or is done, and its seconds of training; None to start anew."""
    from kerasdl.runs.folder import Run

    if not folder.is_dir():
        return None, 0.0
    numbers = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
    if not numbers:
        return None, 0.0
    run = Run(folder / str(max(numbers)))
    status = run.read_json("status.json")
    if not run.recipe_file.is_file() or status.get("error") or run.is_active():
        return None, 0.0
    return run, status.get("elapsed_seconds", 0.0)


def _observe(job: Job, pipe: Connection, figures: Mapping[str, float]) -> str | None:
    pipe.send(dict(figures))
    return pipe.recv() if job.asks else None


def _load(folder: Path, source: "Source", task: "Task") -> "Dataset":
    """Load the data of a recipe; data in memory is cached on disk for the other trials of the search."""
    from kerasdl.data.splits import ArraySplit
    from kerasdl.files import replacing
    from kerasdl.jobs import recipe_data
    from kerasdl.recipe.document import encode

    key = hashlib.sha256(json.dumps(encode(source), sort_keys=True).encode()).hexdigest()[:16]
    file = folder / f"{key}.pickle"
    if file.is_file():
        with file.open("rb") as stream:
            return pickle.load(stream)
    try:
        splits = recipe_data.load(source, task)
    except (UsageError, RunFailedError) as error:
        raise _NoDataError(str(error)) from error
    if all(isinstance(split, ArraySplit) for split in (splits.train, splits.validation, splits.test)):
        with replacing(file) as temporary, temporary.open("wb") as stream:
            pickle.dump(splits, stream, protocol=5)
    return splits
