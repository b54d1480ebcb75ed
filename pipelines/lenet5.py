"""LeNet-5 on MNIST.

kerasdl train lenet5
"""

from kerasdl.data.augment import RandomAffine
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
    augmentation=RandomAffine(shift=0.08, rotation=10.0, zoom=0.1),
    epochs=15,
    min_steps=2000,
    batch_size=64,
    optimizer="adamw",
    learning_rate=2e-3,
    weight_decay=0.01,
    schedule="cosine",
    warmup_epochs=0.5,
)

if __name__ == "__main__":
    from kerasdl.cli import train_file

    train_file(__file__)
