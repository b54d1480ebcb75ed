"""What of a recurrent classifier of texts is worth searching: cell, size, what is hidden, how fast it learns.

    kerasdl tune lstm --data phrases --max-trials 20

The network itself is `kerasdl/models/recurrent.py`: what is tuned is what ships.
"""

from kerasdl import optimization, own_choice, replace


def space(hp, recipe):
    """Return the recipe with the values of a trial; its own are the defaults.

    Where the task asks for `--streaming`, only networks that answer step by step are tried.
    """
    own, streaming = recipe.model, recipe.task.streaming
    pools = ["last", "mean", "max", "mean_max", *([] if streaming else ["attention"])]
    model = own.replace(
        cell=own_choice(hp, "cell", ["lstm", "gru"], own.cell),
        units=hp.Int("units", 16, 128, sampling="log", default=own.units),
        bidirectional=own.bidirectional if streaming else hp.Boolean("bidirectional", own.bidirectional),
        pooling=own_choice(hp, "pooling", pools, own.pooling),
        hide_words=hp.Float("hide_words", 0.0, 0.5, default=own.hide_words),
        embedding_dropout=hp.Float("embedding_dropout", 0.0, 0.7, default=own.embedding_dropout),
        dropout=hp.Float("dropout", 0.0, 0.6, default=own.dropout),
    )
    return replace(recipe, model=model, **optimization(hp, recipe, optimizers=["adam", "adamw"], most=256))


if __name__ == "__main__":
    from kerasdl import tune_file

    tune_file(__file__)
