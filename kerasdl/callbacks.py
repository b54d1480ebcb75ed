"""What happens around the steps: progress, the best weights, early stopping, the stop at divergence."""

import csv
import io
import math
import time
from collections.abc import Callable

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kerasdl import optimizers
from kerasdl.errors import RunFailedError
from kerasdl.optimizers import moving_averages
from kerasdl.run import Run, replacing


class AveragedWeights(keras.callbacks.Callback):
    """Validate the moving average of the weights, then put the trained ones back, bit for bit.

    (`keras.callbacks.SwapEMAWeights` swaps by adding and subtracting, which rounds the weights each time.)
    """

    def on_test_begin(self, logs=None):
        self._trained = [variable.numpy() for variable, _ in moving_averages(self.model)]
        for variable, average in moving_averages(self.model):
            variable.assign(average.numpy())

    def on_test_end(self, logs=None):
        for (variable, _), value in zip(moving_averages(self.model), self._trained, strict=True):
            variable.assign(value)


class Best(keras.callbacks.Callback):
    """Keep the network with the best validation score in the run, and stop when it gets no better.

    Args:
        run: where `model.keras` is written.
        twin: float32 network of the same weights, without strategy, that is saved.
        score: ranks the logs of an epoch; larger is better.
        patience: epochs without a better score before training stops; None to never stop.
    """

    def __init__(self, run: Run, twin: keras.Model, score: Callable, patience: int | None):
        super().__init__()
        self.run = run
        self.twin = twin
        self.score = score
        self.patience = patience
        self.best_score: tuple[float, ...] | None = None
        self.best_epoch: int | None = None

    def on_epoch_end(self, epoch, logs=None):
        score = self.score(logs)
        if self.best_score is None or score > self.best_score:
            self.best_score, self.best_epoch = score, epoch
            self.save()
        elif self.patience is not None and epoch - self.best_epoch >= self.patience:
            self.model.stop_training = True

    def save(self) -> bool:
        """Write the present weights, averaged where the recipe says so.

        Weights that are not finite are not kept: those of the save before stay, or the initial ones.

        Returns:
            Whether the present weights were finite.
        """
        averages = {id(variable): average for variable, average in moving_averages(self.model)}
        values = [
            keras.ops.convert_to_numpy(averages.get(id(weight), weight)) for weight in self.model.weights
        ]
        finite = all(np.isfinite(value).all() for value in values)
        if finite:
            self.twin.set_weights(values)
        with replacing(self.run.model_file) as temporary:
            self.twin.save(temporary)
        return finite


class Plateau(keras.callbacks.Callback):
    """Lower every learning rate when the validation score gets no better.

    (`keras.callbacks.ReduceLROnPlateau` knows one optimizer and one figure.)

    Args:
        best: knows which epoch was the best.
        factor: factor on the learning rates, 0 to 1.
        patience: epochs since the best one, or since the last drop, before a drop.
    """

    def __init__(self, best: Best, factor: float, patience: int):
        super().__init__()
        self.best = best
        self.factor = factor
        self.patience = patience
        self.last_drop = -1

    def on_epoch_end(self, epoch, logs=None):
        if epoch - max(self.best.best_epoch, self.last_drop) >= self.patience:
            self.last_drop = epoch
            for optimizer in self.model.optimizers.values():
                optimizer.learning_rate = optimizers.learning_rate(optimizer) * self.factor


class Divergence(keras.callbacks.Callback):
    """Stop a run whose loss or gradients are not finite any more.

    The optimizer has left such updates out (`kerasdl.optimizers`), so the weights are the last good ones.

    Args:
        best: keeps those weights when no epoch has ended yet.
        every: steps between two looks; looking makes the host wait for the device.
    """

    def __init__(self, best: Best, every: int = 50):
        super().__init__()
        self.best = best
        self.every = every

    def on_train_begin(self, logs=None):
        self._checked, self._steps = 0, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._first = self._steps

    def on_train_batch_end(self, batch, logs=None):
        self._steps = self._first + batch + 1
        if self._steps - self._checked >= self.every:
            self._check(logs)

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs)

    def _check(self, logs):
        skipped = sum(optimizers.num_skipped(optimizer) for optimizer in self.model.optimizers.values())
        losses = [float(value) for name, value in logs.items() if name.endswith("loss")]
        if not skipped and all(map(math.isfinite, losses)):
            self._checked = self._steps
            return
        if self.best.best_epoch is not None:
            kept = f"the best weights, of epoch {self.best.best_epoch + 1}"
        elif self.best.save():
            kept = "the weights before the first such step"
        else:
            kept = "the initial weights, since batch statistics were no longer finite"
        raise RunFailedError(
            f"Training diverged: the loss or its gradient became NaN or infinite within steps "
            f"{self._checked + 1} to {self._steps}. {self.best.run.model_file} holds {kept}. Try a lower "
            "--learning-rate (a tenth), --warmup-epochs 1, --global-clip-norm 1, or --precision float32."
        )


class History(keras.callbacks.Callback):
    """Write `history.csv`: one line an epoch, every figure of the logs, learning rates and seconds."""

    def __init__(self, run: Run):
        super().__init__()
        self.run = run
        self.rows: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}}
        for name, optimizer in self.model.optimizers.items():
            row[f"{name}_learning_rate"] = optimizers.learning_rate(optimizer)
        row["seconds"] = round(time.perf_counter() - self._began, 3)
        self.rows.append(row)
        text = io.StringIO()
        writer = csv.DictWriter(
            text, fieldnames=list(self.rows[0]), lineterminator="\n", extrasaction="ignore"
        )
        writer.writeheader()
        writer.writerows(self.rows)
        self.run.write("history.csv", text.getvalue())


class ProgressBar(keras.callbacks.Callback):
    """A bar while an epoch runs and a line when it ends; only the lines where there is no terminal.

    Args:
        console: where to draw.
        batch_size: examples of a step, for samples/s.
    """

    def __init__(self, console: Console, batch_size: int):
        super().__init__()
        self.console = console
        self.batch_size = batch_size
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
        self._task = self._progress.add_task("train", total=self.params["steps"], epoch="", figures="")
        self._progress.start()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = f"{epoch + 1}/{self.params['epochs']}"
        self._began = self._drawn = time.perf_counter()
        self._progress.reset(self._task, total=self.params["steps"], epoch=self._epoch, figures="")

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        self._trained = now
        if self._progress.disable or now - self._drawn < 0.1:
            return
        self._drawn = now
        speed = (batch + 1) * self.batch_size / (now - self._began)
        self._progress.update(
            self._task, completed=batch + 1, figures=f"{_figures(logs)}  {speed:,.0f} samples/s"
        )

    def on_epoch_end(self, epoch, logs=None):
        speed = self.params["steps"] * self.batch_size / (self._trained - self._began)
        seconds = time.perf_counter() - self._began
        self.console.print(
            f"epoch {self._epoch}  {_figures(logs)}  {speed:,.0f} samples/s  {seconds:.1f} s", highlight=False
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Take the bar off the screen, also when training ended by an error."""
        if self._progress is not None:
            self._progress.stop()


def _figures(logs) -> str:
    return "  ".join(f"{name} {float(value):.4f}" for name, value in logs.items() if name != "learning_rate")
