"""The phases of a training: with a part of the network frozen, then with all of it.

Each phase has a new optimizer, whose schedule goes over the epochs of the phase alone.
"""

import dataclasses

from kerasdl.recipe import Recipe

_FINE_TUNING_FACTOR = 0.1  # on the learning rate, where the recipe names none


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of a training with one optimizer.

    Attributes:
        number: 0, then 1.
        first_epoch: epochs of the run before it.
        recipe: what its optimizer and schedule are made of: epochs and learning rate are those of the phase.
    """

    number: int
    first_epoch: int
    recipe: Recipe


def of_recipe(recipe: Recipe) -> tuple[Phase, ...]:
    """Return the phases of a recipe: one, or two where it fine-tunes."""
    first = Phase(0, 0, recipe)
    if not recipe.fine_tune_epochs:
        return (first,)
    rate = recipe.fine_tune_learning_rate or recipe.learning_rate * _FINE_TUNING_FACTOR
    fine_tuning = dataclasses.replace(
        recipe,
        freeze="none",
        epochs=recipe.fine_tune_epochs,
        fine_tune_epochs=0,
        learning_rate=rate,
        fine_tune_learning_rate=None,
        warmup_epochs=0.0,
    )
    return (first, Phase(1, recipe.epochs, fine_tuning))


def at(recipe: Recipe, epoch: int) -> Phase:
    """Return the phase that an epoch, counted from 0 on, belongs to."""
    return [phase for phase in of_recipe(recipe) if phase.first_epoch <= epoch][-1]
