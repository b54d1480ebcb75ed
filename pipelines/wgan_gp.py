"""A Wasserstein GAN with gradient penalty of MNIST's digits: a critic that learns five times as often.

kerasdl train wgan_gp
kerasdl train wgan_gp --data digits
kerasdl train wgan_gp --conditional
"""

from kerasdl import GAN, Config, Generation, Recipe, Tfds

RECIPE = Recipe(
    model=Config(
        GAN,
        latent_size=64,
        objective="wgan_gp",
        filters=None,
        kernel_size=4,
        discriminator_steps=5,
        projection="map",
    ),
    data=Tfds(name="mnist"),
    task=Generation(judge_by="fid"),
    epochs=20,
    min_steps=600,
    batch_size=320,
    optimizer="adam",
    beta_1=0.0,
    beta_2=0.9,
    learning_rate=1e-3,
    schedule="cosine",
    ema_momentum=0.99,
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
