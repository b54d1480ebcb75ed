"""Explains numbers that are told of texts by what each word adds to one of them."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from kerasdl.data.dataset import Spec
from kerasdl.explain.texts import TextExplainer
from kerasdl.explain.words import WordNetwork
from kerasdl.tasks.regression import figures, files
from kerasdl.tasks.regression.task import Regression


class RegressionNetwork(WordNetwork):
    """A regressor over numbers of words; in the place of logits stand values in the targets' own units.

    Args:
        network: any network that takes numbers of words (N, T), int32, as they are.
        in_units: takes its outputs (N, num_outputs), float32, and returns them in those units.
    """

    def __init__(self, network: keras.Model, in_units: Callable[[tf.Tensor], tf.Tensor]):
        self._in_units = in_units
        super().__init__(network)

    def logits(self, outputs):
        return self._in_units(super().logits(outputs))


class RegressionExplainer(TextExplainer):
    """Explains numbers of texts: what each word adds to that of a target, in the target's own units."""

    def takes(self, task, data):
        return isinstance(task, Regression) and data.inputs == Spec((), "string")

    def class_names(self, data):
        return data.targets.columns or files.names_of(int(np.prod(data.targets.shape)))

    def asking(self, network, data, asked):
        return RegressionNetwork(network, lambda outputs: asked.task.in_units(outputs, data))

    def answers(self, logits, examples, asked):
        """Return the place of the target to explain, for each example, and a row about each answer."""
        place = asked.class_id or 0
        rows = [
            {"name": name, "target": asked.class_names[place], "value": float(values[place])}
            for name, values in zip(examples.names, logits, strict=True)
        ]
        if examples.true is not None:
            for row, true in zip(rows, figures.columns_of(examples.true), strict=True):
                row["true"] = float(true[place])
        return np.full(len(rows), place), rows
