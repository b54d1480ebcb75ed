"""A variational autoencoder of MNIST's digits in the setting of the IWAE paper.

kerasdl train vae
kerasdl train vae --data digits
kerasdl train vae --filters 32,64 --units 256 --activation relu
kerasdl generate runs/vae/1 --out grid.png
"""

from kerasdl import VAE, Config, Generation, Recipe, Tfds

RECIPE = Recipe(
    model=Config(VAE, latent_size=50, units=(200, 200)),
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
