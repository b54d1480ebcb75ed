"""A VAE of MNIST's digits with the importance-weighted bound of five draws, in the setting of the IWAE paper.

kerasdl train iwae
kerasdl train iwae --data digits
"""

from kerasdl import VAE, Config, Generation, Recipe, Tfds

RECIPE = Recipe(
    model=Config(VAE, latent_size=50, units=(200, 200), objective="iwae", num_samples=5),
    data=Tfds(name="mnist"),
    task=Generation(likelihood_draws=5000, likelihood_images=0),
    epochs=400,
    min_steps=3000,
    batch_size=100,
    optimizer="adam",
    learning_rate=1e-3,
    schedule="cosine",
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
