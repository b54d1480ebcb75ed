"""What happens around the steps: where they are, the best weights, and reasons to stop.

What a callback has to know in a run that goes on, it gives as `state()` and takes back in `restore(state)`.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasdl.errors import RunFailedError
from kerasdl.files import link_or_copy, replacing
from kerasdl.runs.folder import Run
from kerasdl.training.optimizers import make
from kerasdl.training.optimizers.make import moving_averages

#: Begins the reason for which a training ended where an observer ended it.
PRUNED = "pruned"


class Position(keras.callbacks.Callback):
    """Where a training is, also in the first epoch of one that goes on in the middle of it.

    Attributes:
        epoch: epochs that have ended.
        step: steps done in the present epoch.
        num_updates: steps done in all.
        seconds: of training so far, those before interruptions included.
        epoch_seconds: of the present epoch.
        stopped: why training ended before its last epoch; None while it has not.
    """

    def __init__(self, steps_per_epoch: int):
        super().__init__()
        self.steps_per_epoch = steps_per_epoch
        self.epoch = self.step = self.num_updates = 0
        self.seconds = self.epoch_seconds = 0.0
        self.stopped: str | None = None

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        names = ("steps_per_epoch", "epoch", "step", "num_updates", "seconds", "epoch_seconds", "stopped")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint; an epoch that has another number of steps now is begun again."""
        steps_per_epoch = self.steps_per_epoch
        vars(self).update(state)
        if self.steps_per_epoch != steps_per_epoch:
            self.steps_per_epoch, self.step = steps_per_epoch, 0

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
        """End the training with the present epoch."""
        self.stopped = reason
        self.model.stop_training = True

    def _look(self):
        now = time.perf_counter()
        self.seconds += now - self._looked
        self.epoch_seconds += now - self._looked
        self._looked = now


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
        position: is told to stop.
    """

    def __init__(
        self, run: Run, twin: keras.Model, score: Callable, patience: int | None, position: Position
    ):
        super().__init__()
        self.run = run
        self.twin = twin
        self.score = score
        self.patience = patience
        self.position = position
        self.best_score: tuple[float, ...] | None = None
        self.best_epoch: int | None = None
        self.began = 0  # first epoch of the present phase: patience begins anew with it

    def on_epoch_end(self, epoch, logs=None):
        score = self.score(logs)
        if self.best_score is None or score > self.best_score:
            self.best_score, self.best_epoch = score, epoch
            self.save()
        elif self.patience is not None and epoch - self.last_good_epoch >= self.patience:
            self.position.stop(f"early stopping: no better score in {self.patience} epochs")

    @property
    def last_good_epoch(self) -> int:
        """The epoch that patience counts from: the best one, or the last before the present phase."""
        return max(self.best_epoch, self.began - 1)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps; the weights are in its `model.keras`."""
        score = None if self.best_score is None else [float(part) for part in self.best_score]
        return {"best_epoch": self.best_epoch, "best_score": score}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to the best epoch of a checkpoint."""
        self.best_epoch = state["best_epoch"]
        self.best_score = None if state["best_score"] is None else tuple(state["best_score"])

    def restore_file(self, model_file: Path) -> None:
        """Go back to the best network of a checkpoint; that in the run may be of an epoch after it."""
        if not model_file.is_file():
            self.run.model_file.unlink(missing_ok=True)
            return
        with replacing(self.run.model_file) as temporary:
            link_or_copy(model_file, temporary)
        self.twin.load_weights(self.run.model_file)

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

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps; the learning rate is a variable of the optimizer."""
        return {"last_drop": self.last_drop}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.last_drop = state["last_drop"]

    def on_epoch_end(self, epoch, logs=None):
        if epoch - max(self.best.last_good_epoch, self.last_drop) >= self.patience:
            self.last_drop = epoch
            for optimizer in self.model.optimizers.values():
                optimizer.learning_rate = make.learning_rate(optimizer) * self.factor


class Divergence(keras.callbacks.Callback):
    """Stop a run whose loss or gradients are not finite any more.

    The optimizer has left such updates out (`kerasdl.training.optimizers`), so the weights are the last
    good ones.

    Args:
        best: keeps those weights when no epoch has ended yet.
        position: knows the number of the step.
        every: steps between two looks; looking makes the host wait for the device.
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
        """Raise a RunFailedError if an update was left out or a loss is not finite."""
        skipped = sum(make.num_skipped(optimizer) for optimizer in self.model.optimizers.values())
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
    """End the training after a time; the epoch ends there too, and is validated.

    Args:
        position: counts the seconds.
        seconds: of training, those before interruptions included.
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
    """Tell the figures of each epoch, and end the training where the answer is a reason to.

    Args:
        observe: gets `epoch` (from 1 on), `epochs` of the run and figures by name; returns a reason, or None.
        epochs: of the run.
        position: is told to stop.
        earlier: the same of the epochs before an interruption.
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
            self._tell(row)

    def on_epoch_end(self, epoch, logs=None):
        self._tell({"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}})

    def _tell(self, figures: Mapping[str, float]):
        reason = self.observe({**figures, "epochs": self.epochs})
        if reason is not None and self.position.stopped is None:
            self.position.stop(f"{PRUNED}: {reason}")


class Learned(keras.callbacks.Callback):
    """End a training on a few batches once the network knows them.

    Args:
        task: its `has_learned` looks at the figures.
        position: is told to stop.
    """

    def __init__(self, task: Any, position: Position):
        super().__init__()
        self.task = task
        self.position = position
        self._first: dict[str, float] = {}

    def on_epoch_end(self, epoch, logs=None):
        self._first = self._first or dict(logs)
        if self.task.has_learned(logs, self._first):
            self.position.stop("learned")
