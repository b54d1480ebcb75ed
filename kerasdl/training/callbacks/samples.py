"""Callback that keeps a sample of what a network writes after each epoch."""

from typing import Any

import keras

from kerasdl.data.dataset import DataSpec
from kerasdl.runs.documents import SAMPLES, Sample
from kerasdl.runs.folder import Run
from kerasdl.tasks.task import Task


class Samples(keras.callbacks.Callback):
    """Write `samples.json`: a text for each epoch, where the task's networks write any.

    Args:
        run: the run folder.
        task: makes the texts.
        data: what is in each example.
    """

    def __init__(self, run: Run, task: Task, data: DataSpec):
        super().__init__()
        self.run, self.task, self.data = run, task, data
        self.rows: list[Sample] = []
        self._sample = None

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"rows": self.rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the samples of a checkpoint; later ones are made again."""
        self.rows = list(state["rows"])

    def set_model(self, model):
        super().set_model(model)
        self._sample = None  # it holds the network

    def on_epoch_end(self, epoch, logs=None):
        if self._sample is None:
            self._sample = self.task.sampler(self.model, self.data) or (lambda: "")
        if text := self._sample():
            self.rows.append({"epoch": epoch + 1, "text": text})
            self.run.write(SAMPLES, {"samples": self.rows})
