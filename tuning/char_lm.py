"""What of a character language model is worth searching: its cell and width, dropout, and how fast it learns.

    kerasdl tune char_lm --data shakespeare --max-trials 20

The network itself is `kerasdl/models/char_lm.py`: what is tuned is what ships.
"""

from kerasdl import optimization, own_choice, replace


def space(hp, recipe):
    """Return the recipe with the values of a trial; its own are the defaults."""
    model = recipe.model.replace(
        cell=own_choice(hp, "cell", ["lstm", "gru"], recipe.model.cell),
        units=own_choice(hp, "units", [128, 256, 384, 512], recipe.model.units),
        num_layers=hp.Int("num_layers", 1, 3, default=recipe.model.num_layers),
        dropout=hp.Float("dropout", 0.0, 0.6, default=recipe.model.dropout),
    )
    return replace(recipe, model=model, **optimization(hp, recipe, optimizers=["adam", "adamw"], most=128))


if __name__ == "__main__":
    from kerasdl import tune_file

    tune_file(__file__)
