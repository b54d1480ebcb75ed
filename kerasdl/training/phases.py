"""The phases of a training run: first with a part of the network frozen, then with all of it.

Each phase has a new optimizer, with a schedule over the epochs of that phase alone.
"""

import dataclasses

from kerasdl.recipe import Recipe

_FINE_TUNING_FACTOR = 0.1  # on the learning rate, where the recipe names none


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of a training run with an optimizer of its own.

    Attributes:
        number: 0, then 1.
        first_epoch: number of epochs before the phase.
        recipe: the recipe with the phase's own epochs and learning rate, for its optimizer and schedule.
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
