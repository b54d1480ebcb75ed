"""The plan of a training run: its recipe resolved against the data, its steps, phases and devices."""

import dataclasses
import logging
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasdl.data import batches
from kerasdl.data.dataset import Dataset
from kerasdl.data.splits import ArraySplit
from kerasdl.data.trees import leaves
from kerasdl.errors import UsageError
from kerasdl.recipe import Recipe
from kerasdl.training import phases, preparation
from kerasdl.training.devices import Devices
from kerasdl.training.weights import source

#: Batches of an epoch and of a validation in a dry run.
DRY_RUN_STEPS = 2
_SMALLEST_BATCH = 8
_OVERFITTING_STEPS = 50  # between two looks whether the network has learned its batches
_OVERFITTING_EPOCHS = 10


_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that is settled before a network is built.

    Attributes:
        recipe: the recipe with its number of epochs and the preprocessing of its initial weights.
        data: examples to train and validate on.
        steps_per_epoch: number of updates in an epoch.
        preprocessing: the recipe's layer between raw examples and networks, fitted to the training examples.
        fed: `data` as training reads it: texts as numbers of words.
        phases: one phase, or two where the recipe fine-tunes.
        devices: the devices to train on.
        weights: the initial weights; None where the seed or a checkpoint gives them.
        dry_run: whether only two batches are trained and validated on.
        observe: gets the metrics of each epoch; a reason that it returns ends the training.
    """

    recipe: Recipe
    data: Dataset
    steps_per_epoch: int
    preprocessing: keras.Layer | None
    fed: Dataset
    phases: tuple[phases.Phase, ...]
    devices: Devices
    weights: source.Source | None = None
    dry_run: bool = False
    observe: Callable[[Mapping[str, float]], str | None] | None = None

    def phase_at(self, epoch: int) -> phases.Phase:
        """Return the phase of an epoch, counted from 0."""
        return [phase for phase in self.phases if phase.first_epoch <= epoch][-1]

    def training_blocks(self, start_step: int = 0) -> tf.data.Dataset:
        """Return the training data from a step on in blocks of batches, with sample weights if there are any.

        Weights that the task gives to targets, and weights that the data has for its examples, multiply.
        """
        blocks = batches.training_blocks(
            self.fed.train,
            batch_size=self.recipe.batch_size,
            seed=self.recipe.seed,
            start_step=start_step,
            augmentation=self.recipe.augmentation,
            num_parts=self.devices.num_replicas,
        )
        weights_of = self.recipe.task.sample_weights(self.data)
        if weights_of is None:
            return blocks

        def weighted(features, targets, *given):
            weights = weights_of(targets)
            if given:
                weights = tf.nest.map_structure(tf.multiply, weights, *given)
            return features, targets, weights

        return blocks.map(weighted)


def plan_run(
    recipe: Recipe,
    data: Dataset,
    devices: Devices,
    *,
    dry_run: bool = False,
    has_begun: bool = False,
    observe: Callable[[Mapping[str, float]], str | None] | None = None,
) -> Plan:
    """Resolve a recipe against its data; resolving twice changes nothing.

    Args:
        recipe: the recipe of the run.
        data: its data.
        devices: the devices to train on.
        dry_run: train and validate on two batches only.
        has_begun: a checkpoint has the weights, so that the recipe's initial ones are not looked for.
        observe: the observer of a trial; see `Plan`.

    Raises:
        UsageError: when the initial weights are not there, the data has fewer examples than a batch, or
            several replicas would share texts.
    """
    if not has_begun:  # a run has settled it, or is one of an earlier version, which goes on as it began
        recipe = dataclasses.replace(recipe, task=recipe.task.resolve(data))
    recipe, data, steps = _sized(_suited(recipe, data, devices), data, dry_run)
    weights = None if has_begun else source.find(recipe)
    if weights is not None:
        recipe = weights.adopt(recipe)
    layer = preparation.make_preprocessing(recipe.preprocessing, data, recipe.batch_size)
    return Plan(
        recipe=recipe,
        data=data,
        steps_per_epoch=steps,
        preprocessing=layer,
        fed=_fed(data, layer, devices),
        phases=phases.of_recipe(recipe),
        devices=devices,
        weights=weights,
        dry_run=dry_run,
        observe=observe,
    )


def _fed(data: Dataset, preprocessing: keras.Layer | None, devices: Devices) -> Dataset:
    """Return the data as training reads it; refuse texts that several replicas would share."""
    fed = preparation.encoded(data, preprocessing)
    texts = any(spec.dtype == "string" for spec in leaves(data.spec.inputs))
    if fed is data and texts and devices.num_replicas > 1:
        raise UsageError(
            f"The examples are texts, which TensorFlow cannot divide among {devices.num_replicas} replicas. "
            "Use --strategy none, or a preprocessing that turns them into numbers beforehand, as "
            "SequencePreprocessing does."
        )
    return fed


def _suited(recipe: Recipe, data: Dataset, devices: Devices) -> Recipe:
    """Return the recipe with a batch size that suits a small data set, and a learning rate that suits both.

    The batch is halved until an epoch has `min_steps_per_epoch` updates. The learning rate goes down in
    proportion (sgd), or by the square root (optimizers that divide by the size of the gradient).
    """
    wanted, size, num_train = recipe.min_steps_per_epoch, recipe.batch_size, len(data.train)
    unit = 2 * devices.num_replicas * recipe.gradient_accumulation_steps
    while num_train // size < wanted and size >= 2 * _SMALLEST_BATCH and size % unit == 0:
        size //= 2
    share = size / recipe.batch_size
    if share == 1:
        return dataclasses.replace(recipe, min_steps_per_epoch=0)
    rate = float(f"{recipe.learning_rate * (share if recipe.optimizer == 'sgd' else share**0.5):.3g}")
    _log.info(
        f"The data is small: batches of {size} examples instead of {recipe.batch_size}, and a learning rate "
        f"of {rate:g} instead of {recipe.learning_rate:g} (--batch-size and --learning-rate settle it)."
    )
    return dataclasses.replace(recipe, batch_size=size, learning_rate=rate, min_steps_per_epoch=0)


def _sized(recipe: Recipe, data: Dataset, dry_run: bool) -> tuple[Recipe, Dataset, int]:
    """Return the recipe with its number of epochs, the data to train on and the steps of an epoch."""
    if recipe.overfit_batches is not None:
        recipe, data = _overfitting(recipe, data)
        return recipe, data, max(_OVERFITTING_STEPS, recipe.overfit_batches)
    steps = batches.steps_per_epoch(data.train, recipe.batch_size)
    limit = DRY_RUN_STEPS if dry_run else recipe.limit_train_batches
    if isinstance(limit, float):
        steps = max(1, round(steps * limit))
    elif limit is not None:
        steps = min(steps, limit)
    epochs = max(recipe.epochs, -(-recipe.min_steps // steps))
    if epochs > recipe.epochs:
        _log.info(
            f"The data is small: {epochs} epochs instead of {recipe.epochs}, for {recipe.min_steps:,} "
            "updates (--epochs settles it)."
        )
    return dataclasses.replace(recipe, epochs=epochs, min_steps=0), data, steps


def _overfitting(recipe: Recipe, data: Dataset) -> tuple[Recipe, Dataset]:
    """Return a recipe and data that show whether a network can learn: a few batches, never changed."""
    dataset = batches.training_batches(data.train, batch_size=recipe.batch_size, seed=recipe.seed)
    parts = dataset.take(recipe.overfit_batches).as_numpy_iterator()
    if recipe.epochs < _OVERFITTING_EPOCHS:
        _log.info(
            f"--overfit-batches trains {_OVERFITTING_EPOCHS} epochs, or until they are learned by heart."
        )
    few = ArraySplit(*tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts))
    recipe = dataclasses.replace(
        recipe,
        epochs=max(recipe.epochs, _OVERFITTING_EPOCHS),
        min_steps=0,
        fine_tune_epochs=0,
        fine_tune_learning_rate=None,
        augmentation=None,
        schedule="constant",
        warmup_epochs=0.0,
        early_stopping=None,
    )
    return recipe, dataclasses.replace(data, train=few, validation=few)
