"""What of VGG is worth searching: depth and width, its dense layer, dropout, and how fast it learns.

    kerasdl tune vgg16 --max-trials 20

The network itself is `kerasdl/models/vgg.py`: what is tuned is what ships.
"""

from kerasdl import optimization, own_choice, replace


def space(hp, recipe):
    """Return the recipe with the values of a trial; its own are the defaults."""
    own = recipe.model
    has_dense = hp.Boolean("dense", default=bool(own.head_units))
    units = own.head_units[0] if own.head_units else 512
    with hp.conditional_scope("dense", [True]):
        drawn = hp.Int("dense_units", 128, max(2048, units), sampling="log", default=units)
        dropout = hp.Float("dropout", 0.0, 0.7, default=own.dropout)
    model = own.replace(
        depth=own_choice(hp, "depth", [11, 13, 16, 19], own.depth),
        width=hp.Int("width", 16, max(96, own.width), sampling="log", default=own.width),
        batch_normalization=hp.Boolean("batch_normalization", default=own.batch_normalization),
        head_units=(drawn, *own.head_units[1:]) if has_dense else (),
        dropout=dropout if has_dense else own.dropout,
    )
    return replace(recipe, model=model, **optimization(hp, recipe, optimizers=["sgd", "adamw"], most=512))


if __name__ == "__main__":
    from kerasdl import tune_file

    tune_file(__file__)
