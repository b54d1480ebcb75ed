"""The training itself: network, optimizers and callbacks over the data, from any step on."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

from kerasdl.data import order, passes
from kerasdl.errors import RunFailedError
from kerasdl.inference import labels
from kerasdl.network import parts
from kerasdl.recipe.document import decode, to_json
from kerasdl.runs import receipt
from kerasdl.runs.folder import Run
from kerasdl.training import build, distribute, phases, resume
from kerasdl.training import checkpoint as checkpoints
from kerasdl.training.callbacks import checkpoint_writer, history
from kerasdl.training.callbacks.assembly import Crew
from kerasdl.training.interruption import Interruptions
from kerasdl.training.loop import Loop
from kerasdl.training.optimizers import make
from kerasdl.training.plan import Training

_log = logging.getLogger(__name__)

_MOST_INITIAL = 0.1  # part of moving statistics that may be from before the first batch
_SHOWN_EXAMPLES, _SHOWN_COPIES = 6, 5  # of the report's sheet of augmented examples


def fit(
    training: Training,
    pair: tuple[keras.Model, keras.Model],
    interruptions: Interruptions,
    console: Console,
    hooks: Sequence[keras.callbacks.Callback] = (),
) -> keras.Model:
    """Train, from the checkpoint on where there is one, until the run's `model.keras` is its best network.

    Args:
        training: what to train, and where.
        pair: what `building.make_pair` made for it.
        interruptions: says when to write a checkpoint and stop.
        console: where progress is drawn.
        hooks: further callbacks; they change nothing about the training.

    Returns:
        The best network, float32.

    Raises:
        RunFailedError: when training diverges.
        Interrupted: when it was asked to stop; a checkpoint is written.
    """
    recipe, run = training.recipe, training.run
    network, twin = pair
    crew = Crew(training, twin)
    if training.checkpoint is not None:
        _restore(training, network, crew)
    _describe(training, network, crew.identity)
    crew.start_records()
    position = crew.position
    with (
        crew.closing(),
        history.ProgressBar(console, recipe.batch_size, position, recipe.total_epochs) as bar,
    ):
        keeper = checkpoint_writer.Checkpoints(
            run, position, recipe.checkpoint_every, crew.state, interruptions, crew.divergence.check
        )
        _run_epochs(training, network, crew, [*hooks, *crew.callbacks(), bar, keeper], keeper)
    best = crew.best
    run.write("metrics.json", {"best_epoch": best.best_epoch + 1, "epochs": position.epoch})
    saved = _reload(run, twin)
    weights = {"weights_sha256": receipt.hash_weights(saved)}
    run.write("receipt.json", {**run.read_json("receipt.json"), **weights})
    return saved


def _restore(training: Training, network: keras.Model, crew: Crew) -> None:
    """Go on from the checkpoint; only when all of it fits, what was written after it is removed."""
    recipe, checkpoint = training.recipe, training.checkpoint
    number = checkpoint.state.get("phase", 0)  # that of its variables: at the border still the first
    phase = phases.of_recipe(recipe)[number]
    if number:
        build.begin_phase(network, recipe, training.splits, training.steps_per_epoch, phase)
    checkpoint.restore(network)
    crew.restore(checkpoint, phase)
    before = phases.of_recipe(decode(checkpoint.state["identity"]["recipe"], training.run.path))[number]
    then, now = before.recipe, phase.recipe
    if then.epochs != now.epochs and recipe.schedule in ("cosine", "one_cycle"):
        _log.warning(
            f"The {recipe.schedule} schedule is now that of {now.epochs} epochs, not {then.epochs}: "
            "the learning rate is not what it was."
        )
    if then.learning_rate != now.learning_rate:
        for name, optimizer in network.optimizers.items():
            rates = [network.recipe_for(name, one).learning_rate for one in (now, then)]
            make.change_learning_rate(optimizer, rates[0] / rates[1])
    checkpoints.remove_after(training.run.checkpoints, int(checkpoint.path.name))
    done = crew.position
    _log.info(
        f"Going on after step {done.num_updates:,}, in epoch {done.epoch + 1} of {recipe.total_epochs}."
    )


def _describe(training: Training, network: keras.Model, identity: dict[str, Any]) -> None:
    """Write all that is known before the first step into the run, and say it."""
    recipe, run, splits = training.recipe, training.run, training.splits
    devices, data = distribute.describe(training.strategy), splits.describe()
    now = receipt.make(recipe, data, devices, network.count_params())
    if training.checkpoint is not None:
        now = json.loads(json.dumps(now))  # tuples become lists, as they are in the file
        before, then = run.read_json("receipt.json"), training.checkpoint.state
        changed = {name: value for name, value in now.items() if before.get(name) != value}
        changed |= {
            "step": then["position"]["num_updates"],
            "changes": list(resume.changes(then["identity"], identity).values()),
        }
        now = {**before, "data": now["data"], "resumed": [*before.get("resumed", []), changed]}
    elif training.weights is not None:
        now["weights"] = training.weights
    run.write("receipt.json", now)
    run.write(labels.FILE_NAME, labels.to_text(splits.spec.class_names))
    run.write("recipe.json", to_json(recipe))
    run.write(resume.IDENTITY, identity)
    if recipe.augmentation is not None and training.checkpoint is None and training.observe is None:
        shown = order.augmented_examples(  # for the page, which a trial does not have
            splits.train,
            seed=recipe.seed,
            augmentation=recipe.augmentation,
            rows=_SHOWN_EXAMPLES,
            copies=_SHOWN_COPIES,
        )
        run.write_arrays("augmented.npz", {"images": shown})
    examples = ", ".join(f"{count:,} {name}" for name, count in data["examples"].items())
    count = network.count_params()
    frozen = count - sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    frozen = f" ({frozen:,} of them frozen)" if recipe.freeze != "none" else ""
    _log.info(
        f"{recipe.name}: {type(network).__name__}, {count:,} weights{frozen}; {examples} examples; {devices}"
    )
    begins = training.checkpoint is None and training.weights is None
    if begins and training.observe is None and not training.dry_run:
        num_steps = training.steps_per_epoch * recipe.total_epochs
        _warn_of_lag(network, num_steps * recipe.gradient_accumulation_steps)


def _warn_of_lag(network: keras.Model, count: int) -> None:
    """Say when `count` batches are too few for the statistics that batch normalisation is evaluated with."""
    kind = keras.layers.BatchNormalization
    layers = [layer for layer in parts.layers(network) if isinstance(layer, kind)]
    momentum = max((layer.momentum for layer in layers), default=0.0)
    if (initial := momentum**count) > _MOST_INITIAL:
        _log.warning(
            f"Batch normalisation has a momentum of {momentum:g}: after the {count} batches of this run its "
            f"moving statistics are still {initial:.0%} what they began as, and evaluation sees another "
            "network than training. Train for more epochs, or with a lower momentum."
        )


def _run_epochs(
    training: Training,
    network: keras.Model,
    crew: Crew,
    chosen: list[keras.callbacks.Callback],
    keeper: checkpoint_writer.Checkpoints,
) -> None:
    """Train from the position to the last epoch, or until a callback says stop."""
    recipe, steps, position = training.recipe, training.steps_per_epoch, crew.position
    loop = Loop(network, _blocks(training, network, position.num_updates))
    hooks = keras.callbacks.CallbackList(chosen, model=network, epochs=recipe.total_epochs, steps=steps)
    network.stop_training = position.stopped is not None
    hooks.on_train_begin()
    while position.epoch < recipe.total_epochs and not network.stop_training:
        epoch, logs = position.epoch, {}
        if (phase := phases.at(recipe, epoch)).number != crew.phase.number:
            _begin_phase(training, network, crew, phase)
            loop = Loop(network, _blocks(training, network, position.num_updates))
        network.reset_metrics()
        if position.step:  # the epoch that was interrupted
            training.checkpoint.restore_metrics(network)
        hooks.on_epoch_begin(epoch)
        while position.step < steps and not network.stop_training:
            hooks.on_train_batch_begin(position.step)
            count, logs = loop.run(min(steps - position.step, keeper.steps_left()))
            hooks.on_train_batch_end(position.step + count - 1, logs)
        hooks.on_epoch_end(epoch, {**_results(network, logs), **_validate(training, network, hooks)})
    hooks.on_train_end()


def _begin_phase(training: Training, network: keras.Model, crew: Crew, phase: phases.Phase) -> None:
    """Go over to the next phase, with the weights of the last step."""
    build.begin_phase(network, training.recipe, training.splits, training.steps_per_epoch, phase)
    crew.begin(phase)
    _log.info(
        f"Fine-tuning from epoch {phase.first_epoch + 1} on: nothing is frozen any more, and the highest "
        f"learning rate is {phase.recipe.learning_rate:g}."
    )


def _blocks(training: Training, network: keras.Model, start_step: int) -> tf.data.Dataset:
    """Return the training data from a step on, with the weights of classes where they have some."""
    recipe, split = training.recipe, training.splits.train
    blocks = order.training_blocks(
        split,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        start_step=start_step,
        augmentation=recipe.augmentation,
        num_parts=network.distribute_strategy.num_replicas_in_sync,
    )
    weights = recipe.task.sample_weights(training.splits)
    if weights is None:
        return blocks
    return blocks.map(lambda features, labels: (features, labels, weights(labels)))


def _results(network: keras.Model, logs: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of an epoch: those of the metrics, or the last step's where it has others."""
    results = network.get_metrics_result()
    return {
        name: float(value) for name, value in (results if results.keys() == logs.keys() else logs).items()
    }


def _validate(
    training: Training, network: keras.Model, hooks: keras.callbacks.CallbackList
) -> dict[str, float]:
    """Return the figures of the validation split."""
    split = training.splits.validation
    num_replicas = network.distribute_strategy.num_replicas_in_sync
    # Keras cannot begin with a batch that replicas share unevenly, nor can a replica do without any sample.
    batch_size = passes.batch_size(split, least=training.recipe.batch_size)
    batch_size = max(min(batch_size, len(split)) // num_replicas, 1) * num_replicas
    while 0 < len(split) % batch_size < num_replicas < batch_size:
        batch_size -= num_replicas
    steps = min(build.DRY_RUN_STEPS, -(-len(split) // batch_size)) if training.dry_run else None
    figures = network.evaluate(
        order.evaluation_batches(split, batch_size=batch_size),
        steps=steps,
        callbacks=hooks,
        verbose=0,
        return_dict=True,
    )
    return {f"val_{name}": value for name, value in figures.items()}


def _reload(run: Run, twin: keras.Model) -> keras.Model:
    """Open what was saved; a network whose file does not hold its weights must not pass for trained."""
    network = run.network()
    saved = [np.array_equal(a, b) for a, b in zip(network.get_weights(), twin.get_weights(), strict=False)]
    if not all(saved) or len(network.weights) != len(twin.weights):
        raise RunFailedError(
            f"{run.model_file} gives back {sum(saved)} of {len(twin.weights)} weights. Make every layer of "
            "the network in its __init__."
        )
    return network
