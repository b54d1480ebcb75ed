"""What search spaces share: a recipe's own values as the defaults, and how a network is optimised."""

from collections.abc import Sequence
from typing import Any

from kerasdl.recipe import Recipe


def own_choice(hp: Any, name: str, choices: Sequence[Any], own: Any) -> Any:
    """Draw one of some choices, a recipe's own value among them: it is the default."""
    return hp.Choice(name, [*choices] if own in choices else [own, *choices], default=own)


def optimization(hp: Any, recipe: Recipe, *, optimizers: Sequence[str], most: int) -> dict[str, Any]:
    """Draw the optimizer with what belongs to it, the learning rate and the batch size.

    Args:
        hp: Keras Tuner's hyperparameters.
        recipe: its values are the defaults.
        optimizers: names to choose from.
        most: examples of the largest batch; the smallest has 16.

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
