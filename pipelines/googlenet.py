"""GoogLeNet with batch normalisation and a 3x3 stem, on CIFAR-10.

    kerasdl train googlenet

One epoch (`--epochs 1 --precision mixed_bfloat16`, interrupted and resumed; 2 cores of an EPYC, TensorFlow
2.21.0, Keras 3.15.1, seed 0): test accuracy 59.35 %, some 15 CPU-minutes. It has not been trained to the end.

The two auxiliary classifiers take part in training alone; no exported file has them.
"""

from kerasdl import Classification, Config, GoogLeNet, ImageAugmentation, ImagePreprocessing, Recipe, Tfds

RECIPE = Recipe(
    model=Config(GoogLeNet, stem="cifar"),
    data=Tfds(name="cifar10"),
    task=Classification(),
    preprocessing=Config(ImagePreprocessing, size=(32, 32), channels=3, **ImagePreprocessing.CIFAR10),
    augmentation=ImageAugmentation(crop=4, flip=True),
    epochs=30,
    min_steps=2000,
    min_steps_per_epoch=10,
    batch_size=128,
    optimizer="sgd",
    nesterov=True,
    learning_rate=0.1,
    weight_decay=5e-3,
    schedule="one_cycle",
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
