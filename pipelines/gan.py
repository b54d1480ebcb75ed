"""A deep convolutional GAN of MNIST's digits.

    kerasdl train gan
    kerasdl train gan --data digits
    kerasdl train gan --conditional --objective hinge --label-smoothing 0
    kerasdl generate runs/gan/1 --count 64 --out grid.png

Measured on MNIST, seed 0, on 2 cores of an AMD EPYC beside other work, TensorFlow 2.21.0, Keras 3.15.1: 8
CPU-minutes with the export; FID 22.2 (10,000 samples against 10,000 test images, in the features of the
LeNet-5 that is trained as the judge; 10,000 training images in place of the samples: 0.29); classes 4.1 to
15.0 %. Its digits are sharp, and many of them malformed: `vae` has 24.4 after 22 CPU-minutes, `flow` about
2.
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
