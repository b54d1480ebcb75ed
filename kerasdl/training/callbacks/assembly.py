"""The callbacks of a training run, in order, and the state they save in checkpoints."""

import contextlib
from collections.abc import Sequence
from typing import Any

import keras
from rich.console import Console

from kerasdl.recipe import time_spans
from kerasdl.runs.folder import Run
from kerasdl.training import resume
from kerasdl.training.callbacks import best, history, stops
from kerasdl.training.callbacks.checkpoint_writer import CheckpointWriter
from kerasdl.training.callbacks.position import Position
from kerasdl.training.callbacks.progress_bar import ProgressBar
from kerasdl.training.callbacks.samples import Samples
from kerasdl.training.checkpoint import Checkpoint
from kerasdl.training.interruption import Interrupted, Interruptions
from kerasdl.training.phases import Phase
from kerasdl.training.plan import Plan
from kerasdl.training.reference import Reference


class CallbackAssembly:
    """The callbacks of a training run, with what they restore when it is resumed.

    Args:
        plan: the plan of the run.
        run: the run folder.
        twin: float32 network of the same weights that is saved.
        interruptions: the signals that stop training.
        console: where progress is drawn.
    """

    def __init__(
        self, plan: Plan, run: Run, twin: keras.Model, interruptions: Interruptions, console: Console
    ):
        recipe = plan.recipe
        self.plan, self.run = plan, run
        self.phase = plan.phases[0]
        self.identity = resume.identity(run, recipe, plan.data.fingerprint)
        self.position = Position(plan.steps_per_epoch)
        self.max_seconds = None if recipe.max_time is None else time_spans.to_seconds(recipe.max_time)
        examples = Reference.of(plan.data)
        self.best = best.Best(run, twin, recipe.task.score, recipe.early_stopping, self.position, examples)
        self.divergence = stops.Divergence(self.best, self.position)
        self.plateau = best.Plateau(self.best, recipe.schedule_factor, recipe.schedule_epochs)
        self.history = history.History(run, self.position)
        self.samples = Samples(run, recipe.task, plan.data.spec)
        self.board = history.TensorBoard(run, self.history, self.samples)
        self.status = history.Status(run, self.position, recipe.total_epochs)
        self.bar = ProgressBar(
            console,
            self.position,
            self.best,
            epochs=recipe.total_epochs,
            names=recipe.task.objectives_of(recipe.model.target),
            max_seconds=self.max_seconds,
        )
        self.writer = CheckpointWriter(
            run, self.position, recipe.checkpoint_every, self.state, interruptions, self.divergence.check
        )

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """Return the callbacks in the order in which they act; only the chief's write records."""
        recipe = self.plan.recipe
        chosen = [self.position, self.divergence]
        if recipe.ema_momentum is not None:
            chosen.append(best.AveragedWeights())
        chosen.append(self.best)
        if recipe.schedule == "plateau":
            chosen.append(self.plateau)
        chosen += self._stops()
        if self.plan.devices.is_chief:
            chosen += [self.history, self.samples, self.board, self.status, self.bar]
        return [*chosen, self.writer]

    def _stops(self) -> Sequence[keras.callbacks.Callback]:
        """Return the callbacks that end training where the recipe or an observer asks for it."""
        recipe, chosen = self.plan.recipe, []
        if self.max_seconds is not None:
            chosen.append(stops.MaxTime(self.position, self.max_seconds))
        if recipe.overfit_batches is not None:
            chosen.append(stops.Learned(recipe.task, self.position, self.history.rows))
        if self.plan.observe is not None:
            rows = self.history.rows
            chosen.append(stops.Observer(self.plan.observe, recipe.total_epochs, self.position, rows))
        return chosen

    def state(self) -> dict[str, Any]:
        """Return the state that a checkpoint keeps besides variables."""
        parts = {name: part.state() for name, part in self._parts().items()}
        return {**parts, "phase": self.phase.number, "identity": self.identity}

    def begin(self, phase: Phase) -> None:
        """Enter the next phase."""
        self.phase, self.best.began = phase, phase.first_epoch

    def restore(self, checkpoint: Checkpoint, phase: Phase) -> None:
        """Restore the state of a checkpoint, in the phase in which it was written."""
        self.begin(phase)
        for name, part in self._parts().items():
            part.restore(checkpoint.state.get(name, part.state()))  # earlier versions had fewer parts
        self.best.restore_files(checkpoint.path)
        changed = resume.changes(checkpoint.state["identity"], self.identity)
        if resume.stopper(self.position.stopped) in changed:
            self.position.stopped = None  # the user wants more

    @contextlib.contextmanager
    def recording(self):
        """Rewrite history, TensorBoard and status to match the position, and close them at the end."""
        if not self.plan.devices.is_chief:
            yield
            return
        self.history.write()
        self.samples.begin()
        self.board.begin()
        self.status.write()
        try:
            yield
        except Interrupted:
            self.status.write()
            raise
        finally:
            self.board.close()
            self.bar.close()

    def _parts(self) -> dict[str, Any]:
        return {
            "position": self.position,
            "best": self.best,
            "plateau": self.plateau,
            "history": self.history,
            "samples": self.samples,
        }
