"""Makes a recipe's optimizer, and reads and changes learning rates and averages."""

import contextlib

import keras

from kerasdl.private import keras as private
from kerasdl.recipe import Recipe
from kerasdl.training.optimizers import replica_safe
from kerasdl.training.optimizers.schedules import make_schedule


def learning_rate(optimizer: keras.Optimizer) -> float:
    """Return the present learning rate of an optimizer, with a schedule or without."""
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))


def change_learning_rate(optimizer: keras.Optimizer, factor: float) -> None:
    """Multiply the learning rate of an optimizer, unless it follows a schedule."""
    with contextlib.suppress(TypeError):  # what Keras raises where there is a schedule
        optimizer.learning_rate = learning_rate(optimizer) * factor


def moving_averages(model) -> list[tuple]:
    """Return each averaged weight of a network with its moving average, of all optimizers."""
    pairs, averaged = [], {id(variable) for variable in model.averaged}
    for optimizer in model.optimizers.values():
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        if optimizer.use_ema and optimizer.iterations.numpy() > 0:  # until then the averages are zeros
            pairs += private.moving_averages(optimizer)
    return [pair for pair in pairs if id(pair[0]) in averaged]


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
    if recipe.optimizer in ("adam", "adamw"):
        arguments |= {"beta_1": recipe.beta_1, "beta_2": recipe.beta_2}
    if recipe.optimizer == "sgd":
        arguments["nesterov"] = recipe.nesterov
    if recipe.optimizer == "adamw":
        arguments["weight_decay"] = recipe.weight_decay  # None is not a value that AdamW takes
    private.check_overridden()
    scaled = recipe.precision == "mixed_float16"
    kinds = replica_safe.ALREADY_SUMMED if scaled else replica_safe.REPLICA_SAFE
    optimizer = kinds[recipe.optimizer](**arguments)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return replica_safe.ReplicaSafeLossScale(optimizer) if scaled else optimizer
