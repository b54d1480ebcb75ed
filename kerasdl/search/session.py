"""One session of a search: open it or go on with it, run trials, show them, write what was found."""

import contextlib
import dataclasses
import logging
import os
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from kerasdl import catalog
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.interruption import Interrupted, Interruptions
from kerasdl.recipe import Recipe
from kerasdl.run import Run
from kerasdl.search import folder as folders
from kerasdl.search import hparams, record, summary
from kerasdl.search.loop import DATA, Plan, Slot, Workers
from kerasdl.search.objectives import artefact_of, parse_constraint, parse_objective
from kerasdl.search.oracles import ORACLES
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.tuner import RecipeTuner, SpaceFunction, recipe_of_trial
from kerasdl.serialization import encode, to_json

_log = logging.getLogger(__name__)

BEST = "best.json"
PARETO = "pareto.json"
_LOOK = 0.1  # seconds between two looks at the workers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """What is to be searched, and how.

    Attributes:
        recipe: whose values are the defaults and trial 0; its seed is that of the search.
        space: of the recipe.
        space_file: file of the space.
        recipe_source: file the recipe came from.
        tuner: name of an oracle: bayesian, random, grid, hyperband, keras-bayesian.
        max_trials: of the search; None for the tuner's own number (Hyperband, a grid).
        objectives: names of figures, `max:NAME` or `min:NAME` where the direction is not known.
        constraints: limits, such as `tflite_kb<=100`.
        pruner: "median", "halving" or "none". Defaults to the median, where there is something to judge by.
        retries: how often a trial begins again whose process crashed.
        root: folder of all searches.
        new: begin a new search, also where an unfinished one of the same settings is there.

    Raises:
        UsageError: for what does not fit together.
    """

    recipe: Recipe
    space: SpaceFunction
    space_file: Path
    recipe_source: Path | None = None
    tuner: str = "bayesian"
    max_trials: int | None = 20
    objectives: tuple[str, ...] = ("val_accuracy",)
    constraints: tuple[str, ...] = ()
    pruner: str | None = None
    retries: int = 1
    root: Path = Path("searches")
    new: bool = False

    def __post_init__(self):
        aims = [parse_objective(text) for text in self.objectives]
        limits = [parse_constraint(text) for text in self.constraints]
        if len({aim.name for aim in aims}) < len(aims):
            raise UsageError("An objective is named twice. Name each once.")
        if self.tuner in ("hyperband", "keras-bayesian") and (len(aims) > 1 or limits):
            raise UsageError(
                f"--tuner {self.tuner} knows one --objective and no --subject-to. Use --tuner bayesian, "
                "random or grid."
            )
        if self.max_trials is not None and self.max_trials < 1:
            raise UsageError(f"--max-trials is {self.max_trials}, but at least 1 is needed.")
        if self.retries < 0:
            raise UsageError(f"--retries is {self.retries}, but it cannot be less than 0.")
        if self.pruner not in (None, "none"):
            if self.tuner == "hyperband":
                raise UsageError("--tuner hyperband stops trials early by itself: leave --pruner out.")
            if not self._judges_epochs:
                raise UsageError(
                    f"{aims[0].name} is known only when a trial is over. Give a figure of every epoch as the "
                    "first --objective, or leave --pruner out."
                )

    @property
    def _judges_epochs(self) -> bool:
        return self.tuner != "hyperband" and artefact_of(parse_objective(self.objectives[0]).name) is None

    @property
    def pipeline(self) -> str:
        """What commands call the recipe: a shipped name, or the user's file."""
        shipped = catalog.names("tuning").get(self.space_file.stem)
        return self.recipe.name if shipped == self.space_file else str(self.space_file)

    @property
    def settings(self) -> folders.Settings:
        """What makes it another search."""
        return folders.Settings(
            tuner=self.tuner,
            objectives=tuple(str(parse_objective(text)) for text in self.objectives),
            constraints=tuple(str(parse_constraint(text)) for text in self.constraints),
            pruner=self.pruner or ("median" if self._judges_epochs else "none"),
        )

    def oracle(self) -> Any:
        """Return a new oracle."""
        options = {"max_epochs": self.recipe.epochs} if self.tuner == "hyperband" else {}
        oracle = ORACLES[self.tuner](
            objectives=[parse_objective(text) for text in self.objectives],
            constraints=[parse_constraint(text) for text in self.constraints],
            pruner=self.settings.pruner,
            seed=self.recipe.seed,
            **options,
        )
        oracle.max_trials = self.max_trials
        return oracle


def tune(
    search: Search, slots: Sequence[Slot] = (Slot("worker0"),), console: Console | None = None
) -> SearchRecord:
    """Search, or go on with the newest unfinished search of the same settings.

    Args:
        search: what and how.
        slots: places for trials that run at the same time, on this machine.
        console: where progress is drawn. Defaults to standard output.

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
        view = stack.enter_context(_View(folder.path, search, len(slots), console))
        stack.callback(shutil.rmtree, folder.path / DATA, ignore_errors=True)
        with interruptions.deferred(), Workers(plan, slots, view.changed) as workers:
            view.workers = workers
            asked_to_stop = False
            while workers.are_working():
                if interruptions.signum is not None and not asked_to_stop:
                    workers.stop()
                    asked_to_stop = True
                if view.refresh():
                    write_best(folder, view.known)
                time.sleep(_LOOK)
            view.refresh()
            signum, interruptions.signum = interruptions.signum, None
        if workers.error is not None:
            raise workers.error
        if signum is None:
            _note(folder, search, finished=True)
        found = write_results(folder)
    if signum is not None:
        raise Interrupted(f"Stopped; trials go on where they are. Go on with\n  {_command()}", signum)
    return judge(found, tuner.oracle)


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
    import tempfile

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


def write_results(folder: Run) -> SearchRecord:
    """Write what is known of a search: the best recipe, the Pareto front, the page, TensorBoard's HParams."""
    from kerasdl.report import search as page

    found = record.read(folder.path)
    write_best(folder, found)
    if len(found.objectives) > 1:
        front = [
            {
                "trial": trial.number,
                "objectives": {aim.name: trial.figures[aim.name] for aim in found.objectives},
                "values": trial.values,
                "recipe": encode(recipe_of_trial(folder.path, trial.number)),
            }
            for trial in found.pareto_front()
        ]
        directions = {aim.name: aim.direction for aim in found.objectives}
        folder.write(PARETO, {"directions": directions, "front": front})
    try:
        hparams.write(found)
        page.write(found)
    except Exception as error:  # whatever may be wrong with a page, the search itself is done
        _log.warning(f"No report was written: {error}", exc_info=not isinstance(error, (UsageError, OSError)))
    return found


def write_best(folder: Run, found: SearchRecord) -> None:
    """Write the recipe of the best trial, as `kerasdl train` takes it."""
    best = found.best()
    if best is not None:
        folder.write(BEST, to_json(recipe_of_trial(folder.path, best.number)))


def judge(found: SearchRecord, oracle: Any) -> SearchRecord:
    """Return what was found.

    Raises:
        RunFailedError: when nothing was.
    """
    if found.best() is not None:
        return found
    failed = [trial for trial in found.trials if trial.status == "failed"]
    if failed and len(failed) == len(found.trials):
        stopped = " The search stopped for that." if oracle.has_failed() else ""
        raise RunFailedError(
            f"No trial of {found.path} completed.{stopped} The last one failed because: {failed[-1].reason}"
        )
    limits = " and ".join(map(str, found.constraints))
    raise RunFailedError(
        f"No trial of {found.path} keeps to {limits}. Raise --max-trials, or give another limit."
        if limits
        else f"No trial of {found.path} was trained to its end. Raise --max-trials, or use --pruner none."
    )


class _View:
    """What the user sees: a table that changes, or a line for each trial where there is no terminal."""

    def __init__(self, path: Path, search: Search, num_workers: int, console: Console):
        self.path = path
        self.search = search
        self.num_workers = num_workers
        self.console = console
        self.workers: Workers | None = None
        self.known = record.read(path)
        self._begun = time.monotonic()
        self._before = self._num_ended()
        self._changed = False
        self._drawn = 0.0
        self._live: Live | None = None

    def __enter__(self):
        if self.console.is_terminal:
            self._live = Live(console=self.console, transient=True, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_):
        if self._live is not None:
            self._live.stop()

    def changed(self) -> None:
        """Note that a trial began, reported or ended."""
        self._changed = True

    def refresh(self) -> bool:
        """Draw, at most twice a second; tell whether a trial has ended."""
        now = time.monotonic()
        ended = False
        if self._changed:
            self._changed = False
            ended = self._read()
        elif now - self._drawn < 0.5:
            return False
        self._drawn = now
        if self._live is not None:
            shown = summary.live(
                self.known, running=self.workers.running_now(), seconds_left=self._seconds_left()
            )
            self._live.update(shown, refresh=True)
        return ended

    def _read(self) -> bool:
        """Read the files, and print a line for each trial that has ended since."""
        before = {trial.number for trial in self.known.trials if trial.status != "running"}
        self.known = record.read(self.path)
        ended = [
            trial for trial in self.known.trials if trial.status != "running" and trial.number not in before
        ]
        for trial in ended:
            self.console.print(_line(self.known, trial), highlight=False, markup=False)
        return bool(ended)

    def _num_ended(self) -> int:
        return sum(trial.status != "running" for trial in self.known.trials)

    def _seconds_left(self) -> float | None:
        done = self._num_ended() - self._before
        if self.search.max_trials is None or done == 0:
            return None
        each = (time.monotonic() - self._begun) / done
        return max(self.search.max_trials - self._num_ended(), 0) * each


def _line(known: SearchRecord, trial: TrialRecord) -> str:
    """Say in a line how a trial ended."""
    aims = [
        f"{aim.name} {trial.figures[aim.name]:.4g}" for aim in known.objectives if aim.name in trial.figures
    ]
    time_taken = f"{trial.seconds:.1f} s" if trial.seconds is not None else ""
    best = known.best()
    best_so_far = "" if best is None or len(known.objectives) > 1 else f"best: trial {best.number}"
    state = trial.status if trial.feasible else "breaks a limit"
    reason = trial.reason.splitlines()[0] if trial.reason else ""
    return "  ".join(
        part for part in (f"trial {trial.number}", state, *aims, time_taken, best_so_far, reason) if part
    )


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
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
