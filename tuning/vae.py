"""What of a variational autoencoder is worth searching: its latents and widths, and how fast it learns.

    kerasdl tune vae --data digits --max-trials 20

A search aims at the validation bound (`val_loss`, nats for each image). The network itself is
`kerasdl/models/vae.py`: what is tuned is what ships.
"""

from kerasdl import optimization, own_choice, replace


def space(hp, recipe):
    """Return the recipe with the values of a trial; its own are the defaults."""
    units = hp.Int("units", 50, 800, sampling="log", default=recipe.model.units[0])
    num_layers = hp.Int("num_layers", 1, 3, default=len(recipe.model.units))
    model = recipe.model.replace(
        latent_size=hp.Int("latent_size", 2, 100, sampling="log", default=recipe.model.latent_size),
        units=(units,) * num_layers,
        activation=own_choice(hp, "activation", ["tanh", "relu", "gelu"], recipe.model.activation),
    )
    return replace(recipe, model=model, **optimization(hp, recipe, optimizers=["adam", "adamw"], most=512))


if __name__ == "__main__":
    from kerasdl import tune_file

    tune_file(__file__)
