"""ResNet-20 on CIFAR-10: 91.77 %.

    kerasdl train resnet20 --precision mixed_bfloat16

Measured on 2 cores of an AMD EPYC with AVX512-BF16, TensorFlow 2.21.0, Keras 3.15.1, seed 0: test accuracy
91.77 %, trained on 48,000 images; 63 minutes beside other work, about 80 CPU-minutes. The int8 file has
91.86 %. The paper reports 91.25 % after 164 epochs. In float32 it has not been trained to the end.
"""

from kerasdl import Classification, Config, ImageAugmentation, ImagePreprocessing, Recipe, ResNet, Tfds

RECIPE = Recipe(
    model=Config(ResNet, depth=20, width=16, stem="cifar", shortcut="A"),
    data=Tfds(name="cifar10", validation_fraction=0.04),
    task=Classification(),
    preprocessing=Config(ImagePreprocessing, size=(32, 32), channels=3, **ImagePreprocessing.CIFAR10),
    augmentation=ImageAugmentation(crop=4, flip=True),
    epochs=48,
    batch_size=128,
    optimizer="sgd",
    nesterov=True,
    learning_rate=0.2,
    weight_decay=4e-3,
    schedule="one_cycle",
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
