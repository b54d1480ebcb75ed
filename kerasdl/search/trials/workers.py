"""Workers that ask the oracle for trials and run each in its own process."""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_tuner.engine.trial import TrialStatus

from kerasdl.errors import RunFailedError, UsageError, did_you_mean
from kerasdl.recipe import trust
from kerasdl.recipe.document import to_json
from kerasdl.search import objectives as aims
from kerasdl.search.keras_tuner.dependable import PROGRESS
from kerasdl.search.record import PRUNED
from kerasdl.search.show.table import Running
from kerasdl.search.trials.pool import Pool
from kerasdl.search.trials.process import Job, Outcome

_log = logging.getLogger(__name__)

_ASK_AGAIN = 0.2  # seconds until an oracle without a trial is asked again


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan that workers follow.

    Attributes:
        tuner: tuner that builds recipes; its `oracle` may be on another machine.
        folder: folder of the trials' folders.
        types: folder with the `recipe.py` that defines types of the recipe.
        names: names of the metrics that a trial must have, constrained ones included.
        pruner: name of the pruning rule; with "none" the oracle is not asked after an epoch.
        retries: number of times that a trial is restarted after its process crashed.
        preload: modules that every trial needs, imported once before trials are forked.
        data: folder where decoded data is kept. Defaults to one in `folder`.
    """

    tuner: Any
    folder: Path
    types: Path
    names: tuple[str, ...]
    pruner: str
    retries: int
    preload: tuple[str, ...] = ()
    data: Path | None = None


@dataclasses.dataclass(frozen=True)
class Slot:
    """A place for one trial at a time.

    Attributes:
        name: name of the worker, as the oracle knows it.
        num_threads: size of TensorFlow's thread pools; None for TensorFlow's default.
        gpus: GPUs of the trial; None for all.
    """

    name: str
    num_threads: int | None = None
    gpus: str | None = None


class Workers:
    """Run trials in parallel until the oracle has no more.

    Args:
        plan: plan of the trials.
        slots: places for trials; each gets one worker.
        on_change: function called when a trial starts, reports or ends, from any thread.
    """

    def __init__(self, plan: Plan, slots: Sequence[Slot], on_change: Callable[[], None]):
        self.plan = plan
        self.slots = slots
        self.on_change = on_change
        self.running: dict[str, Running] = {}  # by the name of the slot
        self.begun: dict[str, float] = {}
        self.error: BaseException | None = None
        self.exhausted = False
        self._pool = Pool(plan.preload)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self):
        self._threads = [
            threading.Thread(target=self._work, args=(slot,), name=f"kerasdl-{slot.name}", daemon=True)
            for slot in self.slots
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._pool.kill()
        for thread in self._threads:
            thread.join()

    def are_working(self) -> bool:
        """Tell whether a worker is still running."""
        return any(thread.is_alive() for thread in self._threads)

    def running_now(self) -> list[Running]:
        """Return the running trials, with the seconds they have taken so far."""
        now = time.monotonic()
        return [
            dataclasses.replace(running, seconds=now - self.begun[name])
            for name, running in sorted(self.running.items())
        ]

    def stop(self) -> None:
        """Stop running trials after a checkpoint, and start no others."""
        self._stopping.set()
        self._pool.stop()

    def _work(self, slot: Slot) -> None:
        try:
            while not self._stopping.is_set():
                trial = self.plan.tuner.oracle.create_trial(slot.name)
                if trial.status == TrialStatus.STOPPED:
                    self.exhausted = True
                    return
                if trial.status == TrialStatus.IDLE:
                    self._stopping.wait(_ASK_AGAIN)
                elif not self._stopping.is_set():
                    self._run(trial, slot)
        except BaseException as error:  # raised by the thread that waits for this one
            self.error = self.error or error
            self.stop()

    def _run(self, trial: Any, slot: Slot) -> None:
        oracle = self.plan.tuner.oracle
        outcome = self._outcome(trial, slot)
        if outcome.status == "interrupted":
            return
        if outcome.status in ("misused", "halted"):  # so would all others
            kind = UsageError if outcome.status == "misused" else RunFailedError
            raise kind(f"The search stopped in trial {int(trial.trial_id)}: {outcome.reason}")
        if outcome.status in ("completed", "pruned"):
            oracle.update_trial(trial.trial_id, outcome.figures, step=outcome.step)
            trial.score, trial.best_step = outcome.figures.get(self.plan.names[0]), outcome.step
            trial.status = TrialStatus.COMPLETED
            trial.message = f"{PRUNED}{outcome.reason}" if outcome.status == "pruned" else None
        else:
            trial.status, trial.message = TrialStatus.FAILED, outcome.reason
        oracle.end_trial(trial)
        self.running.pop(slot.name, None)
        self.on_change()

    def _outcome(self, trial: Any, slot: Slot) -> Outcome:
        """Run a trial; restart it if its process crashed."""
        number = int(trial.trial_id)
        self.running[slot.name] = Running(number, 0, 0, None, 0.0)
        self.begun[slot.name] = time.monotonic()
        self.on_change()
        try:
            job = self._job(trial, slot)
        except UsageError as error:  # values that contradict each other
            return Outcome(status="failed", reason=str(error))
        for attempt in range(self.plan.retries + 1):
            outcome = self._pool.run(job, lambda figures: self._observe(trial, slot, figures))
            if outcome.status != "crashed":
                break
            if self._stopping.is_set():  # it was ended, perhaps before it could write a checkpoint
                return Outcome(status="interrupted")
            left = self.plan.retries - attempt
            _log.warning(f"Trial {number} crashed ({outcome.reason}); {left} retries left.")
        return outcome

    def _job(self, trial: Any, slot: Slot) -> Job:
        recipe = self.plan.tuner.build(trial.hyperparameters.copy())
        artefacts = [found for name in self.plan.names if (found := aims.artefact_of(name)) is not None]
        kinds = [aims.ARTEFACTS[artefact] for artefact, _ in artefacts]
        return Job(
            folder=self.plan.folder / f"trial_{trial.trial_id}",
            recipe=to_json(recipe),
            types=self.plan.types,
            trusted=trust.known(),
            data=self.plan.data or self.plan.folder / DATA,
            formats=tuple(dict.fromkeys(kind for kind, _ in kinds)),
            tflite_modes=tuple(dict.fromkeys(mode for _, mode in kinds if mode is not None)),
            asks=self.plan.pruner != "none",
            num_threads=slot.num_threads,
            gpus=slot.gpus,
        )

    def _observe(self, trial: Any, slot: Slot, figures: Mapping[str, float]) -> str | None:
        figures = dict(figures)
        epoch, epochs = int(figures.pop("epoch")), int(figures.pop("epochs"))
        self._check_names(figures)
        figures[PROGRESS] = epoch / epochs
        answer = self.plan.tuner.oracle.update_trial(trial.trial_id, figures, step=epoch)
        value = figures.get(self.plan.names[0])
        self.running[slot.name] = dataclasses.replace(
            self.running[slot.name], epoch=epoch, epochs=epochs, value=value
        )
        self.on_change()
        return answer.message if answer.status == TrialStatus.STOPPED else None

    def _check_names(self, figures: Mapping[str, float]) -> None:
        """Raise a UsageError, after the first epoch of the search, for a metric that no trial will have."""
        for name in self.plan.names:
            if name not in figures and name not in aims.LAST and aims.artefact_of(name) is None:
                raise UsageError(
                    f"Trials have no metric {name!r}. They have {', '.join((*figures, *aims.LAST))}, and of "
                    f"exported files {', '.join(aims.SHORT)} or a kind and a metric: int8_kb."
                    + did_you_mean(name, figures)
                )


#: Folder of decoded data inside the folder of a search; the next session removes it.
DATA = ".writing-data"
