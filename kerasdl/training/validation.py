"""Metrics of the validation split."""

import keras

from kerasdl.data import batches, passes
from kerasdl.training.plan import DRY_RUN_STEPS, Plan


def validate(
    plan: Plan, network: keras.Model, callbacks: keras.callbacks.CallbackList | None
) -> dict[str, float]:
    """Return the metrics of the validation split."""
    split, num_replicas = plan.fed.validation, plan.devices.num_replicas
    batch_size = passes.shared_batch_size(split, plan.recipe.batch_size, num_replicas)
    steps = min(DRY_RUN_STEPS, -(-len(split) // batch_size)) if plan.dry_run else None
    metrics = network.evaluate(
        batches.evaluation_batches(split, batch_size=batch_size),
        steps=steps,
        callbacks=callbacks,
        verbose=0,
        return_dict=True,
    )
    return {f"val_{name}": value for name, value in metrics.items()}
