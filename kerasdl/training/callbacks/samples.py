"""Callback that keeps a sample of what a network makes after each epoch."""

from typing import Any

import keras
import numpy as np

from kerasdl.data.dataset import DataSpec
from kerasdl.errors import UsageError
from kerasdl.files import parsing, replacing
from kerasdl.report import pictures
from kerasdl.runs.documents import SAMPLE_PICTURES, SAMPLES, Sample, sample_picture
from kerasdl.runs.folder import Run
from kerasdl.tasks.task import Task
from kerasdl.training.callbacks.best import averaged


class Samples(keras.callbacks.Callback):
    """Keep a text or a picture of each epoch, where the task's networks make any.

    Texts lie in `samples.json`, pictures in `samples/epoch_0001.png` and so on. They are made with the
    weights that would be saved: the moving averages where the run has them.

    Args:
        run: the run folder.
        task: makes the samples.
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

    def begin(self) -> None:
        """Rewrite the file to match the rows, and remove pictures of later epochs."""
        if self.rows:
            self.run.write(SAMPLES, {"samples": self.rows})
        else:
            (self.run.path / SAMPLES).unlink(missing_ok=True)
        kept = {self.run.path / sample_picture(row["epoch"]) for row in self.rows}
        for path in set((self.run.path / SAMPLE_PICTURES).glob("epoch_*.png")) - kept:
            path.unlink()

    def on_epoch_end(self, epoch, logs=None):
        if self._sample is None:
            self._sample = self.task.sampler(self.model, self.data) or (lambda: "")
        with averaged(self.model):
            sample = self._sample()
        if not isinstance(sample, str):
            self._keep(epoch + 1, sample)
        elif sample:
            self.rows.append({"epoch": epoch + 1, "text": sample})
        if self.rows:
            self.run.write(SAMPLES, {"samples": self.rows})

    def _keep(self, epoch: int, picture: np.ndarray) -> None:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[-1] not in (1, 3):
            raise UsageError(
                f"The sampler of {type(self.task).__name__} gave an array of shape {picture.shape}, "
                f"{picture.dtype}. Let it return a text, or a picture (height, width, 1 or 3), uint8."
            )
        path = self.run.path / sample_picture(epoch)
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as temporary:
            pictures.write_png(temporary, picture)
        self.rows.append({"epoch": epoch, "picture": sample_picture(epoch)})

    def picture(self, row: Sample) -> np.ndarray | None:
        """Return the picture of a row, (height, width, 1 or 3), uint8; None where it has or keeps none.

        Raises:
            RunFailedError: when it is damaged.
        """
        path = self.run.path / sample_picture(row["epoch"])
        if "picture" not in row or not path.is_file():
            return None
        with parsing(path, "Delete it."):
            return pictures.read_png(path)
