"""Learning-rate schedules: the learning rate of each update of a run."""

import math

import keras
from keras import ops

from kerasdl.recipe import Recipe


def make_schedule(recipe: Recipe, steps_per_epoch: int):
    """Build the learning rate of a recipe: a function of the step, or a number that callbacks may change."""
    peak, total = recipe.learning_rate, recipe.epochs * steps_per_epoch
    warmup = min(round(recipe.warmup_epochs * steps_per_epoch), total - 1)
    if recipe.schedule == "plateau" or (recipe.schedule == "constant" and not warmup):
        return peak
    if recipe.schedule == "one_cycle":
        return OneCycle(peak=peak, steps=total)
    if recipe.schedule == "cosine":
        after = keras.optimizers.schedules.CosineDecay(peak, decay_steps=total - warmup)
    elif recipe.schedule == "step":
        after = keras.optimizers.schedules.ExponentialDecay(
            peak, recipe.schedule_epochs * steps_per_epoch, recipe.schedule_factor, staircase=True
        )
    else:
        after = keras.optimizers.schedules.PolynomialDecay(peak, 1, end_learning_rate=peak)
    return Warmup(steps=warmup, after=after) if warmup else after


@keras.saving.register_keras_serializable("kerasdl")
class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """Linear rise from 0 to the beginning of another schedule.

    Args:
        steps: updates of the rise.
        after: the schedule that follows; its step 0 is the end of the rise.
    """

    def __init__(self, *, steps: int, after: keras.optimizers.schedules.LearningRateSchedule):
        self.steps = steps
        self.after = after

    def __call__(self, step):
        """Return the learning rate of an update, float32."""
        step = ops.cast(step, "float32")
        rising = self.after(0) * (step + 1) / self.steps
        return ops.where(step < self.steps, rising, self.after(ops.maximum(step - self.steps, 0)))

    def get_config(self):
        return {"steps": self.steps, "after": keras.saving.serialize_keras_object(self.after)}

    @classmethod
    def from_config(cls, config):
        """Rebuild the schedule and the one it leads to."""
        return cls(steps=config["steps"], after=keras.saving.deserialize_keras_object(config["after"]))


@keras.saving.register_keras_serializable("kerasdl")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Cosine rise to a peak and cosine fall far below the start, over the whole run.

    Reference: Smith and Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", 2018; the shape and defaults are those of PyTorch's OneCycleLR.

    Args:
        peak: highest learning rate.
        steps: updates of the run.
        rise: part of the run before the peak, 0 to 1. Defaults to 0.3.
        start_factor: the first learning rate is peak / start_factor. Defaults to 25.
        end_factor: the last one is peak / start_factor / end_factor. Defaults to 1e4.
    """

    def __init__(
        self,
        *,
        peak: float,
        steps: int,
        rise: float = 0.3,
        start_factor: float = 25.0,
        end_factor: float = 1e4,
    ):
        self.peak = peak
        self.steps = steps
        self.rise = rise
        self.start_factor = start_factor
        self.end_factor = end_factor

    def __call__(self, step):
        """Return the learning rate of an update, float32."""
        step = ops.cast(step, "float32")
        top = max(self.rise * self.steps - 1, 1e-6)
        last = max(self.steps - 1 - top, 1e-6)
        start = self.peak / self.start_factor
        rising = _between(start, self.peak, step / top)
        falling = _between(self.peak, start / self.end_factor, (step - top) / last)
        return ops.where(step < top, rising, falling)

    def get_config(self):
        names = ("peak", "steps", "rise", "start_factor", "end_factor")
        return {name: getattr(self, name) for name in names}


def _between(first: float, last: float, part):
    """Go from `first` to `last` along half a cosine as `part` goes from 0 to 1."""
    return last + (first - last) * (1 + ops.cos(math.pi * ops.clip(part, 0.0, 1.0))) / 2
