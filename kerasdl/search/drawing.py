"""Functions for search spaces: defaults from the recipe, and hyperparameters of the optimizer."""

from collections.abc import Sequence
from typing import Any

from kerasdl.recipe import Recipe


def own_choice(hp: Any, name: str, choices: Sequence[Any], own: Any) -> Any:
    """Draw one of several choices; the recipe's own value is one of them and the default."""
    return hp.Choice(name, [*choices] if own in choices else [own, *choices], default=own)


def optimization(hp: Any, recipe: Recipe, *, optimizers: Sequence[str], most: int) -> dict[str, Any]:
    """Draw the optimizer with its settings, the learning rate and the batch size.

    Args:
        hp: Keras Tuner's hyperparameters.
        recipe: recipe whose values are the defaults.
        optimizers: names of the optimizers to choose from.
        most: size of the largest batch; the smallest has 16 examples.

    Returns:
        Fields of the recipe, for `kerasdl.recipe.recipe.replace`.
    """
    fields = {
        "optimizer": own_choice(hp, "optimizer", optimizers, recipe.optimizer),
        "learning_rate": hp.Float(
            "learning_rate",
            1e-4,
            max(1e-1, 3 * recipe.learning_rate),
            sampling="log",
            default=recipe.learning_rate,
        ),
        "batch_size": hp.Int("batch_size", 16, most, sampling="log", default=recipe.batch_size),
    }
    with hp.conditional_scope("optimizer", ["sgd", "rmsprop"]):
        fields["momentum"] = hp.Float("momentum", 0.0, 0.99, default=recipe.momentum)
    with hp.conditional_scope("optimizer", ["adamw"]):
        fields["weight_decay"] = hp.Float(
            "weight_decay", 1e-4, 1e-1, sampling="log", default=recipe.weight_decay
        )
    fields["nesterov"] = recipe.nesterov and fields["optimizer"] == "sgd"
    return {name: value for name, value in fields.items() if value is not None}
