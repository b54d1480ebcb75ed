"""The conformance table: one line per network, with tiny arguments that are not the defaults.

Every network class of `kerasdl.models` has a case; `test_models.py`, `test_distribute.py` and
`test_export.py` run every property over every case.
"""

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest

from kerasdl.layers import BatchNormalization, Dropout
from kerasdl.models.alexnet import AlexNet
from kerasdl.models.convnet import ConvNet
from kerasdl.models.googlenet import GoogLeNet
from kerasdl.models.lenet5 import LeNet5
from kerasdl.models.mlp import MLP
from kerasdl.models.resnet import ResNet
from kerasdl.models.vgg import VGG
from kerasdl.network.network import Network
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Config
from kerasdl.tasks.classification.task import Classification

NUM_CLASSES = 3


@dataclasses.dataclass(frozen=True)
class Case:
    """A network to test: its configuration, the raw input, and what is known of it.

    Args:
        model: the network with its arguments.
        input_shape: of one raw image.
        parameters: all weights, the moving statistics of batch normalisation too (`count_params`).
        default_input_shape: of one image, for a network with the default arguments.
        default_parameters: its trainable weights: the number that papers and docstrings give.
        idle: regular expression of the paths of weights that move nothing.
        learning_rate: with which Adam learns one batch by heart.
        task: what it is trained for.
    """

    model: Config
    input_shape: tuple[int, ...]
    parameters: int
    default_input_shape: tuple[int, ...] = ()
    default_parameters: int | None = None
    idle: str = "$^"
    learning_rate: float = 1e-2
    task: Any = dataclasses.field(default_factory=Classification)

    def __str__(self) -> str:
        return self.model.target.__name__

    def build(self, **more: Any) -> keras.Model:
        """Make the network over raw images, with its weights."""
        network = self.model.build(num_classes=NUM_CLASSES, preprocessing=ImagePreprocessing(), **more)
        network(keras.KerasTensor((None, *self.input_shape), dtype="uint8"))
        return network

    def logits(self, network, images, training=False):
        """Call a network that answers with logits or with a dict of them."""
        outputs = network(images, training=training)
        return outputs["logits"] if isinstance(outputs, dict) else outputs

    def examples(self, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Draw raw images, uint8, and labels, int32; each class is brighter than the one before."""
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, NUM_CLASSES, count).astype(np.int32)
        images = rng.integers(0, 120, (count, *self.input_shape)) + 60 * labels.reshape(-1, 1, 1, 1)
        return images.astype(np.uint8), labels


@keras.saving.register_keras_serializable("kerasdl_tests")
class Normalized(Network):
    """The smallest network with what replicas get wrong: batch normalisation and dropout."""

    def __init__(self, *, num_classes: int = 3, dropout: float = 0.0, as_dict: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.as_dict = as_dict
        self.num_classes = num_classes
        self.dropout = dropout
        self.convolution = keras.layers.Conv2D(4, 3)
        self.normalization = BatchNormalization(momentum=0.9)
        self.drop = Dropout(dropout)
        self.flatten = keras.layers.Flatten()
        self.head = keras.layers.Dense(num_classes, dtype="float32", name="head")

    def forward(self, x, training=False):
        x = keras.ops.relu(self.normalization(self.convolution(x), training=training))
        logits = self.head(self.drop(self.flatten(x), training=training))
        return {"logits": logits, "maps": x} if self.as_dict else logits

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "dropout": self.dropout,
            "as_dict": self.as_dict,
        }


CASES = (
    Case(
        Config(LeNet5, activation="relu", pooling="max", dropout=0.2),
        input_shape=(28, 28, 1),
        parameters=61_111,
        default_input_shape=(28, 28, 1),
        default_parameters=61_706,
    ),
    Case(
        Config(MLP, hidden_units=(7, 5), activation="tanh", dropout=0.2),
        input_shape=(6, 5, 1),
        parameters=275,
        default_input_shape=(28, 28, 1),
        default_parameters=407_050,
    ),
    Case(
        Config(
            ConvNet,
            filters=(4, 6),
            convolutions=2,
            kernel_size=2,
            activation="maxout",
            batch_normalization=False,
            normalization_momentum=0.9,
            pooling="average",
            early_pooling=True,
            padding="valid",
            dropout=0.2,
        ),
        input_shape=(16, 16, 3),
        parameters=765,
        default_input_shape=(32, 32, 3),
        default_parameters=94_762,
    ),
    Case(
        Config(AlexNet, width=4, stem="cifar", head_units=(20, 10), response_normalization=True, dropout=0.2),
        input_shape=(16, 16, 3),
        parameters=10_507,
        default_input_shape=(224, 224, 3),
        default_parameters=61_100_840,
    ),
    Case(
        Config(VGG, depth=11, width=4, batch_normalization=True, head_units=(16,), dropout=0.2),
        input_shape=(32, 32, 3),
        parameters=37_547,
        default_input_shape=(224, 224, 3),
        default_parameters=138_357_544,
        idle="convolution/bias$",  # before batch normalisation
    ),
    Case(
        Config(GoogLeNet, width=8, form="paper", stem="cifar", dropout=0.2),
        input_shape=(16, 16, 3),
        parameters=101_827,
        default_input_shape=(224, 224, 3),
        default_parameters=13_004_888,
        learning_rate=3e-3,
    ),
    Case(
        Config(ResNet, depth=20, width=4, stem="cifar", shortcut="A", version="v2", dropout=0.2),
        input_shape=(12, 12, 3),
        parameters=17_567,
        default_input_shape=(224, 224, 3),
        default_parameters=25_557_032,
    ),
)

#: Networks of the tests alone; they run the same properties.
EXTRA_CASES = tuple(
    Case(
        Config(Normalized, dropout=0.2, as_dict=as_dict),
        input_shape=(8, 8, 1),
        parameters=40 + 16 + 435,
        idle="convolution/bias$",  # before batch normalisation
    )
    for as_dict in (False, True)
)
ALL_CASES = CASES + EXTRA_CASES
#: The same for tests that train or export. GoogLeNet's graph takes many times as long there as the others'.
LONG_CASES = tuple(
    pytest.param(case, marks=pytest.mark.slow) if case.model.target is GoogLeNet else case
    for case in ALL_CASES
)
