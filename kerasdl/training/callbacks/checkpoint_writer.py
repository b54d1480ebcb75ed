"""Callback that writes checkpoints on schedule, or when training is interrupted."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras

from kerasdl.recipe import time_spans
from kerasdl.runs.folder import Run
from kerasdl.training import checkpoint, reference
from kerasdl.training.callbacks.position import Position
from kerasdl.training.devices import Devices
from kerasdl.training.interruption import Interrupted, Interruptions


class CheckpointWriter(keras.callbacks.Callback):
    """Write checkpoints when they are due, and stop training after a signal.

    Args:
        run: the run folder.
        position: where training stands.
        every: "500" (steps), "10m" (time), "none", or "auto": at most every 5 seconds, and not before
            150 times the last one's cost has passed, so that they take less than 1 % of the time.
        state: returns the state that a checkpoint keeps besides the variables.
        interruptions: the signals that stop training.
        check: gets the logs, and raises when the network is not worth keeping.
    """

    _LONGEST_SHARE = 1 / 150
    _LEAST_SECONDS = 5.0

    def __init__(
        self,
        run: Run,
        position: Position,
        every: str,
        state: Callable[[], dict[str, Any]],
        interruptions: Interruptions,
        check: Callable[[dict[str, float]], None],
    ):
        super().__init__()
        self.run = run
        self.position = position
        self.state = state
        self.interruptions = interruptions
        self.check = check
        self.every_steps = int(every) if every.isdecimal() else math.inf
        self.is_automatic = every == "auto"
        self.every_seconds = self._LEAST_SECONDS
        if not self.is_automatic:
            named = every != "none" and not every.isdecimal()
            self.every_seconds = time_spans.to_seconds(every) if named else math.inf

    def on_train_begin(self, logs=None):
        self._saved_at, self._saved_updates = time.perf_counter(), self.position.num_updates

    def steps_left(self) -> float:
        """Return how many steps may run before a checkpoint is due by their number."""
        return self._saved_updates + self.every_steps - self.position.num_updates

    def on_train_batch_end(self, batch, logs=None):
        if self.position.step >= self.position.steps_per_epoch or self.model.stop_training:
            return  # the validation that follows ends the epoch; there is nothing to go on with before it
        self._save_and_stop_if_asked(self._is_due(), logs)

    def on_epoch_end(self, epoch, logs=None):
        is_last = self.model.stop_training or self.position.epoch >= self.params["epochs"]
        self._save_and_stop_if_asked(is_last or self._is_due(), logs)

    def _is_due(self) -> bool:
        return (
            self.position.num_updates - self._saved_updates >= self.every_steps
            or time.perf_counter() - self._saved_at >= self.every_seconds
        )

    def _save_and_stop_if_asked(self, is_due: bool, logs: dict[str, float]):
        signum = Devices.of(self.model).agree(self.interruptions.signum)
        if is_due or signum is not None:
            self.check(logs)
            self._save()
        if signum is not None:
            raise Interrupted(
                f"Stopped after step {self.position.num_updates:,}; a checkpoint is written.", signum
            )

    def _save(self):
        began = time.perf_counter()
        if Devices.of(self.model).is_chief:
            best = (self.run.model_file, self.run.path / reference.FILE_NAME)
            number = self.position.num_updates
            checkpoint.write(self.run.checkpoints, number, self.model, self.state(), best)
        self._saved_at, self._saved_updates = time.perf_counter(), self.position.num_updates
        if self.is_automatic:
            self.every_seconds = max(self._LEAST_SECONDS, (self._saved_at - began) / self._LONGEST_SHARE)
