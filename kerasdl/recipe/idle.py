"""Fields of a recipe that do nothing beside the others it has."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kerasdl.recipe.recipe import Recipe

_log = logging.getLogger(__name__)

#: Field -> the one that decides whether it is used, and the values with which it is.
_USED_BY = {
    "momentum": ("optimizer", ("sgd", "rmsprop")),
    "beta_1": ("optimizer", ("adam", "adamw")),
    "beta_2": ("optimizer", ("adam", "adamw")),
    "schedule_epochs": ("schedule", ("step", "plateau")),
    "schedule_factor": ("schedule", ("step", "plateau")),
}


def warn(recipe: "Recipe", given: Iterable[str]) -> None:
    """Warn of fields that somebody has given and that the recipe does not use."""
    for name in given:
        decides, values = _USED_BY.get(name, ("", ()))
        if decides and (value := vars(recipe)[decides]) not in values:
            _log.warning(
                f"{name} has no effect: it is of the {decides} {' or '.join(values)}, and this is {value}."
            )
