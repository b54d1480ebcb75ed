"""What of a tagger is worth searching: its head, cell and size, what is hidden, and how fast it learns.

    kerasdl tune tagger --max-trials 20

The network itself is `kerasdl/models/tagger.py`: what is tuned is what ships.
"""

from kerasdl import optimization, own_choice, replace


def space(hp, recipe):
    """Return the recipe with the values of a trial; its own are the defaults.

    Where the task asks for `--streaming`, only networks that answer step by step are tried.
    """
    own = recipe.model
    model = own.replace(
        crf=own.crf if recipe.task.streaming else hp.Boolean("crf", default=own.crf),
        cell=own_choice(hp, "cell", ["lstm", "gru"], own.cell),
        units=hp.Int("units", 16, 128, sampling="log", default=own.units),
        num_layers=hp.Int("num_layers", 1, 2, default=own.num_layers),
        hide_words=hp.Float("hide_words", 0.0, 0.5, default=own.hide_words),
        dropout=hp.Float("dropout", 0.0, 0.6, default=own.dropout),
    )
    return replace(recipe, model=model, **optimization(hp, recipe, optimizers=["adam", "adamw"], most=256))


if __name__ == "__main__":
    from kerasdl import tune_file

    tune_file(__file__)
