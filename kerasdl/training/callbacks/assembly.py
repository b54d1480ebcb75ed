"""The callbacks of a training: who they are, in which order they act, and what a checkpoint keeps of them."""

import contextlib
from typing import Any

import keras

from kerasdl.recipe import time_spans
from kerasdl.training import checkpoint as checkpoints
from kerasdl.training import phases, resume
from kerasdl.training.callbacks import callbacks, history
from kerasdl.training.interruption import Interrupted
from kerasdl.training.plan import Training


class Crew:
    """The callbacks of a training, and what they have to know in one that goes on."""

    def __init__(self, training: Training, twin: keras.Model):
        recipe, run = training.recipe, training.run
        self.training = training
        self.position = callbacks.Position(training.steps_per_epoch)
        self.identity = resume.identity(run, recipe, training.splits.fingerprint)
        self.best = callbacks.Best(run, twin, recipe.task.score, recipe.early_stopping, self.position)
        self.divergence = callbacks.Divergence(self.best, self.position)
        self.plateau = callbacks.Plateau(self.best, recipe.schedule_factor, recipe.schedule_epochs)
        self.history = history.History(run, self.position)
        self.board = history.TensorBoard(run, self.history)
        self.status = history.Status(run, self.position, recipe.total_epochs)
        self.phase = phases.of_recipe(recipe)[0]

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """Return the callbacks in the order they have to act."""
        recipe = self.training.recipe
        chosen = [self.position, self.divergence]
        if recipe.ema_momentum is not None:
            chosen.append(callbacks.AveragedWeights())
        chosen.append(self.best)
        if recipe.schedule == "plateau":
            chosen.append(self.plateau)
        if recipe.max_time is not None:
            chosen.append(callbacks.MaxTime(self.position, time_spans.to_seconds(recipe.max_time)))
        if recipe.overfit_batches is not None:
            chosen.append(callbacks.Learned(recipe.task, self.position))
        if self.training.observe is not None:
            rows = self.history.rows
            chosen.append(callbacks.Observer(self.training.observe, recipe.total_epochs, self.position, rows))
        return [*chosen, self.history, self.board, self.status]

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps besides variables."""
        parts = {name: part.state() for name, part in self._parts().items()}
        return {**parts, "phase": self.phase.number, "identity": self.identity}

    def begin(self, phase: phases.Phase) -> None:
        """Be in another phase than before."""
        self.phase, self.best.began = phase, phase.first_epoch

    def restore(self, checkpoint: checkpoints.Checkpoint, phase: phases.Phase) -> None:
        """Go on from a checkpoint, in the phase it was written in."""
        self.begin(phase)
        for name, part in self._parts().items():
            part.restore(checkpoint.state[name])
        self.best.restore_file(checkpoint.model_file)
        changed = resume.changes(checkpoint.state["identity"], self.identity)
        if resume.stopper(self.position.stopped) in changed:
            self.position.stopped = None  # the user wants more

    def start_records(self) -> None:
        """Make the records say what the position says, whatever a training after it has left."""
        self.history.write()
        self.board.begin()
        self.status.write()

    @contextlib.contextmanager
    def closing(self):
        """Leave the records as they are in the end, also when the training is interrupted."""
        try:
            yield
        except Interrupted:
            self.status.write()
            raise
        finally:
            self.board.close()

    def _parts(self) -> dict[str, Any]:
        return {
            "position": self.position,
            "best": self.best,
            "plateau": self.plateau,
            "history": self.history,
        }
