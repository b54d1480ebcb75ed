"""The training step of networks: right on any number of replicas and micro-batches."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import keras
import tensorflow as tf

from kerasdl.layers import Dropout, noise
from kerasdl.network.losses import OutputLosses, matched
from kerasdl.private.keras import all_parts_of, compiled_loss, compiled_metrics, take_losses

_log = logging.getLogger(__name__)

_DRAWS = 2**20  # of noise in an update, at most: those of the next optimizer in the same step follow them


class TrainingStep(keras.Model):
    """A `keras.Model` whose update does not depend on how the global batch is divided.

    It differs from Keras's training step:

    * micro-batches (`gradient_accumulation_steps`) within one step: Keras's accumulation fails under a
      strategy, this one gives the update of the undivided batch (batch normalisation takes the statistics of
      a micro-batch, all the same);
    * a partial last batch counts each sample once: Keras averages the averages of the replicas;
    * dropout keyed by seed, step and the sample's place in the global batch (`kerasdl.layers.noise`).

    Gradients are summed over replicas before they are clipped, and an update that is not finite is left
    out, by the optimizers of `kerasdl.training.optimizers`. The layers of `kerasdl.layers` do their part;
    Keras's own dropout and batch normalisation differ by replica, and `compile` warns of them.

    Where outputs are a dict, a single target is compared with `main_output`, a dict of targets with the
    outputs of the same names; `loss`, `loss_weights`, metrics and sample weights may be dicts too. Auxiliary
    outputs (`auxiliary_outputs`) help to train: a single target is compared with them too, in training alone,
    so that the validation loss is that of `main_output`.

    A network with several optimizers names them in `optimizer_names`, takes them in `compile` under these
    names, and returns from `variables_of` the weights that each of them updates. Where they have losses of
    their own, `train_step` calls `update` for each:

        def train_step(self, data):
            self.update(data, self.discriminator_loss, "discriminator", metric="discriminator_loss")
            return self.update(data, self.generator_loss, "generator", metric="generator_loss")
    """

    #: Output of a dict that a single target is compared with, and that predictions come from.
    main_output: ClassVar[str] = "logits"
    #: Attributes that hold the optimizers: ("generator", "discriminator") for a network with two.
    optimizer_names: ClassVar[tuple[str, ...]] = ("optimizer",)
    #: Whether it has one loss, `loss` and `val_loss`; where each of several players has its own, it has none.
    has_loss: ClassVar[bool] = True
    #: Outputs that only help to train: name -> weight of its loss in training; in evaluation it has none.
    auxiliary_outputs: ClassVar[Mapping[str, float]] = {}

    _output_losses: OutputLosses | None = None

    def compile(
        self,
        *args,
        seed: int = 0,
        gradient_accumulation_steps: int = 1,
        places: int | None = None,
        **kwargs,
    ):
        """Configure training as `keras.Model.compile` does.

        Args:
            *args: positional arguments of `keras.Model.compile`.
            seed: seed of the noise within training steps.
            gradient_accumulation_steps: micro-batches that each replica's batch is divided into; the batch
                has to divide by it.
            places: samples of a batch, over all replicas together, where each continues the one at its place
                in the batch before; None where none does. Networks that keep no state need not know.
            **kwargs: keyword arguments of `keras.Model.compile`.
        """
        super().compile(*args, **kwargs)
        self.noise_seed = seed
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._output_losses = None
        if isinstance(self.loss, Mapping):
            self._output_losses = OutputLosses(take_losses(self), kwargs.get("loss_weights") or {})
        num_replicas = self.distribute_strategy.num_replicas_in_sync
        if num_replicas > 1 and (odd := [layer.name for layer in all_parts_of(self) if _differs(layer)]):
            _log.warning(
                f"On {num_replicas} replicas these layers train otherwise than on one: {', '.join(odd)}. "
                "Use Dropout and BatchNormalization of kerasdl.layers."
            )

    @property
    def metrics(self) -> list[keras.Metric]:
        """All metrics: Keras's, and the mean loss of each output."""
        return super().metrics + (self._output_losses.means if self._output_losses else [])

    @property
    def optimizers(self) -> dict[str, keras.Optimizer]:
        """Every optimizer by name; checkpoints, schedules and logs iterate over them."""
        return {name: getattr(self, name) for name in self.optimizer_names}

    def variables_of(self, name: str) -> list[keras.Variable]:
        """Return the weights that an optimizer updates."""
        return self.trainable_variables

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the loss of a batch, as Keras does; targets, outputs and weights may be dicts."""
        pair = matched(y, y_pred, sample_weight, self.main_output)
        if self._output_losses is not None:
            if not isinstance(pair[0], Mapping):
                pair = [{self.main_output: value} for value in pair]
            loss = self._output_losses(*pair, _batch_size(pair[0]), _num_replicas())
            return (loss + super().compute_loss(x)) if self.losses else loss
        loss = super().compute_loss(x, *pair, training)
        if training and isinstance(y_pred, Mapping) and not isinstance(y, Mapping):
            for name, weight in self.auxiliary_outputs.items():
                # The compiled loss alone: the `add_loss` terms are in the sum already.
                loss += weight * compiled_loss(self, pair[0], y_pred[name], pair[2])
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Update and return the metrics, as Keras does; targets, outputs and weights may be dicts."""
        return super().compute_metrics(x, *matched(y, y_pred, sample_weight, self.main_output))

    def train_step(self, data):
        """Update the weights once, from one batch of (x, y[, sample_weight])."""
        return self.update(data, self.training_loss)

    def training_loss(self, x, y, sample_weight):
        """Return the loss of a micro-batch and the outputs, which the metrics are computed from."""
        y_pred = self(x, training=True)
        return self.compute_loss(x, y, y_pred, sample_weight, training=True), y_pred

    def update(self, data, loss: Callable, names: str | Sequence[str] | None = None, metric: str = "loss"):
        """Update the weights of one or more optimizers by the gradient of a loss.

        The loss is computed on one micro-batch at a time, scaled for mixed precision, and summed to that of
        the global batch; noise within it is keyed (`kerasdl.layers.noise`).

        Args:
            data: this replica's part of the batch, (x, y[, sample_weight]).
            loss: function (x, y, sample_weight) of a micro-batch. It returns the loss, a mean over samples by
                losses of Keras, and the outputs, or None where the metrics of `compile` are not updated.
            names: names of the optimizers. Defaults to all.
            metric: name of the running mean that shows the loss: Keras's "loss", or a metric that the network
                has made in its constructor. Defaults to "loss".

        Returns:
            The metrics so far, by name.
        """
        names = self.optimizer_names if names is None else (names,) if isinstance(names, str) else names
        place, share = self.place_in_batch(data)
        total, parts = None, self.split_batch(data)
        for number, part in enumerate(parts):
            part_place = place + number * _batch_size(part)
            gradients, logs = self._gradients(part, loss, names, metric, part_place, share / len(parts))
            total = gradients if total is None else tf.nest.map_structure(_add, total, gradients)
        for name, values in zip(names, total, strict=True):
            self.optimizers[name].apply(values, self.variables_of(name))
        return logs

    def _gradients(self, data, loss, names, metric, place, share):
        """Run one forward and backward pass; arguments as of `update`.

        Args:
            data: one micro-batch.
            place: place of its first sample in the global batch.
            share: factor on the loss, so that the sum over micro-batches and replicas is the global mean.

        Returns:
            The gradients in the order of `variables_of`, a list for each optimizer, and the metrics so far.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        optimizers = [self.optimizers[name] for name in names]
        draws = self.optimizer_names.index(names[0]) * _DRAWS
        scope = noise.scope(self.noise_seed, optimizers[0].iterations, place, draws)
        with scope, tf.GradientTape(persistent=len(names) > 1) as tape:
            value, outputs = loss(x, y, sample_weight)
            part = value * tf.cast(share, value.dtype)
            scaled = [optimizer.scale_loss(part) for optimizer in optimizers]
        for mean in self.metrics:
            if mean.name == metric:
                mean.update_state(value * _num_replicas(), sample_weight=_batch_size(data))
        weights = [self.variables_of(name) for name in names]
        if all(one is scaled[0] for one in scaled):  # without loss scales one backward pass serves all
            gradients = tape.gradient(scaled[0], weights)
        else:
            gradients = [tape.gradient(*pair) for pair in zip(scaled, weights, strict=True)]
        if outputs is None:
            means = [each for each in self.metrics if each is not compiled_metrics(self)]
            return gradients, {each.name: each.result() for each in means}
        return gradients, self.compute_metrics(x, y, outputs, sample_weight)

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


def _differs(layer: keras.Layer) -> bool:
    """Tell whether a layer trains otherwise on several replicas than on one."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return not layer.synchronized
    return isinstance(layer, keras.layers.Dropout) and not isinstance(layer, Dropout) and layer.rate > 0


def _num_replicas() -> int:
    """Return the number of replicas, which Keras divides each loss by."""
    return tf.distribute.get_strategy().num_replicas_in_sync


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
