"""A deep convolutional GAN of MNIST's digits.

kerasdl train gan
kerasdl train gan --data digits
kerasdl train gan --conditional --objective hinge --label-smoothing 0
kerasdl generate runs/gan/1 --count 64 --out grid.png
"""

from kerasdl import GAN, Config, Generation, Recipe, Tfds

RECIPE = Recipe(
    model=Config(GAN, latent_size=64, filters=(32, 64), kernel_size=4, label_smoothing=0.1),
    data=Tfds(name="mnist"),
    task=Generation(judge_by="fid"),
    epochs=10,
    min_steps=2000,
    batch_size=64,
    optimizer="adam",
    beta_1=0.5,
    learning_rate=1e-3,
    schedule="cosine",
    ema_momentum=0.998,
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
