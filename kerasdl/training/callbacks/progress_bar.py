"""Progress on the terminal: a bar while an epoch runs, a line when it ends."""

import time

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kerasdl.training.callbacks.position import Position


class ProgressBar(keras.callbacks.Callback):
    """Draw a bar while an epoch runs and print a line when it ends; only the lines without a terminal.

    Args:
        console: where to draw.
        batch_size: number of examples in a step, for samples/s.
        position: where training stands.
        epochs: number of epochs of the run.
    """

    def __init__(self, console: Console, batch_size: int, position: Position, epochs: int):
        super().__init__()
        self.console = console
        self.batch_size = batch_size
        self.position = position
        self.epochs = epochs
        self._progress: Progress | None = None

    def on_train_begin(self, logs=None):
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed}/{task.total} {task.fields[figures]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task = self._progress.add_task(
            "train", total=self.position.steps_per_epoch, epoch="", figures=""
        )
        self._progress.start()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = f"{epoch + 1}/{self.epochs}"
        self._began = self._drawn = time.perf_counter()
        self._first = self.position.step
        self._progress.reset(
            self._task, total=self.position.steps_per_epoch, completed=self.position.step, epoch=self._epoch,
            figures="",
        )  # fmt: skip

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        self._speed = (batch + 1 - self._first) * self.batch_size / (now - self._began)
        if self._progress.disable or now - self._drawn < 0.1:
            return
        self._drawn = now
        self._progress.update(
            self._task,
            completed=self.position.step,
            figures=f"{_metrics(logs)}  {self._speed:,.0f} samples/s",
        )

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self._began
        self.console.print(
            f"epoch {self._epoch}  {_metrics(logs)}  {self._speed:,.0f} samples/s  {seconds:.1f} s",
            highlight=False,
        )

    def on_train_end(self, logs=None):
        self._progress.stop()

    def close(self) -> None:
        """Take the bar off the screen, also when training ended by an error."""
        if self._progress is not None:
            self._progress.stop()


def _metrics(logs) -> str:
    return "  ".join(f"{name} {float(value):.4f}" for name, value in logs.items() if name != "learning_rate")
