"""The learning-rate range test: the loss of a short training whose learning rate rises exponentially.

Reference: Smith, "Cyclical learning rates for training neural networks", 2017,
https://arxiv.org/abs/1506.01186, section 3.3; the rising rate, the smoothed loss, the stop and the suggestion
at the steepest descent are those of fastai (Howard and Gugger, 2020) and PyTorch Lightning.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasdl.errors import UsageError
from kerasdl.jobs import recipe_data
from kerasdl.recipe import Recipe
from kerasdl.report import terminal
from kerasdl.training import build, devices
from kerasdl.training.contract import check_network
from kerasdl.training.loop import Loop
from kerasdl.training.optimizers import replica_safe
from kerasdl.training.plan import Plan, plan_run

# Of the smoothed loss. On LeNet-5 and MNIST, seeds 0 to 4, the suggestions were 2.0e-3 to 4.9e-3; with 0.95
# they were 7.4e-3 to 1.4e-2, since a longer average lags behind (the recipe's own learning rate is 2e-3).
_MOMENTUM = 0.9
_REACH = 0.25  # decades to either side of a slope; suggestions of five seeds then differ less (batches of 8)
_DIVERGED = 4.0  # times the best smoothed loss ends the test
_MIN_STEPS = 20


@dataclasses.dataclass(frozen=True)
class RangeTest:
    """Losses and learning rates of a range test.

    Attributes:
        learning_rates: of each update, rising (N,).
        losses: of the batch of each update, before that update (N,).
        smoothed: bias-corrected exponential moving average of `losses` (N,).
        stopped: why the test ended, in words.
        suggestion: learning rate of the steepest descent; None where none can be given.
        tenth_of_minimum: a tenth of the learning rate with the lowest smoothed loss, for comparison.
        note: what there is to say of the suggestion, or why there is none; may be empty.
    """

    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    stopped: str
    suggestion: float | None
    tenth_of_minimum: float | None
    note: str = ""

    def describe(self) -> dict[str, Any]:
        """Return it as JSON can hold it: numbers that are not finite are null."""
        return {
            name: [_finite(item) for item in value] if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }


def range_test(
    recipe: Recipe,
    *,
    min_learning_rate: float = 1e-6,
    max_learning_rate: float = 10.0,
    steps: int = 200,
) -> RangeTest:
    """Train a new network of a recipe for a few steps, each with a higher learning rate.

    All else is the recipe's: network, data order, augmentation, optimizer, batch size, precision, devices.
    Its schedule is not used, nor the moving average of its weights. Nothing is kept.

    Args:
        recipe: what to train.
        min_learning_rate: of the first update, above 0.
        max_learning_rate: of the last update.
        steps: updates, 20 or more.

    Raises:
        UsageError: for a recipe that cannot be run as it is, or a range that is none.
    """
    if not 0 < min_learning_rate < max_learning_rate < math.inf:
        raise UsageError(
            f"The learning rates {min_learning_rate:g} to {max_learning_rate:g} are no range. Give a "
            "--min-learning-rate above 0 and a higher --max-learning-rate."
        )
    if steps < _MIN_STEPS:
        raise UsageError(f"{steps} steps show nothing. Use --steps {_MIN_STEPS} or more; 200 are usual.")
    recipe = dataclasses.replace(
        recipe, learning_rate=min_learning_rate, schedule="constant", warmup_epochs=0.0, ema_momentum=None,
        overfit_batches=None,
    )  # fmt: skip
    used = devices.begin(recipe)
    plan = plan_run(recipe, recipe_data.load(recipe_data.sized(recipe).data, recipe.task), used)
    rates = np.geomspace(min_learning_rate, max_learning_rate, steps).tolist()
    return judge(*_losses(plan, rates))


def _losses(plan: Plan, learning_rates: list[float]) -> tuple[list[float], list[float], str]:
    """Train by the trainer's own loop, each step at a higher learning rate.

    Returns:
        The learning rates of the steps that were done, their losses, and why there are no more.

    Raises:
        UsageError: when the network's training step reports no `loss`.
    """
    network, _ = build.make_pair(plan, functools.partial(check_network, plan, exports=False))
    loop = Loop(network, plan.training_blocks())
    losses: list[float] = []
    stopped = None
    with terminal.line_of_status.showing(lambda: f"Update {len(losses)} of {len(learning_rates)} ..."):
        while stopped is None and len(losses) < len(learning_rates):
            for optimizer in network.optimizers.values():
                optimizer.learning_rate = learning_rates[len(losses)]
            network.reset_metrics()  # the loss is then that of one batch, and not a running mean
            _, logs = loop.run(1)
            if "loss" not in logs:
                raise UsageError(
                    f"{type(network).__name__} reports no `loss` but {', '.join(logs)}: a range test needs "
                    "it."
                )
            losses.append(float(logs["loss"]))
            stopped = _reason_to_stop(network, losses, len(learning_rates))
    if stopped is None:
        return learning_rates, losses, f"after all {len(losses)} updates"
    stopped = f"at update {len(losses)} of {len(learning_rates)}, where {stopped}"
    return learning_rates[: len(losses)], losses, stopped


def _reason_to_stop(network: keras.Model, losses: list[float], steps: int) -> str | None:
    """Return why a range test ends after these losses; None where it goes on."""
    smoothed = smooth(losses)
    best = min(smoothed[skipped(steps) :], default=math.inf)
    left_out = sum(replica_safe.num_skipped(optimizer) for optimizer in network.optimizers.values())
    if not math.isfinite(smoothed[-1]) or left_out:
        return f"the {'gradient' if math.isfinite(smoothed[-1]) else 'loss'} was no longer finite"
    if smoothed[-1] > best + (_DIVERGED - 1) * abs(best):  # also right for losses below 0
        return f"the smoothed loss was {_DIVERGED:g} times its best"
    return None


def judge(learning_rates: Sequence[float], losses: Sequence[float], stopped: str) -> RangeTest:
    """Find the suggestion in the losses of rising learning rates.

    It is the steepest descent: the lowest slope of the smoothed loss over the logarithm of the learning
    rate, before the smoothed loss has its minimum. The first steps are passed over while the average is
    young, and the loss has to fall by more than the batches differ.

    Args:
        learning_rates: (N,), rising exponentially.
        losses: (N,), of single batches; those that are not finite end the part that is judged.
        stopped: why there are no more.
    """
    smoothed = smooth(losses)
    held = tuple(map(tuple, (map(float, learning_rates), map(float, losses), smoothed)))
    finite = np.isfinite(smoothed)
    count = len(smoothed) if finite.all() else int(finite.argmin())
    first = skipped(count)
    if count - first < 3:
        why = f"The loss was finite for {count} updates only. Try a lower --min-learning-rate."
        return RangeTest(*held, stopped, None, None, why)
    curve, rates = np.array(smoothed[first:count]), np.log10(learning_rates[first:count])
    lowest = int(curve.argmin())
    noise = _noise(losses[: max(count // 4, 3)])
    fell = float(curve[0] - curve[lowest])
    # The average of noise alone wanders over about as much as the noise; float32 tells no less than 1e-5.
    if fell <= max(2 * noise, 1e-5 * abs(float(curve[0]))):
        why = (
            f"The loss never fell below {curve[0]:.4g} by more than the batches differ ({noise:.2g}). Try "
            "another range, more --steps, or look for a mistake in the network, the labels or the loss."
        )
        return RangeTest(*held, stopped, None, None, why)
    steepest = int(_slopes(curve, rates)[: lowest + 1].argmin())
    note = ""
    if lowest == len(curve) - 1 and count == len(smoothed):
        note = "The loss was still falling at the highest learning rate: try a higher --max-learning-rate."
    elif steepest == 0:
        note = "The loss fell fastest at the lowest learning rate: try a lower --min-learning-rate."
    return RangeTest(*held, stopped, float(10 ** rates[steepest]), float(10 ** rates[lowest] / 10), note)


def _noise(losses: Sequence[float]) -> float:
    """Return the standard deviation between batches, from successive differences: a trend is no noise."""
    return float(np.median(np.abs(np.diff(losses))) / 0.954)  # of a normal distribution's differences


def _slopes(curve: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Return the slope at each point (N,), over a quarter of a decade either side: batches are noisy."""
    reach = max(1, round(_REACH / (rates[1] - rates[0])))
    places = np.arange(len(curve))
    left, right = np.maximum(places - reach, 0), np.minimum(places + reach, len(curve) - 1)
    return (curve[right] - curve[left]) / (rates[right] - rates[left])


def skipped(count: int) -> int:
    """Return how many of the first steps are not judged: the average still follows single batches there."""
    return min(10, count // 10)


def smooth(losses: Sequence[float]) -> tuple[float, ...]:
    """Return the bias-corrected exponential moving average of losses (N,), as Adam corrects it."""
    average, result = 0.0, []
    for number, loss in enumerate(losses, 1):
        average = _MOMENTUM * average + (1 - _MOMENTUM) * float(loss)
        result.append(average / (1 - _MOMENTUM**number))
    return tuple(result)


def answer(recipe: Recipe, test: RangeTest) -> str:
    """Return the result in one or two sentences."""
    if test.suggestion is None:
        return f"No learning rate can be suggested. {test.note}"
    text = (
        f"Suggested: --learning-rate {test.suggestion:.2g}, the steepest descent of the loss (the minimum "
        f"/ 10 is {test.tenth_of_minimum:.2g}; the recipe has {recipe.learning_rate:.2g})."
    )
    return f"{text} {test.note}".rstrip()


def text_plot(test: RangeTest, width: int = 50) -> list[str]:
    """Return the smoothed loss as bars, about three rows to a decade of the learning rate.

    Args:
        test: what was seen.
        width: characters of the longest bar.
    """
    rates = np.log10(test.learning_rates)
    per_row = max(1, round(len(rates) / max(3 * (rates[-1] - rates[0]), 10)))
    marked = None if test.suggestion is None else int(np.abs(rates - math.log10(test.suggestion)).argmin())
    finite = [loss for loss in test.smoothed if math.isfinite(loss)]
    low = min(0.0, *finite, 0.0) if finite else 0.0
    top = max(2 * abs(test.smoothed[0]), 1e-12) if finite else 1.0  # a loss that ran away fills the row
    lines = [f"{'learning rate':<13}  {'loss':>9}"]
    for start in range(0, len(rates), per_row):
        rows = range(start, min(start + per_row, len(rates)))
        index = marked if marked in rows else start
        loss = test.smoothed[index]
        part = min(max((loss - low) / (top - low), 0.0), 1.0) if math.isfinite(loss) else 1.0
        mark = "  <- steepest descent" if index == marked else ""
        lines.append(f"{test.learning_rates[index]:<13.1e}  {loss:>9.4g}  {'#' * round(part * width)}{mark}")
    return lines


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
