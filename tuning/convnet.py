"""What of a small convolutional network is worth searching: its shape, activation, and how it learns.

    kerasdl tune convnet --data digits --max-trials 20

The network itself is `kerasdl/models/convnet.py`: what is tuned is what ships.
"""

from kerasdl import optimization, own_choice, replace

ACTIVATIONS = ["relu", "leaky_relu", "elu", "maxout", "tanh", "sigmoid"]


def space(hp, recipe):
    """Return the recipe with the values of a trial; its own are the defaults."""
    own = recipe.model
    stages = hp.Int("stages", 1, max(4, len(own.filters)), default=len(own.filters))
    width = hp.Int("width", 16, max(128, own.filters[0]), sampling="log", default=own.filters[0])
    is_own = (stages, width) == (len(own.filters), own.filters[0])
    model = own.replace(
        filters=own.filters if is_own else tuple(width * 2**stage for stage in range(stages)),
        convolutions=hp.Int("convolutions", 1, max(3, own.convolutions), default=own.convolutions),
        kernel_size=own_choice(hp, "kernel_size", [3, 5], own.kernel_size),
        activation=own_choice(hp, "activation", ACTIVATIONS, own.activation),
        early_pooling=hp.Boolean("early_pooling", default=own.early_pooling),
        batch_normalization=hp.Boolean("batch_normalization", default=own.batch_normalization),
        pooling=own_choice(hp, "pooling", ["max", "average", "stride"], own.pooling),
        dropout=hp.Float("dropout", 0.0, 0.5, default=own.dropout),
    )
    return replace(recipe, model=model, **optimization(hp, recipe, optimizers=["sgd", "adamw"], most=512))


if __name__ == "__main__":
    from kerasdl import tune_file

    tune_file(__file__)
