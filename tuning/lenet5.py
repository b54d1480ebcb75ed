"""What of LeNet-5 is worth searching: activation and pooling, dropout, the optimizer, and how fast it learns.

    kerasdl tune lenet5 --data digits --max-trials 20

The network itself is `kerasdl/models/lenet5.py`: what is tuned is what ships.
"""

from kerasdl import optimization, own_choice, replace


def space(hp, recipe):
    """Return the recipe with the values of a trial; its own are the defaults."""
    model = recipe.model.replace(
        activation=own_choice(hp, "activation", ["tanh", "relu", "elu", "silu"], recipe.model.activation),
        pooling=own_choice(hp, "pooling", ["average", "max"], recipe.model.pooling),
        dropout=hp.Float("dropout", 0.0, 0.5, default=recipe.model.dropout),
    )
    return replace(
        recipe,
        model=model,
        **optimization(hp, recipe, optimizers=["sgd", "adam", "adamw", "rmsprop"], most=256),
    )


if __name__ == "__main__":
    from kerasdl import tune_file

    tune_file(__file__)
