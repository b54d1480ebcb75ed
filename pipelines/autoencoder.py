"""A denoising autoencoder of MNIST's digits: 32 numbers for each image.

kerasdl train autoencoder
kerasdl train autoencoder --data digits --corruption 0
kerasdl encode runs/autoencoder/1 --out codes.npz
"""

from kerasdl import Autoencoder, Config, Generation, Recipe, Tfds

RECIPE = Recipe(
    model=Config(Autoencoder, latent_size=32, units=(512, 256), activation="relu", corruption=0.3),
    data=Tfds(name="mnist"),
    task=Generation(judge="none"),
    epochs=20,
    min_steps=2000,
    batch_size=100,
    optimizer="adam",
    learning_rate=1e-3,
    schedule="cosine",
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
