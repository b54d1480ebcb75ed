"""A convolutional VAE of MNIST's digits that is told the class: it makes the digit that is asked for.

kerasdl train cvae
kerasdl train cvae --data digits
kerasdl generate runs/cvae/1 --class 7 --out sevens.png
"""

from kerasdl import VAE, Config, Generation, Recipe, Tfds

RECIPE = Recipe(
    model=Config(VAE, latent_size=20, filters=(32, 64), units=(256,), activation="relu", conditional=True),
    data=Tfds(name="mnist"),
    task=Generation(),
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
