"""The training step that every network inherits: right on any number of replicas and micro-batches."""

import logging
from collections.abc import Mapping
from typing import ClassVar

import keras
import tensorflow as tf

from kerasdl.layers import Dropout, noise
from kerasdl.private.keras import all_parts_of, compiled_loss

_log = logging.getLogger(__name__)


class Network(keras.Model):
    """A `keras.Model` whose update does not depend on how the global batch is divided.

    What `fit` gains over Keras's own step:

    * micro-batches (`gradient_accumulation_steps`) within one step: Keras's accumulation fails under a
      strategy, this one gives the update of the undivided batch (batch normalisation takes the statistics of
      a micro-batch, all the same);
    * a partial last batch counts each sample once: Keras averages the averages of the replicas;
    * dropout keyed by seed, step and the sample's place in the global batch (`kerasdl.layers.noise`).

    Gradients are summed over replicas before they are clipped, and an update that is not finite is left
    out, by the optimizers of `kerasdl.training.optimizers`. The layers of `kerasdl.layers` do their part;
    Keras's own dropout and batch normalisation differ by replica, and `compile` warns of them.

    `call` returns the answer, or a dict of outputs: labels that are one array are then compared with
    `logits`, a dict of labels with the outputs of the same names. Auxiliary outputs (`auxiliary_outputs`) of
    the dict help to train: labels that are one array are compared with them too, in training alone, so that
    the loss of validation is that of `logits`.

    A network with several optimizers names them in `optimizer_names`, takes them in `compile` under these
    names, says in `variables_of` which weights each of them updates, and has a `train_step` of its own.

    Args:
        preprocessing: layer from raw examples to what the network takes; it travels with the network into
            every file. Defaults to None: examples are taken as they are.
        **kwargs: those of `keras.Model`: name, dtype.
    """

    #: Attributes that hold the optimizers: ("generator", "discriminator") for a network with two.
    optimizer_names: ClassVar[tuple[str, ...]] = ("optimizer",)
    #: Outputs that only help to train: name -> weight of its loss in training; in evaluation it has none.
    auxiliary_outputs: ClassVar[Mapping[str, float]] = {}
    #: Attributes that hold the layers which depend on the classes; the others are the backbone.
    head_names: ClassVar[tuple[str, ...]] = ("head",)

    def __init__(self, *, preprocessing: keras.Layer | None = None, **kwargs):
        super().__init__(**kwargs)
        self.preprocessing = preprocessing

    def preprocess(self, inputs):
        """Apply the preprocessing layer where there is one; the first line of a network's `call`."""
        return inputs if self.preprocessing is None else self.preprocessing(inputs)

    def infer(self, inputs):
        """Return what a deployed network answers; no weight that it does without is in an export."""
        return self(inputs, training=False)

    def get_config(self):
        return {
            **super().get_config(),
            "preprocessing": keras.saving.serialize_keras_object(self.preprocessing),
        }

    @classmethod
    def from_config(cls, config):
        """Rebuild the network and its preprocessing."""
        return cls(
            **{**config, "preprocessing": keras.saving.deserialize_keras_object(config["preprocessing"])}
        )

    def compile(self, *args, seed: int = 0, gradient_accumulation_steps: int = 1, **kwargs):
        """Configure training as `keras.Model.compile` does.

        Args:
            *args: positional arguments of `keras.Model.compile`.
            seed: seed of all noise within the step.
            gradient_accumulation_steps: micro-batches that each replica's batch is divided into; the batch
                has to divide by it.
            **kwargs: keyword arguments of `keras.Model.compile`.
        """
        super().compile(*args, **kwargs)
        self.noise_seed = seed
        self.gradient_accumulation_steps = gradient_accumulation_steps
        num_replicas = self.distribute_strategy.num_replicas_in_sync
        if num_replicas > 1 and (odd := [layer.name for layer in all_parts_of(self) if _differs(layer)]):
            _log.warning(
                f"On {num_replicas} replicas these layers train otherwise than on one: {', '.join(odd)}. "
                "Use Dropout and BatchNormalization of kerasdl.layers."
            )

    @property
    def optimizers(self) -> dict[str, keras.Optimizer]:
        """Every optimizer by name; checkpoints, schedules and logs iterate over them."""
        return {name: getattr(self, name) for name in self.optimizer_names}

    def variables_of(self, name: str) -> list[keras.Variable]:
        """Return the weights that an optimizer updates, for it to be built on."""
        return self.trainable_variables

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the loss of a batch, as Keras does, for outputs that may be a dict."""
        answer = _answer(y, y_pred)
        loss = super().compute_loss(x, y, answer, sample_weight, training)
        if training and answer is not y_pred:
            for name, weight in self.auxiliary_outputs.items():
                # The compiled loss alone: what `add_loss` gave is in the sum already.
                loss += weight * compiled_loss(self, y, y_pred[name], sample_weight)
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Update and return the metrics, as Keras does, for outputs that may be a dict."""
        return super().compute_metrics(x, y, _answer(y, y_pred), sample_weight)

    def train_step(self, data):
        """Update the weights once, from one batch of (x, y[, sample_weight])."""
        place, share = self.place_in_batch(data)
        total, parts = None, self.split_batch(data)
        for number, part in enumerate(parts):
            part_place = place + number * _batch_size(part)
            gradients, metrics = self.gradients(part, part_place, share / len(parts))
            total = (
                gradients if total is None else [_add(a, b) for a, b in zip(total, gradients, strict=True)]
            )
        self.optimizer.apply(total, self.trainable_variables)
        return metrics

    def gradients(self, data, place, share):
        """Run one forward and backward pass.

        Args:
            data: (x, y[, sample_weight]) of one micro-batch.
            place: place of its first sample in the global batch.
            share: factor on the loss, so that the sum over micro-batches and replicas is the global mean.

        Returns:
            The gradients in the order of `trainable_variables`, and the metrics so far.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with noise.scope(self.noise_seed, self.optimizer.iterations, place), tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss * tf.cast(share, loss.dtype))
        num_replicas = tf.distribute.get_strategy().num_replicas_in_sync  # Keras's losses are divided by it
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss * num_replicas, sample_weight=_batch_size(data))
        gradients = tape.gradient(scaled, self.trainable_variables)
        return gradients, self.compute_metrics(x, y, y_pred, sample_weight)

    def place_in_batch(self, data):
        """Find where this replica's samples stand in the global batch.

        Returns:
            (place, share): the place of the first sample, int32, and the factor that turns a mean over this
            replica's samples into its part of the mean over all samples, float32 (1 for equal parts).
        """
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync == 1:
            return tf.constant(0), tf.constant(1.0)
        size = _batch_size(data)
        sizes = (
            tf.one_hot(context.replica_id_in_sync_group, context.num_replicas_in_sync, dtype=tf.int32) * size
        )
        sizes = context.all_reduce(tf.distribute.ReduceOp.SUM, sizes)
        place = tf.reduce_sum(sizes[: context.replica_id_in_sync_group])
        share = size * context.num_replicas_in_sync / tf.reduce_sum(sizes)
        return place, tf.cast(share, tf.float32)

    def split_batch(self, data) -> list:
        """Divide one replica's batch into `gradient_accumulation_steps` equal micro-batches, in order."""
        steps = self.gradient_accumulation_steps
        if steps == 1:
            return [data]
        pieces = zip(*(tf.split(tensor, steps) for tensor in tf.nest.flatten(data)), strict=True)
        return [tf.nest.pack_sequence_as(data, piece) for piece in pieces]


def _answer(y, y_pred):
    """Return what the labels are compared with: of a dict of outputs the logits, if labels are no dict."""
    if isinstance(y_pred, Mapping) and not isinstance(y, Mapping):
        return y_pred["logits"]
    return y_pred


def _differs(layer: keras.Layer) -> bool:
    """Say whether a layer trains otherwise on several replicas than on one."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return not layer.synchronized
    return isinstance(layer, keras.layers.Dropout) and not isinstance(layer, Dropout) and layer.rate > 0


def _batch_size(data):
    """Return the number of samples in a batch, int32."""
    return tf.shape(tf.nest.flatten(data)[0])[0]


def _add(left, right):
    """Add two gradients of one weight; either is None where the weight took no part."""
    if left is None or right is None:
        return right if left is None else left
    if isinstance(left, tf.IndexedSlices) or isinstance(right, tf.IndexedSlices):
        return tf.convert_to_tensor(left) + tf.convert_to_tensor(right)
    return left + right
