"""A convolutional VAE of MNIST's digits that is told the class: it makes the digit that is asked for.

    kerasdl train cvae
    kerasdl train cvae --data digits
    kerasdl generate runs/cvae/1 --class 7 --out sevens.png

Measured on MNIST, seed 0, on 2 cores of an AMD EPYC beside other work, TensorFlow 2.21.0, Keras 3.15.1: 16
CPU-minutes without the export, those of the judge included; FID 4.29 (10,000 samples against the test images,
in the features of the LeNet-5 that is trained as the judge; 10,000 training images in place of the samples:
0.30); 97.3 % of the samples are of the class that was asked for. Negative log likelihood 88.13 +- 0.81 nats
of the first 1,000 test images, 500 draws each, the class known, grey pixels drawn black or white; ELBO
-94.34; 13 of 20 latents active. Seed 1: FID 4.38, 96.9 %, 88.10 +- 0.81 nats; seed 2: 4.53, 97.1 %, 88.49.

With `--beta 1` the likelihood is better and the samples are worse: 85.88 +- 0.75 nats, ELBO -90.40, 18 of 20
latents active; FID 7.80 by another judge, 88.9 % of the class that was asked for. On `digits` beta 2 gives
100.0 % of the class and FID 39.1, beta 1 99.3 % and 16.9.
"""

from kerasdl import VAE, Config, Generation, Recipe, Tfds

RECIPE = Recipe(
    model=Config(
        VAE, latent_size=20, filters=(32, 64), units=(256,), activation="relu", beta=2.0, conditional=True
    ),
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
