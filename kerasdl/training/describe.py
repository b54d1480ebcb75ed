"""What a run's files and the log state before the first step."""

import json
import logging

import keras
import numpy as np

from kerasdl.inference import labels
from kerasdl.network import parts
from kerasdl.runs import receipt
from kerasdl.runs.folder import Run
from kerasdl.training import resume
from kerasdl.training.checkpoint import Checkpoint
from kerasdl.training.plan import Plan

_log = logging.getLogger(__name__)

_MOST_INITIAL = 0.1  # part of moving statistics that may be from before the first batch
_SHOWN_EXAMPLES, _SHOWN_COPIES = 6, 5  # of the report's sheet of augmented examples


def describe(
    plan: Plan, run: Run, checkpoint: Checkpoint | None, network: keras.Model, identity: dict
) -> None:
    """Write the receipt, the recipe and the class names of a run, and log what is trained on what.

    Args:
        plan: the plan of the run.
        run: the run folder.
        checkpoint: the checkpoint to resume from; None at the beginning.
        network: the compiled network.
        identity: the run's `resume.identity`.
    """
    recipe, data = plan.recipe, plan.data
    if plan.devices.is_chief:
        _write_receipt(plan, run, checkpoint, network, identity)
        run.write(labels.FILE_NAME, labels.to_text(data.spec.class_names))
        run.write("recipe.json", identity["recipe"])
        run.write(resume.IDENTITY, identity)
        if recipe.augmentation is not None and checkpoint is None and plan.observe is None:
            arrays = recipe.augmentation.samples(
                data.train, seed=recipe.seed, rows=_SHOWN_EXAMPLES, copies=_SHOWN_COPIES
            )
            if arrays:
                run.write_arrays("augmented.npz", arrays)
    examples = ", ".join(f"{count:,} {name}" for name, count in data.describe()["examples"].items())
    count = network.count_params()
    frozen = count - sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    frozen = f" ({frozen:,} of them frozen)" if recipe.freeze != "none" else ""
    _log.info(
        f"{recipe.name}: {type(network).__name__}, {count:,} weights{frozen}; {examples} examples; "
        f"{plan.devices.describe()}"
    )
    begins = checkpoint is None and plan.weights is None
    if begins and plan.observe is None and not plan.dry_run:
        num_steps = plan.steps_per_epoch * recipe.total_epochs
        _warn_of_lag(network, num_steps * recipe.gradient_accumulation_steps)


def _write_receipt(plan: Plan, run: Run, checkpoint: Checkpoint | None, network, identity: dict) -> None:
    """Write the receipt; that of a resumed run keeps the first one and adds what has changed."""
    now = receipt.make(plan.recipe, plan.data.describe(), plan.devices.describe(), network.count_params())
    if checkpoint is not None:
        now = json.loads(json.dumps(now))  # tuples become lists, as they are in the file
        before, then = run.read_json("receipt.json"), checkpoint.state
        changed = {name: value for name, value in now.items() if before.get(name) != value}
        changed |= {
            "step": then["position"]["num_updates"],
            "changes": list(resume.changes(then["identity"], identity).values()),
        }
        now = {**before, "data": now["data"], "resumed": [*before.get("resumed", []), changed]}
    elif plan.weights is not None:
        now["weights"] = plan.weights.describe()
    run.write("receipt.json", now)


def _warn_of_lag(network: keras.Model, num_batches: int) -> None:
    """Warn when there are too few batches for the moving statistics of batch normalisation."""
    kind = keras.layers.BatchNormalization
    layers = [layer for layer in parts.layers(network) if isinstance(layer, kind)]
    momentum = max((layer.momentum for layer in layers), default=0.0)
    if (initial := momentum**num_batches) > _MOST_INITIAL:
        seen = "one batch" if num_batches == 1 else f"{num_batches} batches"
        _log.warning(
            f"Batch normalisation has a momentum of {momentum:g}: after the {seen} of this "
            f"run, {initial:.0%} of its moving statistics are still the initial values, so that evaluation "
            "differs from training. Train for more epochs, or with a lower momentum."
        )
