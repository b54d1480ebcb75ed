"""One training, with everything about it settled."""

import dataclasses
from collections.abc import Callable, Mapping

import tensorflow as tf

from kerasdl.data.dataset import Dataset
from kerasdl.recipe import Recipe
from kerasdl.runs.folder import Run
from kerasdl.training import checkpoint as checkpoints


@dataclasses.dataclass(frozen=True)
class Training:
    """What a training is to do, on what and where.

    Attributes:
        recipe: as `building.resolve` returns it.
        splits: as `building.resolve` returns them.
        steps_per_epoch: updates of an epoch.
        strategy: None for one device.
        run: the folder, locked.
        checkpoint: where to go on; None to begin.
        dry_run: validate on two batches only.
        observe: gets the figures of each epoch; a reason that it returns ends the training.
        weights: what the receipt says of the weights it begins with; None where they are of the seed.
    """

    recipe: Recipe
    splits: Dataset
    steps_per_epoch: int
    strategy: tf.distribute.Strategy | None
    run: Run
    checkpoint: checkpoints.Checkpoint | None = None
    dry_run: bool = False
    observe: Callable[[Mapping[str, float]], str | None] | None = None
    weights: Mapping[str, str] | None = None
