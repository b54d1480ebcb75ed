"""Optimizers that update alike on any number of replicas, and the learning-rate schedules."""

import contextlib
import functools
import math

import keras
import tensorflow as tf
from keras import ops

from kerasdl.recipe import Recipe
from kerasdl.training.optimizers import fused


class _AlreadySummed:
    """Mixed in before a Keras optimizer that gets gradients already summed over replicas."""

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars

    def finalize_variable_values(self, var_list):
        """Leave the weights as they are: `fit` would end by putting the averages in their place."""


class _ReplicaSafe(_AlreadySummed):
    """Sum gradients over replicas before anything else looks at them, and leave out non-finite updates.

    Keras clips and tests for infinities each replica's own gradient: clipping then differs silently from
    one device, and an infinity on any replica but the first becomes NaN weights.
    """

    def build(self, variables):
        super().build(variables)
        #: Updates left out because a gradient was not finite. Training stops when this is not 0.
        self.num_skipped = self.add_variable((), initializer="zeros", dtype="int64", name="num_skipped")

    def apply(self, grads, trainable_variables=None):
        grads, variables = _summed(grads, trainable_variables)
        if not self.built:
            self.build(list(trainable_variables))
        tf.distribute.get_replica_context().merge_call(
            self._apply_if_finite, args=(_all_finite(grads), grads, variables)
        )

    def _apply_if_finite(self, strategy, finite, grads, variables):
        """Branch across replicas: a branch inside a replica could not update mirrored variables."""
        finite = strategy.experimental_local_results(finite)[0]  # the same on all: the gradients are summed
        update = functools.partial(
            strategy.extended.call_for_each_replica, super().apply, args=(grads, variables)
        )
        tf.cond(finite, lambda: _for_effect(update), lambda: _for_effect(self._skip))

    def _skip(self):
        self.num_skipped.assign_add(1)


class ReplicaSafeLossScale(keras.optimizers.LossScaleOptimizer):
    """Keras's dynamic loss scale, over gradients that are summed first: a step with an infinity is retried
    at half the scale on all replicas or on none.
    """

    def apply(self, grads, trainable_variables=None):
        super().apply(*_summed(grads, trainable_variables))


def _summed(grads, variables):
    """Drop the weights without a gradient and sum the others over replicas."""
    pairs = [pair for pair in zip(grads, variables, strict=True) if pair[0] is not None]
    if not pairs:
        raise ValueError("No weight of the network has a gradient: the loss does not depend on any.")
    grads, variables = map(list, zip(*pairs, strict=True))
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync > 1:
        grads = list(context.all_reduce(tf.distribute.ReduceOp.SUM, grads))
    return grads, variables


def _all_finite(grads):
    """Say whether gradients are finite: their sum is not, where one number is not. (One pass, no copy.)"""
    values = [grad.values if isinstance(grad, tf.IndexedSlices) else grad for grad in grads]
    return tf.math.is_finite(tf.add_n([tf.reduce_sum(tf.cast(value, tf.float32)) for value in values]))


def _for_effect(function):
    """Run `function` for its effects; a branch of `tf.cond` has to return a tensor."""
    function()
    return tf.constant(True)


def num_skipped(optimizer: keras.Optimizer) -> int:
    """Return how many updates an optimizer has left out because they were not finite.

    0 under a loss scale, which leaves updates out in the ordinary course of its work.
    """
    return int(optimizer.num_skipped.numpy()) if isinstance(optimizer, _ReplicaSafe) else 0


def learning_rate(optimizer: keras.Optimizer) -> float:
    """Return the present learning rate of an optimizer, with a schedule or without."""
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))


def change_learning_rate(optimizer: keras.Optimizer, factor: float) -> None:
    """Multiply the present learning rate of an optimizer; that of a schedule is the schedule's own."""
    with contextlib.suppress(TypeError):  # what Keras raises where there is a schedule
        optimizer.learning_rate = learning_rate(optimizer) * factor


def moving_averages(model) -> list[tuple]:
    """Return (weight, its moving average) of every weight of a network whose average is kept."""
    pairs, averaged = [], {id(variable) for variable in model.averaged}
    for optimizer in model.optimizers.values():
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        if optimizer.use_ema and optimizer.iterations.numpy() > 0:  # until then the averages are zeros
            pairs += zip(
                optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
            )
    return [pair for pair in pairs if id(pair[0]) in averaged]


_CLASSES = {"sgd": fused.SGD, "adam": fused.Adam, "adamw": fused.AdamW, "rmsprop": fused.RMSprop}


def make_optimizer(recipe: Recipe, steps_per_epoch: int) -> keras.Optimizer:
    """Build the optimizer of a recipe, with its schedule, clipping, decay, average and loss scale."""
    arguments = {
        "learning_rate": make_schedule(recipe, steps_per_epoch),
        "weight_decay": recipe.weight_decay or None,
        "clipnorm": recipe.clip_norm,
        "global_clipnorm": recipe.global_clip_norm,
    }
    if recipe.ema_momentum is not None:
        arguments |= {"use_ema": True, "ema_momentum": recipe.ema_momentum}
    if recipe.optimizer in ("sgd", "rmsprop"):
        arguments["momentum"] = recipe.momentum
    if recipe.optimizer == "sgd":
        arguments["nesterov"] = recipe.nesterov
    if recipe.optimizer == "adamw":
        arguments["weight_decay"] = recipe.weight_decay  # None is not a value that AdamW takes
    mixin = _AlreadySummed if recipe.precision == "mixed_float16" else _ReplicaSafe
    stock = _CLASSES[recipe.optimizer]
    optimizer = type(stock.__name__, (mixin, stock), {})(**arguments)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return ReplicaSafeLossScale(optimizer) if recipe.precision == "mixed_float16" else optimizer


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
