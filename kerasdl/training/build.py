"""The parts that a training is made of: steps, preprocessing, network, optimizers, sized for the data."""

import contextlib
import dataclasses
import warnings
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasdl.data import order
from kerasdl.data.dataset import ArraySplit, Dataset
from kerasdl.errors import UsageError
from kerasdl.network import parts as backbone
from kerasdl.recipe import Recipe
from kerasdl.training import distribute, phases
from kerasdl.training.optimizers import make
from kerasdl.training.weights import source as pretrained

DRY_RUN_STEPS = 2
_OVERFITTING_STEPS = 50  # between two looks whether the network has learned its batches
_OVERFITTING_EPOCHS = 10


def resolve(recipe: Recipe, splits: Dataset, dry_run: bool = False) -> tuple[Recipe, Dataset, int]:
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


def _overfitting(recipe: Recipe, splits: Dataset) -> tuple[Recipe, Dataset]:
    """Return a recipe and data that show whether a network can learn: a few batches, never changed."""
    batches = order.training_batches(splits.train, batch_size=recipe.batch_size, seed=recipe.seed)
    parts = zip(*batches.take(recipe.overfit_batches).as_numpy_iterator(), strict=True)
    few = ArraySplit(*map(np.concatenate, parts))
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
    return recipe, dataclasses.replace(splits, train=few, validation=few)


def make_pair(
    recipe: Recipe,
    splits: Dataset,
    strategy: tf.distribute.Strategy | None,
    steps_per_epoch: int,
    source: pretrained.Source | None = None,
) -> tuple[keras.Model, keras.Model]:
    """Build the network that is trained, compiled, and its twin that is saved: float32, on no strategy.

    Both have the same weights: those that the recipe names, else those of its seed, on any number of
    replicas. What is frozen is so in the network alone, so that no file tells of it.

    Args:
        recipe: as `resolve` returns it; its `weights` are read, unless they are None.
        splits: as `resolve` returns them.
        strategy: None for one device.
        steps_per_epoch: updates of an epoch.
        source: what `pretrained.find` returns for the recipe, where it was asked already.

    Raises:
        UsageError: when network, preprocessing, augmentation or weights do not suit the data.
    """
    if recipe.weights is not None:
        source = source or pretrained.find(recipe)
        recipe = source.adopt(recipe)
    if hasattr(recipe.augmentation, "check"):  # a user's own need not have it
        recipe.augmentation.check(splits.spec.inputs.shape)
    keras.utils.set_random_seed(recipe.seed)
    preprocessing = make_preprocessing(recipe, splits)
    twin = make_network(recipe, splits, preprocessing)
    left = [] if recipe.weights is None else source.load(twin, splits.spec.class_names)
    with distribute.scope(strategy), precision(recipe.precision):
        network = make_network(recipe, splits, preprocessing)
        network.set_weights(twin.get_weights())
    begin_phase(network, recipe, splits, steps_per_epoch, phases.of_recipe(recipe)[0])
    pairs = zip(backbone.layers(twin), backbone.layers(network), strict=True)
    pretrained.check_frozen(network, [layer for other, layer in pairs if other in left])
    return network, twin


def begin_phase(
    network: keras.Model, recipe: Recipe, splits: Dataset, steps_per_epoch: int, phase: phases.Phase
) -> None:
    """Freeze of a network what a phase freezes, and compile it with the phase's optimizers.

    Args:
        network: built; its weights stay.
        recipe: of the run.
        splits: whose examples it takes.
        steps_per_epoch: updates of an epoch.
        phase: one of `phases.of_recipe(recipe)`.

    Raises:
        UsageError: when what is to be frozen is not there, or nothing would train.
    """
    with network.distribute_strategy.scope():
        backbone.set_trainable(network, recipe.freeze, trainable=phase.number > 0)
        # Another seed: the optimizer counts its steps anew, and dropout would be that of the first phase.
        compile_network(network, phase.recipe, steps_per_epoch, seed=recipe.seed + phase.number * 2**31)
        make_metrics(network, splits)


def make_preprocessing(recipe: Recipe, splits: Dataset) -> keras.Layer | None:
    """Build the recipe's preprocessing and let it measure what it needs on the training split."""
    if recipe.preprocessing is None:
        return None
    layer = recipe.preprocessing.build()

    def examples():
        batches = order.evaluation_batches(splits.train, batch_size=recipe.batch_size)
        return (features for features, _ in batches.as_numpy_iterator())

    layer.compute_output_shape((None, *splits.spec.inputs.shape))  # says what does not fit this data
    layer.fit(examples)
    return layer


def make_network(recipe: Recipe, splits: Dataset, preprocessing: keras.Layer | None) -> keras.Model:
    """Build the recipe's network for this data, with its weights made.

    All that a preprocessing layer has learned is in its config, so that each network gets a copy.

    Raises:
        UsageError: when the network is too deep for examples as small as these.
    """
    layer = None if preprocessing is None else type(preprocessing).from_config(preprocessing.get_config())
    network = recipe.model.build(**recipe.task.network_arguments(splits.spec), preprocessing=layer)
    try:
        with warnings.catch_warnings(record=True) as said:  # before an error they only announce it
            network.create_weights(
                keras.tree.map_structure(
                    lambda spec: keras.KerasTensor((None, *spec.shape), spec.dtype), splits.spec.inputs
                )
            )
    except ValueError as error:
        too_small = "egative dimension" in str(
            error
        )  # TensorFlow's words for what a layer leaves of too little
        if not too_small or isinstance(splits.spec.inputs, Mapping):
            raise
        shape = (None, *splits.spec.inputs.shape)
        given, seen = (
            "x".join(map(str, sizes[1:]))
            for sizes in (shape, shape if layer is None else layer.compute_output_shape(shape))
        )
        raise UsageError(
            f"{type(network).__name__} cannot take examples of {given}, which it sees as {seen}: a layer has "
            "nothing left of them. Give larger ones (--size for images), or a network of fewer stages."
        ) from error
    for warning in said:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return network


def compile_network(network: keras.Model, recipe: Recipe, steps: int, seed: int | None = None) -> None:
    """Give a network its optimizers, built, and the task's loss and metrics.

    Args:
        network: built; what does not train in it takes no memory in an optimizer.
        recipe: that of the run, or of a phase of it.
        steps: updates of an epoch.
        seed: of the noise within steps. Defaults to the recipe's.
    """
    made = {
        name: make.make_optimizer(network.recipe_for(name, recipe), steps) for name in network.optimizer_names
    }
    network.compile(
        **made,
        loss=recipe.task.loss(),
        loss_weights=recipe.task.loss_weights(),
        metrics=recipe.task.metrics(),
        seed=recipe.seed if seed is None else seed,
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
    )
    for name, optimizer in made.items():  # in the strategy's scope: two optimizers crash without it
        optimizer.build(network.variables_of(name))


def make_metrics(network: keras.Model, splits: Dataset) -> None:
    """Make the variables of a compiled network's metrics, for a checkpoint to be put into them.

    Keras makes them in the first step. To be called in the scope of the network's strategy.
    """
    features, labels = (
        tf.TensorSpec((None, *spec.shape), spec.dtype) for spec in (splits.spec.inputs, splits.spec.targets)
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
