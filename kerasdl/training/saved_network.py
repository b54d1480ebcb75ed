"""Checks that the saved network is the one that was trained."""

import hashlib
from collections.abc import Sequence

import keras
import numpy as np

from kerasdl.errors import RunFailedError
from kerasdl.network.network import Network
from kerasdl.runs.folder import Run
from kerasdl.training import build, reference
from kerasdl.training.callbacks.assembly import CallbackAssembly
from kerasdl.training.validation import validate

#: Largest difference between the validation figures in training and those of the saved network, which is
#: float32 always; relative above 1.
_SAME_FIGURE = 0.01
_SAME_FIGURE_16_BITS = 0.1
_ENOUGH_UPDATES = 20  # to change every weight that a gradient reaches
_FEW_EXAMPLES = 1000  # to validate on sooner than a graph is traced


def reload(run: Run, twin: keras.Model) -> keras.Model:
    """Open what was saved; a network whose file does not hold its weights must not pass for trained."""
    network = run.network()
    pairs = zip(network.weights, twin.weights, strict=False)
    saved = [np.array_equal(loaded.numpy(), weight.numpy()) for loaded, weight in pairs]
    if not all(saved) or len(network.weights) != len(twin.weights):
        raise RunFailedError(
            f"{run.model_file} gives back {sum(saved)} of {len(twin.weights)} weights. Make every layer of "
            "the network in its __init__."
        )
    return network


def check(assembly: CallbackAssembly, saved: keras.Model) -> None:
    """Raise a RunFailedError unless the saved network answers and validates as the one in memory did."""
    plan, best = assembly.plan, assembly.best
    reference.check(assembly.run, saved)
    if not best.best_figures or plan.observe is not None:  # a trial's figures are those of its files
        return
    few = len(plan.data.validation) <= _FEW_EXAMPLES
    task = plan.recipe.task
    build.compile_to_validate(saved, task, plan.data.spec, run_eagerly=few)
    further = task.validator(saved, plan.data)
    found = {**validate(plan, saved, None), **({} if further is None else further())}
    limit = _SAME_FIGURE if plan.recipe.precision == "float32" else _SAME_FIGURE_16_BITS
    for name, then in best.best_figures.items():
        if not abs(found[name] - then) <= limit * max(1.0, abs(then)):
            raise RunFailedError(
                f"{assembly.run.model_file} is not the network that was trained: it gives a {name} of "
                f"{found[name]:.4g}, but in training, at epoch {best.best_epoch + 1}, it was {then:.4g}. "
                "Something that training changes is not saved with the network."
            )


def hashes(network: keras.Model) -> list[bytes]:
    """Return a hash of each weight."""
    values = (weight.numpy() for weight in network.weights)
    return [hashlib.blake2b(value.tobytes(), digest_size=8).digest() for value in values]


def unchanged(
    assembly: CallbackAssembly, network: Network, before: Sequence[bytes], saved: keras.Model
) -> list[str]:
    """Return the paths of weights that were to train, and are what they were before the first step."""
    epochs = 0 if assembly.best.best_epoch is None else assembly.best.best_epoch + 1
    if not before or epochs * assembly.plan.steps_per_epoch < _ENOUGH_UPDATES:
        return []
    after, trains = hashes(saved), {id(weight) for weight in network.trainable_variables}
    trains -= {id(weight) for weight in network.without_effect}
    pairs = zip(network.weights, before, after, strict=True)
    return [weight.path for weight, old, new in pairs if old == new and id(weight) in trains]
