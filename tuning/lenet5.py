"""What of LeNet-5 is worth searching: activation and pooling, dropout, the optimizer, and how fast it learns.

    kerasdl tune lenet5 --data digits --max-trials 20

The network itself is `kerasdl/models/lenet5.py`: what is tuned is what ships.
"""

from kerasdl.recipe import replace
from kerasdl.search.space import own_choice


def space(hp, recipe):
    """Return the recipe with the values of a trial; its own are the defaults."""
    model = recipe.model.replace(
        activation=own_choice(hp, "activation", ["tanh", "relu", "elu", "silu"], recipe.model.activation),
        pooling=own_choice(hp, "pooling", ["average", "max"], recipe.model.pooling),
        dropout=hp.Float("dropout", 0.0, 0.5, default=recipe.model.dropout),
    )
    changes = {
        "optimizer": own_choice(hp, "optimizer", ["sgd", "adam", "adamw", "rmsprop"], recipe.optimizer),
        "learning_rate": hp.Float("learning_rate", 1e-4, 1e-1, sampling="log", default=recipe.learning_rate),
        "batch_size": hp.Int("batch_size", 16, 256, sampling="log", default=recipe.batch_size),
    }
    with hp.conditional_scope("optimizer", ["sgd", "rmsprop"]):
        changes["momentum"] = hp.Float("momentum", 0.0, 0.99, default=recipe.momentum)
    with hp.conditional_scope("optimizer", ["adamw"]):
        changes["weight_decay"] = hp.Float(
            "weight_decay", 1e-4, 1e-1, sampling="log", default=recipe.weight_decay
        )
    active = {name: value for name, value in changes.items() if value is not None}
    return replace(recipe, model=model, **active)


if __name__ == "__main__":
    from kerasdl.cli import tune_file

    tune_file(__file__)
