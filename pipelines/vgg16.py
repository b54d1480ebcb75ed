"""VGG-16 with batch normalisation and one dense layer of 512 units, on CIFAR-10.

    kerasdl train vgg16 --precision mixed_bfloat16

With `--epochs 7`, on 2 cores of an AMD EPYC with AVX512-BF16, TensorFlow 2.21.0, Keras 3.15.1, seed 0: test
accuracy 86.46 % after 62 CPU-minutes, evaluation and export included. All 30 epochs have not been trained.

The dense layers of 4096 units are for 7x7 places; of a 32x32 image one place is left.
"""

from kerasdl import VGG, Classification, Config, ImageAugmentation, ImagePreprocessing, Recipe, Tfds

RECIPE = Recipe(
    model=Config(VGG, batch_normalization=True, head_units=(512,)),
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
    learning_rate=0.05,
    weight_decay=5e-3,
    schedule="one_cycle",
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
