"""From a recipe to a run folder, and on to a verified bundle. There is exactly one way a run happens."""

import contextlib
import dataclasses
import logging
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

from kerasdl import callbacks, distribute, optimizers, shipping
from kerasdl import run as runs
from kerasdl.data import order
from kerasdl.data.splits import Splits
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.evaluate import evaluate
from kerasdl.export import labels
from kerasdl.export.bundle import check_destination
from kerasdl.export.runtime import EndpointPredictor
from kerasdl.export.tflite import Converter
from kerasdl.recipe import Recipe

_log = logging.getLogger(__name__)

_DRY_RUN_STEPS = 2
_EXECUTION = 16  # steps that one call runs at most


@dataclasses.dataclass(frozen=True)
class Result:
    """What `train` leaves behind: the run, its recipe and figures, and the bundle where one was exported."""

    run: runs.Run
    recipe: Recipe
    metrics: dict[str, Any]
    bundle: Any = None


def train(
    recipe: Recipe,
    *,
    runs_dir: str | Path = "runs",
    exported_dir: str | Path = "exported",
    export: bool = True,
    dry_run: bool = False,
    embed_samples: bool = True,
    recipe_source: Path | None = None,
    console: Console | None = None,
) -> Result:
    """Train, evaluate on the test split, export and verify.

    Args:
        recipe: what to train, on what, and how.
        runs_dir: where `<pipeline>/<n>/` is made.
        exported_dir: where `<pipeline>/<version>/` is made.
        export: also export; without it the run ends with the evaluation.
        dry_run: two batches through every stage, in a temporary folder that is gone afterwards.
        embed_samples: keep a few test examples in the bundle, to verify it where the data is not.
        recipe_source: file the recipe came from; the run keeps a copy.
        console: where progress is drawn. Defaults to standard output.

    Returns:
        The run folder, the test figures and the bundle.

    Raises:
        UsageError: for a recipe that cannot be run as it is.
        RunFailedError: when training diverges or an artefact is not the same network.
    """
    console = console or Console(soft_wrap=True)
    if not recipe.name:
        raise UsageError("The recipe has no name, so its run has no folder. Use Recipe(name=..., ...).")
    with contextlib.ExitStack() as stack:
        if dry_run:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kerasdl-dry-run-")))
            runs_dir, exported_dir = folder / "runs", folder / "exported"
            recipe = dataclasses.replace(recipe, epochs=1, min_steps=0, warmup_epochs=0)
        strategy = _begin(recipe)
        if export:
            converter = stack.enter_context(Converter())
            converter.start()  # its imports take seconds: they pass while the network trains
        splits = load_data(recipe)
        if export:  # what cannot be published is said before hours of training, not after
            check_destination(Path(exported_dir), recipe.name, splits.class_names)
        run, recipe, network = fit(recipe, splits, strategy, Path(runs_dir), recipe_source, console, dry_run)
        limit = _DRY_RUN_STEPS if dry_run else None
        endpoints = recipe.task.endpoints(network, splits.features)
        predictor = EndpointPredictor(run.path, endpoints, splits.class_names)
        metrics = evaluate(predictor, recipe.task, shipping.test_batches(splits, limit))
        run.write("metrics.json", {**run.read_json("metrics.json"), "test": metrics})
        console.print(recipe.task.summary(metrics), highlight=False)
        if not export:
            return Result(run, recipe, metrics)
        bundle = shipping.export_run(
            run,
            splits,
            exported_dir=exported_dir,
            converter=converter,
            embed_samples=embed_samples,
            limit=limit,
        )
        return Result(run, recipe, metrics, bundle)


def _begin(recipe: Recipe) -> tf.distribute.Strategy | None:
    """Settle determinism and devices, which has to happen before TensorFlow computes anything."""
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = distribute.choose(recipe.strategy)
    num_replicas = 1 if strategy is None else strategy.num_replicas_in_sync
    distribute.check_batch_size(recipe.batch_size, num_replicas, recipe.gradient_accumulation_steps)
    return strategy


def load_data(recipe: Recipe) -> Splits:
    """Load a recipe's data and say what there is to say of it."""
    _log.info(f"Loading the data ({type(recipe.data).__name__}) ...")
    splits = recipe.data.load()
    for note in splits.notes:
        _log.warning(note)
    return splits


def fit(
    recipe: Recipe,
    splits: Splits,
    strategy: tf.distribute.Strategy | None,
    runs_dir: Path,
    recipe_source: Path | None,
    console: Console,
    dry_run: bool,
) -> tuple[runs.Run, Recipe, keras.Model]:
    """Train a recipe into a new run folder.

    Returns:
        The run, the recipe as it was run, and the best network, float32.
    """
    keras.utils.set_random_seed(recipe.seed)
    num_replicas = 1 if strategy is None else strategy.num_replicas_in_sync
    steps = _whole_executions(order.steps_per_epoch(splits.train, recipe.batch_size))
    steps = min(steps, _DRY_RUN_STEPS) if dry_run else steps
    recipe = dataclasses.replace(
        recipe, epochs=max(recipe.epochs, -(-recipe.min_steps // steps)), min_steps=0
    )
    class_weight = recipe.task.class_weight(splits.train.labels, len(splits.class_names))

    preprocessing = make_preprocessing(recipe, splits)
    twin = make_network(recipe, splits, preprocessing)  # what is saved: float32, on no strategy
    with distribute.scope(strategy), _precision(recipe.precision):
        network = make_network(recipe, splits, preprocessing)
        network.set_weights(twin.get_weights())
        compile_network(network, recipe, steps)

    run = _start_run(recipe, splits, network, strategy, runs_dir, recipe_source)
    best = callbacks.Best(run, twin, recipe.task.score, recipe.early_stopping)
    with callbacks.ProgressBar(console, recipe.batch_size) as bar:
        history = network.fit(
            order.training_batches(
                splits.train, batch_size=recipe.batch_size, seed=recipe.seed, augmentation=recipe.augmentation
            ),
            epochs=recipe.epochs,
            steps_per_epoch=steps,
            shuffle=False,
            validation_data=order.evaluation_batches(
                splits.validation,
                batch_size=_dividing(recipe.batch_size, len(splits.validation), num_replicas),
            ),
            validation_steps=_DRY_RUN_STEPS if dry_run else None,
            class_weight=class_weight,
            callbacks=[*_callbacks(recipe, run, best), bar],
            verbose=0,
        )
    run.write("metrics.json", {"best_epoch": best.best_epoch + 1, "epochs": len(history.epoch)})
    return run, recipe, _reload(run, twin)


def _start_run(
    recipe: Recipe,
    splits: Splits,
    network: keras.Model,
    strategy: tf.distribute.Strategy | None,
    runs_dir: Path,
    recipe_source: Path | None,
) -> runs.Run:
    """Make the run's folder with all that is known before the first step, and say it."""
    run, devices = runs.create(runs_dir, recipe, recipe_source), distribute.describe(strategy)
    run.write(labels.FILE_NAME, labels.to_text(splits.class_names))
    data = shipping.describe_data(splits)
    run.write("receipt.json", runs.receipt(recipe, data, devices, network.count_params()))
    examples = ", ".join(f"{count:,} {name}" for name, count in data["examples"].items())
    _log.info(
        f"{recipe.name}: {type(network).__name__}, {network.count_params():,} weights; {examples} examples; "
        f"{devices}"
    )
    return run


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
        steps_per_execution=steps_per_execution(network, steps),
        seed=recipe.seed,
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
    )
    for name, optimizer in made.items():  # in the strategy's scope: two optimizers crash without it
        optimizer.build(network.variables_of(name))


def _callbacks(recipe: Recipe, run: runs.Run, best: callbacks.Best) -> list:
    """Return the callbacks in the order they have to act."""
    chosen = [callbacks.Divergence(best)]
    if recipe.ema_momentum is not None:
        chosen.append(callbacks.AveragedWeights())
    chosen.append(best)
    if recipe.schedule == "plateau":
        chosen.append(callbacks.Plateau(best, recipe.schedule_factor, recipe.schedule_epochs))
    return [
        *chosen,
        callbacks.History(run),
        keras.callbacks.TensorBoard(run.path / "logs", write_graph=False),
    ]


def _whole_executions(steps: int) -> int:
    """Round the steps of a long epoch to whole executions; data order does not stop at an epoch's end."""
    return steps if steps < 10 * _EXECUTION else round(steps / _EXECUTION) * _EXECUTION


def steps_per_execution(network: keras.Model, steps: int) -> int:
    """Return how many steps one call runs: several for small networks, whose steps cost less than the call.

    They divide the epoch, since one iterator serves the whole run.
    """
    if network.count_params() > 1_000_000:
        return 1
    return max(count for count in range(1, _EXECUTION + 1) if steps % count == 0)


def _dividing(batch_size: int, examples: int, num_replicas: int) -> int:
    """Return the batch size of validation: Keras cannot begin with a batch that replicas share unevenly."""
    return min(batch_size, max(examples // num_replicas, 1) * num_replicas)


def _reload(run: runs.Run, twin: keras.Model) -> keras.Model:
    """Open what was saved; a network whose file does not hold its weights must not pass for trained."""
    network = run.network()
    saved = [np.array_equal(a, b) for a, b in zip(network.get_weights(), twin.get_weights(), strict=False)]
    if not all(saved) or len(network.weights) != len(twin.weights):
        raise RunFailedError(
            f"{run.model_file} gives back {sum(saved)} of {len(twin.weights)} weights. Make every layer of "
            "the network in its __init__."
        )
    return network


@contextlib.contextmanager
def _precision(policy: str):
    """Make layers under a Keras dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
