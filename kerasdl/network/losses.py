"""Targets, predictions and losses of networks whose outputs may be a dict."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from kerasdl.errors import UsageError


def matched(y: Any, y_pred: Any, sample_weight: Any, main_output: str) -> tuple[Any, Any, Any]:
    """Return the targets, predictions and sample weights that belong together.

    Args:
        y: target, or a dict of them by output; None where there is none.
        y_pred: what the network returned, a tensor or a dict of them.
        sample_weight: tensor, dict of them by output, or None.
        main_output: output that a single target is compared with.

    Raises:
        UsageError: when an output or a target that is needed is not there.
    """
    if y is None:
        return y, y_pred, sample_weight
    if isinstance(y, Mapping) and isinstance(y_pred, Mapping):
        names = [name for name in y_pred if name in y]
        if not names:
            raise UsageError(
                f"The network returns {', '.join(y_pred)}, but the data has the targets {', '.join(y)}. "
                "Give both the same names."
            )
        if isinstance(sample_weight, Mapping):
            sample_weight = {name: sample_weight.get(name) for name in names}
        return {name: y[name] for name in names}, {name: y_pred[name] for name in names}, sample_weight
    if isinstance(y_pred, Mapping):
        y_pred = _one(y_pred, main_output, "the network returns")
    y = _one(y, main_output, "the data has the targets")
    return y, y_pred, _one(sample_weight, main_output, "there are sample weights for")


def _one(tree: Any, name: str, where: str) -> Any:
    """Return the value of a name, or the only value; a tensor as it is."""
    if not isinstance(tree, Mapping):
        return tree
    if name not in tree and len(tree) > 1:
        raise UsageError(
            f"One target is compared with one output, but {where} {', '.join(tree)}. Name one of them "
            f"{name!r}, set `main_output` in the network's class, or let targets and outputs be dicts."
        )
    return tree.get(name, next(iter(tree.values())))


class OutputLosses:
    """The loss of each output, its weight in the sum, and its running mean, which is a metric.

    Keras's own means count a partial batch like a full one; these count each sample once.

    Args:
        losses: function (target, prediction, sample_weight) to a scalar, by output.
        weights: weights in the sum, by output. Those that are left out are 1.

    Raises:
        UsageError: for a weight without a loss.
    """

    def __init__(self, losses: Mapping[str, Callable[..., Any]], weights: Mapping[str, float]):
        if unknown := sorted(set(weights) - set(losses)):
            raise UsageError(
                f"loss_weights names {', '.join(unknown)}, but there are losses of {', '.join(losses)}."
            )
        self._losses = losses
        self._weights = weights
        self.means = [keras.metrics.Mean(name=f"{name}_loss") for name in losses]

    def __call__(self, y: Mapping, y_pred: Mapping, sample_weight: Any, count, num_replicas: int):
        """Return the weighted sum of the losses, and update their means.

        Args:
            y: targets by output.
            y_pred: predictions by output.
            sample_weight: tensor, dict of them by output, or None.
            count: number of samples, which the means are weighted by.
            num_replicas: number of replicas, which Keras divides each loss by.

        Raises:
            UsageError: when an output with a loss has no target or prediction.
        """
        total = 0.0
        for (name, loss), mean in zip(self._losses.items(), self.means, strict=True):
            if name not in y:
                raise UsageError(
                    f"There is a loss of {name}, but the outputs with a target are {', '.join(y)}."
                )
            weight = sample_weight.get(name) if isinstance(sample_weight, Mapping) else sample_weight
            value = loss(y[name], y_pred[name], weight)
            mean.update_state(value * num_replicas, sample_weight=count)
            total += value * self._weights.get(name, 1.0)
        return total
