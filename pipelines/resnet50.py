"""ResNet-50 on images of 224x224: any set of tensorflow-datasets, or a folder with one sub-folder per class.

    kerasdl train resnet50 --data path/to/images/
    kerasdl train resnet50 --data path/to/images/ --version v1 --weights imagenet --freeze backbone

The second begins with published weights, which Keras fetches, and trains a new head alone. They are of v1.

At 224x224 it has not been trained to the end. On CIFAR-10 (`--data cifar10 --size 64,64 --crop 4 --epochs 3
--warmup-epochs 1 --learning-rate 0.05 --precision mixed_bfloat16`; 2 cores of an EPYC, TensorFlow 2.21.0,
Keras 3.15.1, seed 0): test accuracy 64.38 %, int8 64.45 %, 49 CPU-minutes, 105 samples/s.
"""

from kerasdl import Classification, Config, ImageAugmentation, ImagePreprocessing, Recipe, ResNet, Tfds

RECIPE = Recipe(
    model=Config(ResNet, depth=50),
    data=Tfds(name="imagenette", image_size=(224, 224)),
    task=Classification(label_smoothing=0.1),
    preprocessing=Config(ImagePreprocessing, size=(224, 224), channels=3, **ImagePreprocessing.IMAGENET),
    augmentation=ImageAugmentation(crop=28, flip=True),
    epochs=30,
    batch_size=64,
    optimizer="sgd",
    nesterov=True,
    learning_rate=0.1,
    weight_decay=5e-4,
    schedule="cosine",
    warmup_epochs=2,
)

if __name__ == "__main__":
    from kerasdl import train_file

    train_file(__file__)
