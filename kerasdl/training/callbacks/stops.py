"""Callbacks that end training early: divergence, a time limit, an observer, batches that are learned."""

import math
from collections.abc import Callable, Mapping, Sequence

import keras

from kerasdl.errors import RunFailedError
from kerasdl.tasks.task import Task
from kerasdl.training.callbacks.best import Best
from kerasdl.training.callbacks.position import Position
from kerasdl.training.optimizers.replica_safe import num_skipped

#: First word of the reason to stop where an observer ended training.
PRUNED = "pruned"


class Divergence(keras.callbacks.Callback):
    """Stop a run when its loss or gradients become NaN or infinite.

    The optimizer skips such updates (`kerasdl.training.optimizers`), so that the weights are the last
    good ones.

    Args:
        best: the callback that saves those weights when no epoch has ended yet.
        position: where training stands.
        every: number of steps between two checks; a check makes the host wait for the device.
    """

    def __init__(self, best: Best, position: Position, every: int = 50):
        super().__init__()
        self.best = best
        self.position = position
        self.every = every

    def on_train_begin(self, logs=None):
        self._checked = self.position.num_updates

    def on_train_batch_end(self, batch, logs=None):
        if self.position.num_updates - self._checked >= self.every:
            self.check(logs)

    def on_epoch_end(self, epoch, logs=None):
        self.check(logs)

    def check(self, logs: Mapping[str, float]) -> None:
        """Raise a RunFailedError if an update was skipped or a loss is not finite."""
        skipped = sum(num_skipped(optimizer) for optimizer in self.model.optimizers.values())
        losses = [float(value) for name, value in logs.items() if name.endswith("loss")]
        if not skipped and all(map(math.isfinite, losses)):
            self._checked = self.position.num_updates
            return
        if self.best.best_epoch is not None:
            kept = f"the best weights, of epoch {self.best.best_epoch + 1}"
        elif self.best.save():
            kept = "the weights before the first such step"
        else:
            kept = "the initial weights, since batch statistics were no longer finite"
        raise RunFailedError(
            f"Training diverged: the loss or its gradient became NaN or infinite within steps "
            f"{self._checked + 1} to {self.position.num_updates}. {self.best.run.model_file} holds {kept}. "
            "Try a lower --learning-rate (a tenth), --warmup-epochs 1, --global-clip-norm 1, or --precision "
            "float32."
        )


class MaxTime(keras.callbacks.Callback):
    """End training after a time; the epoch ends there too, and is validated.

    Args:
        position: where training stands, with its seconds.
        seconds: time limit, the time before interruptions included.
    """

    def __init__(self, position: Position, seconds: float):
        super().__init__()
        self.position = position
        self.seconds = seconds

    def on_train_batch_end(self, batch, logs=None):
        if self.position.seconds >= self.seconds:
            self.position.stop("max time")

    def on_epoch_end(self, epoch, logs=None):
        self.on_train_batch_end(epoch)


class Observer(keras.callbacks.Callback):
    """Report the metrics of each epoch to an observer, which may end training.

    Args:
        observe: gets `epoch` (from 1 on), `epochs` of the run and metrics by name; returns a reason to stop,
            or None.
        epochs: number of epochs of the run.
        position: the position, which stops training.
        earlier: metrics of the epochs before an interruption.
    """

    def __init__(
        self,
        observe: Callable[[Mapping[str, float]], str | None],
        epochs: int,
        position: Position,
        earlier: Sequence[Mapping[str, float]],
    ):
        super().__init__()
        self.observe = observe
        self.epochs = epochs
        self.position = position
        self.earlier = tuple(earlier)

    def on_train_begin(self, logs=None):
        for row in self.earlier:
            self._report(row)

    def on_epoch_end(self, epoch, logs=None):
        self._report({"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}})

    def _report(self, metrics: Mapping[str, float]):
        reason = self.observe({**metrics, "epochs": self.epochs})
        if reason is not None and self.position.stopped is None:
            self.position.stop(f"{PRUNED}: {reason}")


class Learned(keras.callbacks.Callback):
    """End training on a few batches once the network has learned them.

    Args:
        task: the task, whose `has_learned` judges the metrics.
        position: the position, which stops training.
        rows: the history: metrics of each epoch that has ended, those before a resume included.
    """

    def __init__(self, task: Task, position: Position, rows: Sequence[Mapping[str, float]]):
        super().__init__()
        self.task = task
        self.position = position
        self.rows = rows

    def on_epoch_end(self, epoch, logs=None):
        if self.task.has_learned(logs, self.rows[0] if self.rows else logs):
            self.position.stop("learned")
