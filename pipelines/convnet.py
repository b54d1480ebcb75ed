"""A network of three stages with two 3x3 convolutions each, on CIFAR-10: 89.06 %.

    kerasdl train convnet --precision mixed_bfloat16

Measured on 2 cores of an AMD EPYC with AVX512-BF16, TensorFlow 2.21.0, Keras 3.15.1, seed 0: test accuracy
89.06 % (the int8 file 88.91 %), 18.2 CPU-minutes of the whole command, six verified files included.

The plainest of the networks for small colour images: to learn on, and to try other data with.
"""

from kerasdl import Classification, Config, ConvNet, ImageAugmentation, ImagePreprocessing, Recipe, Tfds

RECIPE = Recipe(
    model=Config(ConvNet, convolutions=2, normalization_momentum=0.9, dropout=0.1),
    data=Tfds(name="cifar10"),
    task=Classification(),
    preprocessing=Config(ImagePreprocessing, size=(32, 32), channels=3, **ImagePreprocessing.CIFAR10),
    augmentation=ImageAugmentation(crop=4, flip=True),
    epochs=15,
    min_steps=2000,
    min_steps_per_epoch=10,
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
