"""LeNet-5 on MNIST.

kerasdl train lenet5
"""

from kerasdl.data.augment import RandomShift
from kerasdl.data.tfds import Tfds
from kerasdl.models.lenet5 import LeNet5
from kerasdl.preprocessing import ImagePreprocessing
from kerasdl.recipe import Config, Recipe
from kerasdl.tasks.classification import Classification

RECIPE = Recipe(
    model=Config(LeNet5, activation="relu", pooling="max", dropout=0.1),
    data=Tfds(name="mnist"),
    task=Classification(),
    preprocessing=Config(ImagePreprocessing, size=(28, 28), channels=1),
    augmentation=RandomShift(fraction=0.08),
    epochs=15,
    batch_size=128,
    optimizer="adamw",
    learning_rate=2e-3,
    weight_decay=0.01,
    schedule="cosine",
    warmup_epochs=0.5,
)

if __name__ == "__main__":
    from kerasdl.cli import train_file

    train_file(__file__)
