"""States that training carries from batch to batch, the same on any number of replicas."""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf


class CarriedStates:
    """The states after the last batch, a row for each place of the global batch.

    Every replica holds all rows, so that a run goes on on another number of them.

    Args:
        shapes: shape of each state without the batch axis, by name.
        batch_size: number of places, over all replicas together.

    Attributes:
        metric: holds them, since metrics are reset before each epoch, lie in checkpoints, and are no weights:
            the network that is saved does not have them.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], batch_size: int):
        self.metric = _Rows(shapes, batch_size)

    def rows(self, place, count) -> list:
        """Return the states of `count` places from `place` on."""
        return [tf.slice(state.value, *_part(state, place, count)) for state in self.metric.states]

    def write(self, place, states: Sequence) -> None:
        """Replace the states from `place` on, on all replicas those that any of them has."""
        for variable, new in zip(self.metric.states, states, strict=True):
            new = tf.cast(new, variable.dtype)
            before = tf.cast(place, tf.int32)
            rest = variable.shape[0] - before - tf.shape(new)[0]
            padding = [[before, rest], *[[0, 0]] * (len(variable.shape) - 1)]
            spread = tf.pad(new, padding)
            written = tf.pad(tf.ones_like(new[:, :1]), padding)
            context = tf.distribute.get_replica_context()
            if context.num_replicas_in_sync > 1:
                spread = context.all_reduce(tf.distribute.ReduceOp.SUM, spread)
                written = context.all_reduce(tf.distribute.ReduceOp.SUM, written)
            variable.assign(tf.where(written > 0, spread, variable.value))


class _Rows(keras.metrics.Metric):
    """A metric without a figure, whose variables are the carried states."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], batch_size: int):
        super().__init__(name="carried_states")
        self.states = [
            keras.Variable(
                tf.zeros((batch_size, *shape)), trainable=False, name=name, aggregation="only_first_replica"
            )
            for name, shape in shapes.items()
        ]

    def update_state(self, *args, **kwargs):
        """Do nothing: `write` does it within the training step."""

    def result(self):
        """Return no figure."""
        return {}

    def reset_state(self):
        """Begin with zeros."""
        for variable in self.states:
            variable.assign(tf.zeros(variable.shape, variable.dtype))


def _part(variable: keras.Variable, place, count) -> tuple:
    """Return where a part of a state begins, and its size."""
    further = len(variable.shape) - 1
    return [tf.cast(place, tf.int32), *[0] * further], [count, *variable.shape[1:]]
