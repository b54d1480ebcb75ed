"""The base classes of networks that read sequences step by step, with their state in the caller's hands."""

from collections.abc import Sequence

import tensorflow as tf

from kerasdl.layers import noise
from kerasdl.network.carried import CarriedStates
from kerasdl.network.network import Network


class SteppingNetwork(Network):
    """A network over sequences that can read them step by step: it defines `state_shapes` and `step`."""

    @property
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each state without the batch axis, by name; empty where the network needs all steps."""
        raise NotImplementedError(f"{type(self).__name__} defines no state_shapes.")

    def initial_states(self, batch_size) -> list:
        """Return the states before the first step: zeros (batch_size, ...)."""
        shapes = self.state_shapes.values()
        return [tf.zeros((batch_size, *shape), self.compute_dtype) for shape in shapes]

    def step(self, x, states: Sequence):
        """Return the outputs (B, ...) and the states after one step (B, ...) of preprocessed sequences."""
        raise NotImplementedError(f"{type(self).__name__} defines no step(x, states).")


class StreamingNetwork(SteppingNetwork):
    """A network that answers at each step, from that step and the ones before it alone.

    A subclass defines `forward_from` too; what it returns for a whole sequence, `step` returns step by step.

    Where the batches of training continue each other (`Ordering.continues`), each sequence goes on from the
    state in which the one at its place in the batch before left off; an epoch begins with zeros.
    """

    _carried: CarriedStates | None = None

    def forward(self, x, training=False):
        """Return the outputs of sequences that begin with the first step."""
        return self.forward_from(x, None, training=training)[0]

    def forward_from(self, x, states: Sequence | None, training=False):
        """Return the outputs (B, T, ...) and the states after the last step.

        Args:
            x: preprocessed sequences (B, T, ...).
            states: states before the first step; None for zeros.
            training: whether the network trains.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no forward_from(x, states, training).")

    def compile(self, *args, places: int | None = None, **kwargs):
        super().compile(*args, places=places, **kwargs)
        self._carried = None if places is None else CarriedStates(self.state_shapes, places)

    @property
    def metrics(self):
        """All metrics; the carried states are one, since they are reset and saved as metrics are."""
        return [*super().metrics, *([] if self._carried is None else [self._carried.metric])]

    def training_loss(self, x, y, sample_weight):
        """Return the loss of a micro-batch and the outputs; the states are carried on where asked for."""
        if self._carried is None:
            return super().training_loss(x, y, sample_weight)
        place, count = noise.place(), tf.shape(tf.nest.flatten(x)[0])[0]
        states = self._carried.rows(place, count)
        y_pred, after = self.forward_from(self.preprocess(x), states, training=True)
        self._carried.write(place, [tf.stop_gradient(state) for state in after])
        return self.compute_loss(x, y, y_pred, sample_weight, training=True), y_pred
