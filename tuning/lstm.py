"""What of a recurrent classifier of texts is worth searching: cell, size, what is hidden, how fast it learns.

    kerasdl tune lstm --data phrases --max-trials 20

The network itself is `kerasdl/models/recurrent.py`: what is tuned is what ships.
"""

from kerasdl import optimization, own_choice, replace


def space(hp, recipe):
    """Return the recipe with the values of a trial; its own are the defaults."""
    pools = ["last", "mean", "max", "mean_max", "attention"]
    model = recipe.model.replace(
        cell=own_choice(hp, "cell", ["lstm", "gru"], recipe.model.cell),
        units=hp.Int("units", 16, 128, sampling="log", default=recipe.model.units),
        bidirectional=hp.Boolean("bidirectional", default=recipe.model.bidirectional),
        pooling=own_choice(hp, "pooling", pools, recipe.model.pooling),
        hide_words=hp.Float("hide_words", 0.0, 0.5, default=recipe.model.hide_words),
        embedding_dropout=hp.Float("embedding_dropout", 0.0, 0.7, default=recipe.model.embedding_dropout),
        dropout=hp.Float("dropout", 0.0, 0.6, default=recipe.model.dropout),
    )
    return replace(recipe, model=model, **optimization(hp, recipe, optimizers=["adam", "adamw"], most=256))


if __name__ == "__main__":
    from kerasdl import tune_file

    tune_file(__file__)
