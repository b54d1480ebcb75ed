"""Builds the networks of a plan, with their preprocessing, optimizers and metrics, sized for the data."""

import contextlib
import re
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kerasdl.data.dataset import Dataset, DataSpec
from kerasdl.data.trees import map_leaves
from kerasdl.errors import UsageError
from kerasdl.network import parts
from kerasdl.network.imported import Imported
from kerasdl.recipe import Recipe
from kerasdl.tasks.task import Task
from kerasdl.training.foreign import inputs
from kerasdl.training.optimizers.make import make_optimizer
from kerasdl.training.phases import Phase
from kerasdl.training.plan import Plan
from kerasdl.training.weights.source import check_frozen

_COLORS = re.compile(r"\x1b\[[0-9;]*m")  # with which Keras marks the error below its own line


def make_pair(
    plan: Plan, check: Callable[[keras.Model], None] | None = None
) -> tuple[keras.Model, keras.Model]:
    """Build the network that is trained, compiled, and its twin that is saved: float32, on one device.

    Both have the same weights: the plan's initial ones, else those of the recipe's seed, on any number of
    replicas. Only the trained network has frozen layers; the saved twin does not.

    Args:
        plan: the plan of the run.
        check: gets the twin before the other one is built, and raises when it will not do. Defaults to None.

    Raises:
        UsageError: when network, preprocessing, augmentation or weights do not suit the data.
    """
    recipe, data = plan.recipe, plan.data
    if recipe.augmentation is not None:
        recipe.augmentation.check(data.spec.inputs)
    keras.utils.set_random_seed(recipe.seed)
    twin = make_network(recipe, data, plan.preprocessing)
    left = [] if plan.weights is None else plan.weights.load(twin, data.spec.class_names)
    if check is not None:
        check(twin)
    with plan.devices.scope(), precision(recipe.precision):
        network = make_network(recipe, data, plan.preprocessing)
        for weight, initial in zip(network.weights, twin.weights, strict=True):
            weight.assign(initial.numpy())  # one at a time: all at once would be one more copy of them
    begin_phase(network, plan, plan.phases[0])
    pairs = zip(parts.layers(twin), parts.layers(network), strict=True)
    check_frozen(network, [layer for other, layer in pairs if other in left])
    return network, twin


def begin_phase(network: keras.Model, plan: Plan, phase: Phase) -> None:
    """Freeze the layers that a phase freezes, and compile the network with the phase's optimizers.

    Args:
        network: a built network; its weights stay.
        plan: the plan of the run.
        phase: one of the plan's phases.

    Raises:
        UsageError: when the layers to freeze do not exist, or nothing would train.
    """
    recipe = plan.recipe
    with plan.devices.scope():
        parts.set_trainable(network, recipe.freeze, trainable=phase.number > 0)
        # Another seed: the optimizer counts its steps anew, and dropout would be that of the first phase.
        seed = recipe.seed + phase.number * 2**31
        places = recipe.batch_size if plan.data.train.ordering.continues else None
        compile_network(network, phase.recipe, plan.data.spec, plan.steps_per_epoch, seed, places)
        make_metrics(network, plan.data)


def make_network(recipe: Recipe, data: Dataset, preprocessing: keras.Layer | None) -> keras.Model:
    """Build the recipe's network for this data, with its weights made.

    All that a preprocessing layer has learned is in its config, so that each network gets a copy.

    Raises:
        UsageError: when the network is too deep for examples as small as these.
    """
    layer = None if preprocessing is None else type(preprocessing).from_config(preprocessing.get_config())
    network = recipe.model.build(**recipe.task.network_arguments(data.spec), preprocessing=layer)
    try:
        with warnings.catch_warnings(record=True) as said:  # before an error they only announce it
            network.create_weights(
                map_leaves(lambda spec: keras.KerasTensor((None, *spec.shape), spec.dtype), data.spec.inputs)
            )
    except UsageError as error:
        raise _unwrapped(error) from None
    except Exception as error:  # whatever the code of a network raises
        raise _misfit(network, data, error) from error
    for warning in said:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return network


def _unwrapped(error: UsageError) -> UsageError:
    """Return the error that a network raised, which Keras wraps in others of its class."""
    while error.__cause__ is None and isinstance(error.__context__, UsageError):
        error = error.__context__
    return error


def _misfit(network: keras.Model, data: Dataset, error: Exception) -> Exception:
    """Return why a network cannot be called on the examples; an error of a network of ours as it is."""
    kind, specs = type(network), data.spec.inputs
    if "egative dimension" in str(error) and not isinstance(specs, Mapping):  # an output without pixels
        layer, shape = network.preprocessing, (None, *specs.shape)
        given, seen = (
            "x".join(map(str, sizes[1:]))
            for sizes in (shape, shape if layer is None else layer.compute_output_shape(shape))
        )
        return UsageError(
            f"{kind.__name__} cannot take examples of {given}, which it sees as {seen}: a layer has "
            "nothing left of them. Give larger ones (--size for images), or a network of fewer stages."
        )
    is_imported = isinstance(network, Imported)
    if kind.__module__.startswith("kerasdl.") and not is_imported:
        return error
    given = ", ".join(
        f"{name}{part.dtype} of shape {tuple(part.shape)}"
        for name, part in (
            ((f"{name}: ", part) for name, part in specs.items())
            if isinstance(specs, Mapping)
            else [("", specs)]
        )
    )
    if is_imported:
        wanted = inputs.listed(inputs.of_model(network.backbone)) or "other examples"
        return UsageError(
            f"The model that was imported takes {wanted}, but this data has {given} in each example. "
            "Give data like that it was imported with (of images: --image-size, --image-channels)."
        )
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(part in frame.filename for part in ("site-packages", "kerasdl/"))
    ]
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    lines = [line.strip() for line in _COLORS.sub("", str(error)).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith("Exception encountered when calling")]
    text = (told or lines or [""])[0][:300]
    return UsageError(
        f"{kind.__name__} cannot be called on the examples of this data ({given}): "
        f"{type(error).__name__}: {text}{where}. Change its forward, or give it data of that "
        "form."
    )


def compile_network(
    network: keras.Model,
    recipe: Recipe,
    data: DataSpec,
    steps_per_epoch: int,
    seed: int,
    places: int | None = None,
) -> None:
    """Give a network its optimizers, built, and the task's loss and metrics.

    Args:
        network: a built network; its frozen weights take no memory in an optimizer.
        recipe: the recipe of the run, or of one of its phases.
        data: what is in each example.
        steps_per_epoch: number of updates in an epoch.
        seed: seed of the noise within steps.
        places: examples of a batch where each continues the one before; None where none does.
    """
    made = {
        name: make_optimizer(network.recipe_for(name, recipe), steps_per_epoch)
        for name in network.optimizer_names
    }
    steps = recipe.gradient_accumulation_steps
    _compile(network, recipe.task, data, **made, seed=seed, places=places, gradient_accumulation_steps=steps)
    for name, optimizer in made.items():  # in the strategy's scope: two optimizers crash without it
        optimizer.build(network.variables_of(name))


def compile_to_validate(network: keras.Model, task: Task, data: DataSpec, run_eagerly: bool) -> None:
    """Give a network the task's loss and metrics, and optimizers that take no memory and are not used."""
    unused = {name: keras.optimizers.SGD() for name in network.optimizer_names}
    _compile(network, task, data, **unused, run_eagerly=run_eagerly)


def _compile(network: keras.Model, task: Task, data: DataSpec, **more: Any) -> None:
    network.compile(
        loss=task.loss(data), metrics=task.metrics(data), loss_weights=task.loss_weights(), **more
    )


def make_metrics(network: keras.Model, data: Dataset) -> None:
    """Make the variables of a compiled network's metrics, so that a checkpoint can be restored into them.

    Keras makes them in the first step. Call this in the scope of the network's devices.
    """
    features, targets = (
        map_leaves(lambda spec: tf.TensorSpec((None, *spec.shape), spec.dtype), specs)
        for specs in (data.spec.inputs, data.spec.targets)
    )

    @tf.function(autograph=False)  # traced, never run
    def update(features, targets):
        return network.compute_metrics(features, targets, network(features, training=False))

    update.get_concrete_function(features, targets)


@contextlib.contextmanager
def precision(policy: str):
    """Make layers under a Keras dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
