"""AlexNet with a 5x5 stem and dense layers of 1024 units, on CIFAR-10.

    kerasdl train alexnet

One epoch, interrupted and resumed (2 cores of an AMD EPYC, TensorFlow 2.21.0, Keras 3.15.1, seed 0): test
accuracy 41.79 %. It has not been trained to the end.

The paper's stem would leave nothing of a 32x32 image, and its dense layers are for 224x224.
"""

from kerasdl import AlexNet, Classification, Config, ImageAugmentation, ImagePreprocessing, Recipe, Tfds

RECIPE = Recipe(
    model=Config(AlexNet, stem="cifar", head_units=(1024, 1024)),
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
    learning_rate=0.02,
    weight_decay=5e-3,
    schedule="one_cycle",
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
