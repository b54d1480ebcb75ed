"""ResNet-18 on CIFAR-10, with a stem for its small images.

    kerasdl train resnet18

One epoch (`--epochs 1 --precision mixed_bfloat16`, interrupted and resumed; 2 cores of an EPYC, TensorFlow
2.21.0, Keras 3.15.1, seed 0): test accuracy 58.88 %, some 17 CPU-minutes. It has not been trained to the end.
"""

from kerasdl import Classification, Config, ImageAugmentation, ImagePreprocessing, Recipe, ResNet, Tfds

RECIPE = Recipe(
    model=Config(ResNet, depth=18, stem="cifar"),
    data=Tfds(name="cifar10"),
    task=Classification(),
    preprocessing=Config(ImagePreprocessing, size=(32, 32), channels=3, **ImagePreprocessing.CIFAR10),
    augmentation=ImageAugmentation(crop=4, flip=True),
    epochs=30,
    batch_size=128,
    optimizer="sgd",
    nesterov=True,
    learning_rate=0.2,
    weight_decay=5e-3,
    schedule="one_cycle",
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
