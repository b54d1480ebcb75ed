"""Optimizers that update alike on any number of replicas, and leave out updates that are not finite."""

import functools

import keras
import tensorflow as tf

from kerasdl.private.keras import AlreadySummed
from kerasdl.training.optimizers import fused


class _AlreadySummed(AlreadySummed):
    """Mixed in before a Keras optimizer under a loss scale, whose `apply` sums the gradients."""

    def finalize_variable_values(self, var_list):
        """Leave the weights as they are: `fit` would end by putting the averages in their place."""


class _ReplicaSafe(_AlreadySummed):
    """Sum gradients over replicas before anything else looks at them, and leave out non-finite updates.

    Keras clips and tests for infinities each replica's own gradient: clipping then differs silently from
    one device, and an infinity on any replica but the first becomes NaN weights.
    """

    def build(self, variables):
        super().build(variables)
        #: Updates skipped because a gradient was not finite. Training stops when this is not 0.
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


def _kinds(prefix: str, mixin: type) -> dict[str, type[keras.Optimizer]]:
    """Return the optimizers of Keras with a mixin before each, registered, by the names that recipes have."""
    kinds = (fused.SGD, fused.Adam, fused.AdamW, fused.RMSprop)
    made = (type(f"{prefix}{kind.__name__}", (mixin, kind), {"__module__": __name__}) for kind in kinds)
    register = keras.saving.register_keras_serializable("kerasdl")
    return {kind.__name__.removeprefix(prefix).lower(): register(kind) for kind in made}


#: For any number of replicas: `ReplicaSafeSGD`, ...
REPLICA_SAFE = _kinds("ReplicaSafe", _ReplicaSafe)
#: Within a `ReplicaSafeLossScale`, which sums the gradients itself: `AlreadySummedSGD`, ...
ALREADY_SUMMED = _kinds("AlreadySummed", _AlreadySummed)


@keras.saving.register_keras_serializable("kerasdl")
class ReplicaSafeLossScale(keras.optimizers.LossScaleOptimizer):
    """Keras's dynamic loss scale, over gradients that are summed first: a step with an infinity is retried
    at half the scale on all replicas or on none.
    """

    def apply(self, grads, trainable_variables=None):
        super().apply(*_summed(grads, trainable_variables))


def _summed(grads, variables):
    """Drop the weights without a gradient and sum the others over replicas.

    Gradients of embeddings become dense: Keras's Adam would square the parts of a row that is used several
    times one by one, so that the update would depend on how the batch is divided.
    """
    pairs = [pair for pair in zip(grads, variables, strict=True) if pair[0] is not None]
    if not pairs:
        raise ValueError("No weight of the network has a gradient: the loss does not depend on any.")
    grads, variables = map(list, zip(*pairs, strict=True))
    grads = [tf.convert_to_tensor(grad) for grad in grads]
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync > 1:
        grads = list(context.all_reduce(tf.distribute.ReduceOp.SUM, grads))
    return grads, variables


def _all_finite(grads):
    """Tell whether all gradients are finite: otherwise their sum is not. (One pass, no copy.)"""
    return tf.math.is_finite(tf.add_n([tf.reduce_sum(tf.cast(grad, tf.float32)) for grad in grads]))


def _for_effect(function):
    """Run `function` for its effects; a branch of `tf.cond` has to return a tensor."""
    function()
    return tf.constant(True)


def num_skipped(optimizer: keras.Optimizer) -> int:
    """Return how many updates an optimizer has skipped because they were not finite.

    0 under a loss scale, which skips updates in its normal course.
    """
    return int(optimizer.num_skipped.numpy()) if isinstance(optimizer, _ReplicaSafe) else 0
