"""What of a GAN is worth searching: its objective and size, and how fast each player learns.

    kerasdl tune gan --data digits --max-trials 20

The network itself is `kerasdl/models/gan.py`: what is tuned is what ships.
"""

from kerasdl import own_choice, replace
from kerasdl.network.adversarial import OBJECTIVES


def space(hp, recipe):
    """Return the recipe with the values of a trial; its own are the defaults."""
    own = recipe.model
    objective = own_choice(hp, "objective", list(OBJECTIVES), own.objective)
    with hp.conditional_scope("objective", [name for name, one in OBJECTIVES.items() if one.has_target]):
        smoothing = hp.Float("label_smoothing", 0.0, 0.3, default=own.label_smoothing)
    width = own_choice(hp, "width", [16, 32, 64], own.filters[0] if own.filters else own.width)
    model = own.replace(
        objective=objective,
        label_smoothing=smoothing if OBJECTIVES[objective].has_target else 0.0,
        filters=own.filters and tuple(width * size // own.filters[0] for size in own.filters),
        width=own.width if own.filters else width,
        latent_size=own_choice(hp, "latent_size", [16, 32, 64, 128], own.latent_size),
        discriminator_rate=hp.Float(
            "discriminator_rate", 0.25, 4.0, sampling="log", default=own.discriminator_rate
        ),
    )
    return replace(
        recipe,
        model=model,
        learning_rate=hp.Float("learning_rate", 1e-4, 3e-3, sampling="log", default=recipe.learning_rate),
        beta_1=own_choice(hp, "beta_1", [0.0, 0.5], recipe.beta_1),
        batch_size=hp.Int("batch_size", 16, 256, sampling="log", default=recipe.batch_size),
    )


if __name__ == "__main__":
    from kerasdl import tune_file

    tune_file(__file__)
