"""The parts that a training is made of: steps, preprocessing, network, optimizers, sized for the data."""

import contextlib
import dataclasses

import keras
import numpy as np
import tensorflow as tf

from kerasdl import distribute, optimizers
from kerasdl.data import order
from kerasdl.data.splits import ArraySplit, Splits
from kerasdl.recipe import Recipe

DRY_RUN_STEPS = 2
_OVERFITTING_STEPS = 50  # between two looks whether the network has learned its batches
_OVERFITTING_EPOCHS = 10


def resolve(recipe: Recipe, splits: Splits, dry_run: bool = False) -> tuple[Recipe, Splits, int]:
    """Settle what depends on the data; resolving twice changes nothing.

    Returns:
        The recipe with its real number of epochs, the splits to train and validate on, and the steps of an
        epoch.
    """
    if recipe.overfit_batches is not None:
        recipe, splits = _overfitting(recipe, splits)
        return recipe, splits, max(_OVERFITTING_STEPS, recipe.overfit_batches)
    steps = order.steps_per_epoch(splits.train, recipe.batch_size)
    limit = DRY_RUN_STEPS if dry_run else recipe.limit_train_batches
    if isinstance(limit, float):
        steps = max(1, round(steps * limit))
    elif limit is not None:
        steps = min(steps, limit)
    epochs = max(recipe.epochs, -(-recipe.min_steps // steps))
    return dataclasses.replace(recipe, epochs=epochs, min_steps=0), splits, steps


def _overfitting(recipe: Recipe, splits: Splits) -> tuple[Recipe, Splits]:
    """Return a recipe and data that show whether a network can learn: a few batches, never changed."""
    batches = order.training_batches(splits.train, batch_size=recipe.batch_size, seed=recipe.seed)
    parts = zip(*batches.take(recipe.overfit_batches).as_numpy_iterator(), strict=True)
    few = ArraySplit(*map(np.concatenate, parts))
    recipe = dataclasses.replace(
        recipe,
        epochs=max(recipe.epochs, _OVERFITTING_EPOCHS),
        min_steps=0,
        augmentation=None,
        schedule="constant",
        warmup_epochs=0.0,
        early_stopping=None,
    )
    return recipe, dataclasses.replace(splits, train=few, validation=few)


def make_pair(
    recipe: Recipe, splits: Splits, strategy: tf.distribute.Strategy | None, steps_per_epoch: int
) -> tuple[keras.Model, keras.Model]:
    """Build the network that is trained, compiled, and its twin that is saved: float32, on no strategy.

    Both have the same weights: those of the recipe's seed, on any number of replicas.
    """
    keras.utils.set_random_seed(recipe.seed)
    preprocessing = make_preprocessing(recipe, splits)
    twin = make_network(recipe, splits, preprocessing)
    with distribute.scope(strategy), precision(recipe.precision):
        network = make_network(recipe, splits, preprocessing)
        network.set_weights(twin.get_weights())
        compile_network(network, recipe, steps_per_epoch)
        make_metrics(network, splits)
    return network, twin


def make_preprocessing(recipe: Recipe, splits: Splits) -> keras.Layer | None:
    """Build the recipe's preprocessing and let it measure what it needs on the training split."""
    if recipe.preprocessing is None:
        return None
    layer = recipe.preprocessing.build()

    def examples():
        batches = order.evaluation_batches(splits.train, batch_size=recipe.batch_size)
        return (features for features, _ in batches.as_numpy_iterator())

    layer.fit(examples)
    layer.compute_output_shape((None, *splits.features.shape))  # says what does not fit this data
    return layer


def make_network(recipe: Recipe, splits: Splits, preprocessing: keras.Layer | None) -> keras.Model:
    """Build the recipe's network for this data, with its weights made.

    All that a preprocessing layer has learned is in its config, so that each network gets a copy.
    """
    layer = None if preprocessing is None else type(preprocessing).from_config(preprocessing.get_config())
    network = recipe.model.build(**recipe.task.model_arguments(splits.class_names), preprocessing=layer)
    network(keras.KerasTensor((None, *splits.features.shape), dtype=splits.features.dtype))
    return network


def compile_network(network: keras.Model, recipe: Recipe, steps: int) -> None:
    """Give a network its optimizers, built, and the task's loss and metrics."""
    made = {name: optimizers.make_optimizer(recipe, steps) for name in network.optimizer_names}
    network.compile(
        **made,
        loss=recipe.task.loss(),
        metrics=recipe.task.metrics(),
        seed=recipe.seed,
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
    )
    for name, optimizer in made.items():  # in the strategy's scope: two optimizers crash without it
        optimizer.build(network.variables_of(name))


def make_metrics(network: keras.Model, splits: Splits) -> None:
    """Make the variables of a compiled network's metrics, for a checkpoint to be put into them.

    Keras makes them in the first step. To be called in the scope of the network's strategy.
    """
    features, labels = (
        tf.TensorSpec((None, *spec.shape), spec.dtype) for spec in (splits.features, splits.labels)
    )

    @tf.function(autograph=False)  # traced, never run
    def update(features, labels):
        return network.compute_metrics(features, labels, network(features, training=False))

    update.get_concrete_function(features, labels)


@contextlib.contextmanager
def precision(policy: str):
    """Make layers under a Keras dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
