"""What of a multilayer perceptron is worth searching: depth and width, dropout, and how fast it learns.

    kerasdl tune mlp --max-trials 20

The network itself is `kerasdl/models/mlp.py`: what is tuned is what ships.
"""

from kerasdl import optimization, own_choice, replace


def space(hp, recipe):
    """Return the recipe with the values of a trial; its own are the defaults."""
    own = recipe.model.hidden_units
    deepest = max(3, len(own))
    depth = hp.Int("num_layers", 1, deepest, default=len(own))
    widths = []
    for layer in range(deepest):
        with hp.conditional_scope("num_layers", list(range(layer + 1, deepest + 1))):
            width = own[layer] if layer < len(own) else own[-1]
            widths.append(hp.Int(f"units_{layer + 1}", 32, 1024, sampling="log", default=width))
    model = recipe.model.replace(
        hidden_units=tuple(widths[:depth]),
        activation=own_choice(hp, "activation", ["relu", "elu", "silu", "tanh"], recipe.model.activation),
        dropout=hp.Float("dropout", 0.0, 0.6, default=recipe.model.dropout),
    )
    return replace(
        recipe, model=model, **optimization(hp, recipe, optimizers=["sgd", "adam", "adamw"], most=512)
    )


if __name__ == "__main__":
    from kerasdl import tune_file

    tune_file(__file__)
