"""Training itself: network, optimizers and callbacks over the data, from any step on."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from rich.console import Console

from kerasdl.recipe.document import decode
from kerasdl.runs import receipt
from kerasdl.runs.folder import Run
from kerasdl.training import build, phases, saved_network
from kerasdl.training import checkpoint as checkpoints
from kerasdl.training.callbacks.assembly import CallbackAssembly
from kerasdl.training.callbacks.best import averaged
from kerasdl.training.checkpoint import Checkpoint
from kerasdl.training.describe import describe
from kerasdl.training.interruption import Interruptions
from kerasdl.training.loop import Loop
from kerasdl.training.optimizers import make
from kerasdl.training.plan import Plan
from kerasdl.training.validation import validate

_log = logging.getLogger(__name__)


def fit(
    plan: Plan,
    run: Run,
    checkpoint: Checkpoint | None,
    pair: tuple[keras.Model, keras.Model],
    interruptions: Interruptions,
    console: Console,
    hooks: Sequence[keras.callbacks.Callback] = (),
) -> keras.Model:
    """Train until the run's `model.keras` is its best network; nothing here refers to `pair` afterwards.

    Args:
        plan: the plan of the run.
        run: the run folder, locked.
        checkpoint: the checkpoint to resume from; None to begin.
        pair: the result of `build.make_pair` for the plan.
        interruptions: the signals that stop training, after a checkpoint is written.
        console: where progress is drawn.
        hooks: further callbacks; they change nothing about the training.

    Returns:
        The best network, float32.

    Raises:
        RunFailedError: when training diverges.
        Interrupted: when training was asked to stop; a checkpoint is written.
    """
    network, twin = pair
    assembly = CallbackAssembly(plan, run, twin, interruptions, console)
    if checkpoint is not None:
        _restore(assembly, checkpoint, network)
    describe(plan, run, checkpoint, network, assembly.identity)
    before = saved_network.hashes(twin) if checkpoint is None else []
    callbacks = [*hooks, *assembly.callbacks()]
    try:
        with assembly.recording():
            _run_epochs(assembly, checkpoint, network, callbacks)
    finally:
        for callback in callbacks:  # the memory of a trained network is free once nobody refers to it
            callback.set_model(None)
    run.write("metrics.json", {"best_epoch": assembly.best.best_epoch + 1, "epochs": assembly.position.epoch})
    saved = saved_network.reload(run, twin)
    if untrained := saved_network.unchanged(assembly, network, before, saved):
        run.write("metrics.json", {**run.read_json("metrics.json"), "untrained": untrained})
    saved_network.check(assembly, saved)
    weights = {"weights_sha256": receipt.hash_weights(saved)}
    run.write("receipt.json", {**run.read_json("receipt.json"), **weights})
    return saved


def _restore(assembly: CallbackAssembly, checkpoint: Checkpoint, network: keras.Model) -> None:
    """Go on from the checkpoint; only when all of it fits, later files are removed."""
    plan, run = assembly.plan, assembly.run
    number = checkpoint.state.get("phase", 0)  # that of its variables: at the border still the first
    phase = plan.phases[number]
    if number:
        build.begin_phase(network, plan, phase)
    checkpoint.restore(network)
    assembly.restore(checkpoint, phase)
    before = phases.of_recipe(decode(checkpoint.state["identity"]["recipe"], run.path))[number]
    then, now = before.recipe, phase.recipe
    if then.epochs != now.epochs and now.schedule in ("cosine", "one_cycle"):
        _log.warning(
            f"The {now.schedule} schedule is now that of {now.epochs} epochs, not {then.epochs}: "
            "the learning rate is not what it was."
        )
    if then.learning_rate != now.learning_rate:
        for name, optimizer in network.optimizers.items():
            rates = [network.recipe_for(name, one).learning_rate for one in (now, then)]
            make.change_learning_rate(optimizer, rates[0] / rates[1])
    if plan.devices.is_chief:
        checkpoints.remove_after(run.checkpoints, int(checkpoint.path.name))
    done = assembly.position
    _log.info(
        f"Going on after step {done.num_updates:,}, in epoch {done.epoch + 1} of {plan.recipe.total_epochs}."
    )


def _run_epochs(
    assembly: CallbackAssembly,
    checkpoint: Checkpoint | None,
    network: keras.Model,
    chosen: Sequence[keras.callbacks.Callback],
) -> None:
    """Train from the position to the last epoch, or until a callback stops training."""
    plan, position = assembly.plan, assembly.position
    steps, total_epochs = plan.steps_per_epoch, plan.recipe.total_epochs
    callbacks = keras.callbacks.CallbackList(chosen, model=network, epochs=total_epochs, steps=steps)
    loop = Loop(network, plan.training_blocks(position.num_updates))
    further = plan.recipe.task.validator(network, plan.data)
    network.stop_training = position.stopped is not None
    callbacks.on_train_begin()
    while position.epoch < total_epochs and not network.stop_training:
        epoch, logs = position.epoch, {}
        if (phase := plan.phase_at(epoch)).number != assembly.phase.number:
            _begin_phase(assembly, network, phase)
            loop = Loop(network, plan.training_blocks(position.num_updates))
        network.reset_metrics()
        if position.step:  # the epoch that was interrupted
            checkpoint.restore_metrics(network)
        callbacks.on_epoch_begin(epoch)
        while position.step < steps and not network.stop_training:
            callbacks.on_train_batch_begin(position.step)
            count, logs = loop.run(min(steps - position.step, assembly.writer.steps_left()))
            callbacks.on_train_batch_end(position.step + count - 1, logs)
        results = {**_results(network, logs), **validate(plan, network, callbacks)}
        if further is not None:
            with averaged(network):
                results |= further()
        callbacks.on_epoch_end(epoch, results)
    callbacks.on_train_end()


def _begin_phase(assembly: CallbackAssembly, network: keras.Model, phase: phases.Phase) -> None:
    """Go over to the next phase, with the weights of the last step."""
    build.begin_phase(network, assembly.plan, phase)
    assembly.begin(phase)
    _log.info(
        f"Fine-tuning from epoch {phase.first_epoch + 1} on: no layer is frozen any more, and the highest "
        f"learning rate is {phase.recipe.learning_rate:g}."
    )


def _results(network: keras.Model, logs: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of an epoch, or the last step's logs where a step of its own has others."""
    results = network.get_metrics_result()
    return {
        name: float(value) for name, value in (results if results.keys() == logs.keys() else logs).items()
    }
