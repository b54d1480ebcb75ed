"""Where training stands: epoch, step, seconds, and why it stopped."""

import time
from collections.abc import Mapping
from typing import Any

import keras


class Position(keras.callbacks.Callback):
    """Keep count of epochs, steps and seconds, also when resumed within an epoch.

    Attributes:
        steps_per_epoch: number of updates in an epoch.
        epoch: number of epochs that have ended.
        step: number of steps done in the present epoch.
        num_updates: number of steps done in all.
        seconds: time of training so far, the time before interruptions included.
        epoch_seconds: time of the present epoch.
        stopped: why training ended before its last epoch; None while it has not.
    """

    def __init__(self, steps_per_epoch: int):
        super().__init__()
        self.steps_per_epoch = steps_per_epoch
        self.epoch = self.step = self.num_updates = 0
        self.seconds = self.epoch_seconds = 0.0
        self.stopped: str | None = None

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "steps_per_epoch": self.steps_per_epoch,
            "epoch": self.epoch,
            "step": self.step,
            "num_updates": self.num_updates,
            "seconds": self.seconds,
            "epoch_seconds": self.epoch_seconds,
            "stopped": self.stopped,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state; an epoch of another number of steps begins again."""
        same_steps = state["steps_per_epoch"] == self.steps_per_epoch
        self.epoch, self.step = state["epoch"], state["step"] if same_steps else 0
        self.num_updates, self.stopped = state["num_updates"], state["stopped"]
        self.seconds, self.epoch_seconds = state["seconds"], state["epoch_seconds"]

    def on_train_begin(self, logs=None):
        self._looked = time.perf_counter()

    def on_epoch_begin(self, epoch, logs=None):
        if self.step == 0:
            self.epoch_seconds = 0.0

    def on_train_batch_end(self, batch, logs=None):
        self.num_updates += batch + 1 - self.step
        self.step = batch + 1
        self._look()

    def on_epoch_end(self, epoch, logs=None):
        self.epoch, self.step = epoch + 1, 0
        self._look()

    def stop(self, reason: str) -> None:
        """End training with the present epoch."""
        self.stopped = reason
        self.model.stop_training = True

    def _look(self):
        now = time.perf_counter()
        self.seconds += now - self._looked
        self.epoch_seconds += now - self._looked
        self._looked = now
