"""Callbacks that follow the best validation score: model.keras, early stopping, learning-rate drops."""

import contextlib
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasdl.files import link_or_copy, replacing
from kerasdl.runs.folder import Run
from kerasdl.training import reference
from kerasdl.training.callbacks.position import Position
from kerasdl.training.devices import Devices
from kerasdl.training.optimizers import make
from kerasdl.training.optimizers.make import moving_averages
from kerasdl.training.reference import Reference

_log = logging.getLogger(__name__)

_UNRANKED = "No figure tells which epoch is better than another: {} has no effect."


class Best(keras.callbacks.Callback):
    """Save the network with the best validation score, and stop early without a better one.

    Args:
        run: the run folder, whose `model.keras` is written.
        twin: float32 network of the same weights, on one device, that is saved.
        score: function from the metrics of an epoch to its score; larger is better, and an empty one is
            that of an epoch that takes the place of all before it.
        patience: number of epochs without a better score before training stops; None to never stop.
        position: the position, which stops training.
        examples: examples whose answers are kept beside `model.keras`, to compare it with. Defaults to None.
    """

    def __init__(
        self,
        run: Run,
        twin: keras.Model,
        score: Callable,
        patience: int | None,
        position: Position,
        examples: Reference | None = None,
    ):
        super().__init__()
        self.run = run
        self.twin = twin
        self.examples = examples
        self.score = score
        self.patience = patience
        self.position = position
        self.best_score: tuple[float, ...] | None = None
        self.best_epoch: int | None = None
        self.best_figures: dict[str, float] = {}  # by which the best epoch was validated
        self.began = 0  # first epoch of the present phase: patience begins anew with it

    def on_epoch_end(self, epoch, logs=None):
        score = self._rank(logs)
        if not score and self.best_score is None and self.patience is not None:
            _log.warning(_UNRANKED.format("--early-stopping"))
        if not score or self.best_score is None or score > self.best_score:
            self.best_score, self.best_epoch = score, epoch
            self.best_figures = {name: logs[name] for name in logs if name.startswith("val_")}
            self.save()
        elif self.patience is not None and epoch - self.last_good_epoch >= self.patience:
            self.position.stop(f"early stopping: no better score in {self.patience} epochs")

    def _rank(self, logs: Mapping[str, float]) -> tuple[float, ...]:
        """Return the score of an epoch; one that is not a number ranks below all others."""
        score = tuple(float(part) for part in np.atleast_1d(self.score(logs)))
        if not any(map(math.isnan, score)):
            return score
        _log.warning("The score of this epoch is not a number: it is not the best one.")
        return (-math.inf,) * len(score)

    @property
    def last_good_epoch(self) -> int:
        """Epoch that patience counts from: the best one, or the last one before the present phase."""
        return max(self.best_epoch, self.began - 1)

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint, whose `model.keras` has the weights."""
        score = None if self.best_score is None else [float(part) for part in self.best_score]
        return {
            "best_epoch": self.best_epoch,
            "best_score": score,
            "best_figures": self.best_figures,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore the best epoch and its score."""
        self.best_epoch = state["best_epoch"]
        self.best_figures = state.get("best_figures", {})  # earlier versions kept none
        self.best_score = None if state["best_score"] is None else tuple(state["best_score"])

    def restore_files(self, checkpoint: Path) -> None:
        """Restore the best network of a checkpoint, and its answers, over those of a later epoch."""
        for name in (self.run.model_file.name, reference.FILE_NAME):
            kept, file = checkpoint / name, self.run.path / name
            if not kept.is_file():
                file.unlink(missing_ok=True)
                continue
            with replacing(file) as temporary:
                link_or_copy(kept, temporary)
        if self.run.model_file.is_file():
            self.twin.load_weights(self.run.model_file)

    def save(self) -> bool:
        """Write the present weights, averaged where the recipe says so.

        Weights that are not finite are not kept: those of the save before stay, or the initial ones.

        Returns:
            Whether the present weights were finite.
        """
        averages = {id(variable): average for variable, average in moving_averages(self.model)}
        weights = [averages.get(id(weight), weight) for weight in self.model.weights]
        # One at a time, and therefore twice: all of them at once would be one more copy in memory.
        finite = all(np.isfinite(keras.ops.convert_to_numpy(weight)).all() for weight in weights)
        if finite:
            for kept, weight in zip(self.twin.weights, weights, strict=True):
                kept.assign(keras.ops.convert_to_numpy(weight))
        if Devices.of(self.model).is_chief:
            with replacing(self.run.model_file) as temporary:
                self.twin.save(temporary)
            if finite and self.examples is not None:
                with averaged(self.model):
                    reference.keep(self.run.path / reference.FILE_NAME, self.examples, self.model)
        return finite


class Plateau(keras.callbacks.Callback):
    """Lower all learning rates when the validation score stops improving.

    (`keras.callbacks.ReduceLROnPlateau` is limited to one optimizer and one metric.)

    Args:
        best: the callback that knows the best epoch.
        factor: factor on the learning rates, 0 to 1.
        patience: number of epochs since the best one, or since the last drop, before a drop.
    """

    def __init__(self, best: Best, factor: float, patience: int):
        super().__init__()
        self.best = best
        self.factor = factor
        self.patience = patience
        self.last_drop = -1

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint; optimizers keep their learning rates as variables."""
        return {"last_drop": self.last_drop}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore the epoch of the last drop."""
        self.last_drop = state["last_drop"]

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0 and not self.best.best_score:
            _log.warning(_UNRANKED.format("--schedule plateau"))
        if epoch - max(self.best.last_good_epoch, self.last_drop) >= self.patience:
            self.last_drop = epoch
            for optimizer in self.model.optimizers.values():
                optimizer.learning_rate = make.learning_rate(optimizer) * self.factor


class AveragedWeights(keras.callbacks.Callback):
    """Validate the moving average of the weights, then restore the weights bit for bit.

    (`keras.callbacks.SwapEMAWeights` swaps by adding and subtracting, which rounds the weights each time.)
    """

    def on_test_begin(self, logs=None):
        self._averaged = averaged(self.model)
        self._averaged.__enter__()

    def on_test_end(self, logs=None):
        self._averaged.__exit__(None, None, None)


@contextlib.contextmanager
def averaged(model: keras.Model):
    """Give a network the moving averages of its weights, where it has any; its weights come back."""
    pairs = moving_averages(model)
    trained = [variable.numpy() for variable, _ in pairs]
    for variable, average in pairs:
        variable.assign(average.numpy())
    try:
        yield
    finally:
        for (variable, _), value in zip(pairs, trained, strict=True):
            variable.assign(value)
