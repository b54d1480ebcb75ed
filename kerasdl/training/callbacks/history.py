"""Callbacks that record progress: history.csv, TensorBoard and status.json."""

import csv
import io
import shutil
from typing import Any

import keras
import tensorflow as tf

from kerasdl.runs.documents import Sample
from kerasdl.runs.folder import Run
from kerasdl.training.callbacks.position import Position
from kerasdl.training.callbacks.samples import Samples
from kerasdl.training.optimizers import make


class History(keras.callbacks.Callback):
    """Write `history.csv`: metrics, learning rates and seconds, one line an epoch.

    Args:
        run: the run folder.
        position: where training stands, with the seconds of the epoch.
    """

    def __init__(self, run: Run, position: Position):
        super().__init__()
        self.run = run
        self.position = position
        self.rows: list[dict[str, float]] = []

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"rows": self.rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the epochs of a checkpoint; later ones are trained again."""
        self.rows = [dict(row) for row in state["rows"]]

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}}
        for name, optimizer in self.model.optimizers.items():
            row[f"{name}_learning_rate"] = make.learning_rate(optimizer)
        row["seconds"] = round(self.position.epoch_seconds, 3)
        self.rows.append(row)
        self.write()

    def write(self) -> None:
        """Write all rows; without rows the file is removed."""
        if not self.rows:
            (self.run.path / "history.csv").unlink(missing_ok=True)
            return
        text = io.StringIO()
        writer = csv.DictWriter(
            text, fieldnames=list(self.rows[0]), lineterminator="\n", extrasaction="ignore"
        )
        writer.writeheader()
        writer.writerows(self.rows)
        self.run.write("history.csv", text.getvalue())


_PARTS = ("train", "validation", "samples")  # of the logs


class TensorBoard(keras.callbacks.Callback):
    """Write the history for TensorBoard: `epoch_<metric>`, training and validation apart, and pictures.

    (`keras.callbacks.TensorBoard` in a resumed run appends to the files of the interrupted one, so that
    epochs appear twice. This one rewrites the epochs of the checkpoint.)

    Args:
        run: the run folder, whose `logs` are written.
        history: the callback with the rows to write.
        samples: the callback with the pictures to write.
    """

    def __init__(self, run: Run, history: History, samples: Samples):
        super().__init__()
        self.folder = run.path / "logs"
        self.history, self.samples = history, samples
        self._writers: dict[str, Any] = {}

    def begin(self) -> None:
        """Rewrite the files from the epochs in the history."""
        for part in _PARTS:  # other files (a profile) stay
            shutil.rmtree(self.folder / part, ignore_errors=True)
        for row in self.history.rows:
            self._write(row)
        for row in self.samples.rows:
            self._draw(row)

    def on_epoch_end(self, epoch, logs=None):
        self._write(self.history.rows[-1])
        for row in self.samples.rows[-1:]:
            if row["epoch"] == epoch + 1:
                self._draw(row)

    def _write(self, row: dict[str, float]):
        for name, value in row.items():
            if name in ("epoch", "seconds"):
                continue
            with self._writer(_PARTS[name.startswith("val_")]).as_default():
                tf.summary.scalar(f"epoch_{name.removeprefix('val_')}", value, step=int(row["epoch"]) - 1)
        for writer in self._writers.values():
            writer.flush()

    def _draw(self, row: Sample):
        if (picture := self.samples.picture(row)) is not None:
            with self._writer("samples").as_default():
                tf.summary.image("epoch_samples", picture[None], step=row["epoch"] - 1)
            self._writer("samples").flush()

    def _writer(self, part: str) -> Any:
        if part not in self._writers:
            self._writers[part] = tf.summary.create_file_writer(str(self.folder / part))
        return self._writers[part]

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()


class Status(keras.callbacks.Callback):
    """Keep `status.json` up to date, for reports of unfinished runs.

    Args:
        run: the run folder.
        position: where training stands.
        epochs: number of epochs of the run.
    """

    def __init__(self, run: Run, position: Position, epochs: int):
        super().__init__()
        self.run = run
        self.position = position
        self.epochs = epochs

    def write(self) -> None:
        """Write where training stands."""
        self.run.update_status(
            stage="training",
            epoch=self.position.epoch,
            epochs=self.epochs,
            step=self.position.num_updates,
            steps_per_epoch=self.position.steps_per_epoch,
            elapsed_seconds=round(self.position.seconds, 3),
            stopped=self.position.stopped,
            error=None,
        )

    def on_epoch_end(self, epoch, logs=None):
        self.write()
