"""The conformance table: one line per network, with tiny arguments that are not the defaults.

Every network class of `kerasdl.models` has a case; `test_models.py`, `test_distribute.py` and
`export/test_networks.py` run every property over every case; what takes long, in the slow suite.
"""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.data.images.digits import Digits
from kerasdl.export.modes import MODES
from kerasdl.layers import BatchNormalization, Dropout, noise
from kerasdl.layers.config import config_of
from kerasdl.models.alexnet import AlexNet
from kerasdl.models.char_lm import CharLM
from kerasdl.models.convnet import ConvNet
from kerasdl.models.dlinear import DLinear
from kerasdl.models.flow_matching import FlowMatching
from kerasdl.models.forecaster import Forecaster
from kerasdl.models.gan import GAN
from kerasdl.models.googlenet import GoogLeNet
from kerasdl.models.lenet5 import LeNet5
from kerasdl.models.mlp import MLP
from kerasdl.models.nlinear import NLinear
from kerasdl.models.recurrent import RecurrentNetwork
from kerasdl.models.resnet import ResNet
from kerasdl.models.tagger import Tagger
from kerasdl.models.vae import VAE, Autoencoder
from kerasdl.models.vgg import VGG
from kerasdl.network.network import Network, main_output
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.preprocessing.preprocessing import Preprocessing
from kerasdl.preprocessing.sentence import TokenPreprocessing
from kerasdl.preprocessing.sequence import SequencePreprocessing
from kerasdl.preprocessing.series import SeriesPreprocessing
from kerasdl.recipe import Config, Recipe
from kerasdl.tasks.classification.task import Classification
from kerasdl.tasks.forecast.task import Forecast
from kerasdl.tasks.generation.task import Generation
from kerasdl.tasks.language.task import LanguageModel
from kerasdl.tasks.tagging.decoding import tags_of
from kerasdl.tasks.tagging.task import Tagging
from kerasdl.tasks.task import Task
from kerasdl.training.build import compile_network

NUM_CLASSES = 3
# Of networks whose states, or columns of other scales, 256 steps are too few for.
_FLOAT_MODES = ("float32", "float16", "dynamic")


@dataclasses.dataclass(frozen=True)
class Case:
    """A network to test: its configuration, the raw input, and what is known of it.

    Args:
        model: the network with its arguments.
        input_shape: shape of one raw image.
        parameters: number of all weights, the moving statistics of batch normalisation too (`count_params`).
        default_input_shape: shape of one image, for a network with the default arguments.
        default_parameters: number of its trainable weights, as in papers and docstrings.
        idle: regular expression of the paths of weights that move nothing.
        learning_rate: with which Adam learns one batch by heart.
        task: the task that it is trained for.
        heads: names of the layers that stay float32 in mixed precision.
        modes: TFLite modes that are true to the network.
        is_noisy: whether training draws noise.
    """

    model: Config
    input_shape: tuple[int, ...]
    parameters: int
    default_input_shape: tuple[int, ...] = ()
    default_parameters: int | None = None
    idle: str = "$^"
    learning_rate: float = 1e-2
    task: Task = dataclasses.field(default_factory=Classification)
    heads: frozenset[str] = frozenset({"head"})
    modes: tuple[str, ...] = MODES
    is_noisy: bool = True

    def __str__(self) -> str:
        return self.model.target.__name__

    @property
    def spec(self) -> DataSpec:
        """What is in the examples."""
        return DataSpec(
            inputs=Spec(self.input_shape, "uint8"), targets=Spec((), "int32", ("ant", "bee", "cat"))
        )

    def preprocessing(self) -> keras.Layer:
        """Make the layer from raw examples to the inputs of the network."""
        return ImagePreprocessing()

    def build(self, **more: Any) -> Network:
        """Make the network over raw examples, with its weights."""
        arguments = self.task.network_arguments(self.spec)
        network = self.model.build(**{**arguments, "preprocessing": self.preprocessing(), **more})
        network.create_weights(
            keras.tree.map_structure(
                lambda spec: keras.KerasTensor((None, *spec.shape), spec.dtype), self.spec.inputs
            )
        )
        return network

    def compile(self, network: Network, *, steps: int = 100, seed: int = 0, **fields: Any) -> Network:
        """Compile a network as a run does, with these fields of the recipe."""
        recipe = Recipe(model=self.model, data=Digits(), task=self.task, **fields)
        compile_network(network, recipe, self.spec, steps, seed=seed)
        return network

    def logits(self, network, features, training=False):
        """Return the main output of a call."""
        return main_output(network, network(features, training=training))

    def examples(self, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Draw raw images, uint8, and labels, int32; each class is brighter than the one before."""
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, NUM_CLASSES, count).astype(np.int32)
        images = rng.integers(0, 120, (count, *self.input_shape)) + 60 * labels.reshape(-1, 1, 1, 1)
        return images.astype(np.uint8), labels

    def batch(self, count: int) -> tuple:
        """Return what a network is trained on: features, targets, and sample weights where it has any."""
        return self.examples(count)

    def labels(self, targets) -> np.ndarray:
        """Return the classes among the targets."""
        return targets

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the main output of an example."""
        return (NUM_CLASSES,)

    def assert_learned(self, network, features, targets) -> None:
        """Fail unless a network knows the examples that it was trained on."""
        np.testing.assert_array_equal(np.argmax(self.logits(network, features), -1), self.labels(targets))

    def resources(self, network) -> tuple:
        """Return the parts of a network with tables, which a SavedModel has to be told of."""
        return ()

    def shipped(self, network, features) -> tuple[str, np.ndarray]:
        """Return the name and the values of the main output of an export."""
        return "probabilities", keras.ops.softmax(self.logits(network, features)).numpy()


class RowsCase(Case):
    """A network that reads an image row by row."""

    def preprocessing(self):
        return SequencePreprocessing()


class LanguageCase(Case):
    """A language model over three characters, one of which follows each other one for sure."""

    @property
    def output_shape(self):
        return (*self.input_shape, NUM_CLASSES)

    @property
    def spec(self):
        ids = Spec((None,), "int32", class_names=("<unknown>", "a", "b"))
        return DataSpec(ids, Spec((None,), "int32"))

    def preprocessing(self):
        return None

    def examples(self, count, seed=0):
        ids = np.random.default_rng(seed).integers(0, NUM_CLASSES, (count, *self.input_shape))
        return ids.astype(np.int32), ((ids + 1) % NUM_CLASSES).astype(np.int32)

    def shipped(self, network, features):
        return "logits", self.logits(network, features).numpy()


class TaggerCase(Case):
    """A tagger of words, of which each one has a tag of its own, in sentences of two lengths."""

    @property
    def output_shape(self):
        return (*self.input_shape, *[NUM_CLASSES] * (1 + self.model.values.get("crf", False)))

    @property
    def spec(self):
        return DataSpec(Spec((None,), "string"), Spec((None,), "int32", ("O", "B-X", "I-X")))

    def preprocessing(self):
        layer = TokenPreprocessing(phone_length=6)
        layer.fit(lambda: [self.examples(16)[0]])
        return layer

    def examples(self, count, seed=0):
        tags = np.random.default_rng(seed).integers(1, NUM_CLASSES + 1, (count, *self.input_shape))
        tags[1::3, -2:] = 0
        words = np.array([b"", b"the", b"Anna", b"Berg"], object)
        return words[tags], tags.astype(np.int32)

    def assert_learned(self, network, features, targets):
        given, _ = tags_of(self.logits(network, features), tf.constant(targets > 0))
        np.testing.assert_array_equal(given, targets)

    def resources(self, network):
        return tuple(network.preprocessing.resources())

    def shipped(self, network, features):
        _, probabilities = tags_of(self.logits(network, features), tf.constant(features != b""))
        return "probabilities", probabilities.numpy()


class TreeCase(Case):
    """A network with two inputs and two outputs, each with sample weights of its own."""

    @property
    def spec(self):
        inputs = {"image": Spec(self.input_shape, "uint8"), "vector": Spec((4,), "float32")}
        return DataSpec(
            inputs, {"kind": Spec((), "int32", ("ant", "bee", "cat")), "size": Spec((1,), "float32")}
        )

    def preprocessing(self):
        return OfImage()

    def examples(self, count, seed=0):
        rng = np.random.default_rng(seed)
        images, labels = super().examples(count, seed)
        vectors = rng.normal(size=(count, 4)).astype(np.float32)
        return {"image": images, "vector": vectors}, {"kind": labels, "size": vectors.sum(1, keepdims=True)}

    def batch(self, count):
        rng = np.random.default_rng(1)
        weights = {name: rng.uniform(0.5, 1.5, count).astype(np.float32) for name in ("kind", "size")}
        return *self.examples(count), weights

    def labels(self, targets):
        return targets["kind"]

    def shipped(self, network, features):
        return "kind", self.logits(network, features).numpy()


class GenerativeCase(Case):
    """A network that makes images, and gives one for each image."""

    def preprocessing(self):
        return None

    @property
    def output_shape(self):
        return self.input_shape

    def assert_learned(self, network, features, targets):
        call = next(iter(network.calls().values()))
        given = {"images": features, "labels": targets}
        made = next(iter(call.function(*(given[name] for name in call.inputs)).values()))
        assert np.square(made - features / np.float32(255)).mean() < 0.5 * np.var(features / 255)

    def shipped(self, network, features):
        first = self.task.endpoints(network, self.spec, {})[0]
        given = first.inputs_of(features, 0)
        answers = first.function(*(given[name] for name in first.inputs))
        return next((name, value.numpy()) for name, value in answers.items())


class FlowCase(GenerativeCase):
    """A network that follows a velocity from noise to images."""

    def assert_learned(self, network, features, targets):
        with noise.scope(0, 1, 0):
            loss, _ = network.validation_loss(features, targets, None)
        assert float(loss) < 0.6  # of 1.3 for no motion at all


class AdversarialCase(GenerativeCase):
    """A network that scores images, and makes others of noise."""

    @property
    def output_shape(self):
        return ()

    def assert_learned(self, network, features, targets):
        latents = np.random.default_rng(0).normal(size=(64, *network.noise_shape)).astype(np.float32)
        images = np.asarray(network.generate(latents, targets[:1].repeat(64)))
        assert images.std(axis=0).mean() > 0.02  # it does not make one image of all noise


class SeriesCase(Case):
    """A network that forecasts the next rows of two columns from windows of raw values."""

    @property
    def spec(self):
        columns = {"mean": (50.0, -2.0), "std": (4.0, 0.5), "columns": ("a", "b"), "step": "1 hour"}
        return DataSpec(
            Spec(self.input_shape, "float32", **columns), Spec(self.output_shape, "float32", **columns)
        )

    def preprocessing(self):
        layer = SeriesPreprocessing()
        layer.check(self.spec.inputs)
        return layer

    @property
    def output_shape(self):
        return self.model.values["horizon"], self.input_shape[1]

    def build(self, **more):
        network = self.model.build(num_targets=2, preprocessing=self.preprocessing(), **more)
        network.create_weights(keras.KerasTensor((None, *self.input_shape), "float32"))
        return network

    def examples(self, count, seed=0):
        rng = np.random.default_rng(seed)
        steps = np.arange(self.input_shape[0] + self.output_shape[0])[None, :, None]
        waves = np.sin(0.9 * steps + rng.uniform(0, 6, (count, 1, 2)))
        rows = (waves * [4.0, 0.5] + [50.0, -2.0]).astype(np.float32)
        return rows[:, : self.input_shape[0]], rows[:, self.input_shape[0] :]

    def assert_learned(self, network, features, targets):
        apart = self.logits(network, features) - (targets - [50.0, -2.0]) / [4.0, 0.5]
        assert np.square(apart).mean() < 0.1  # of 0.5 for the mean

    def shipped(self, network, features):
        return "values", self.logits(network, features).numpy() * [4.0, 0.5] + [50.0, -2.0]


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
        return {**super().get_config(), **config_of(self, "num_classes", "dropout", "as_dict")}


@keras.saving.register_keras_serializable("kerasdl_tests")
class TwoOptimizers(Network):
    """A network with a step of its own and an optimizer for each layer.

    Args:
        num_classes: number of classes.
        together: update both layers by one loss, as the training step of every network does.
        dropout: fraction of the hidden units left out in training.
        head_rate: learning rate of the head, as a multiple of the recipe's.
        **kwargs: arguments of `Network`.
    """

    optimizer_names = ("first", "second")
    kind_of_dropout = Dropout

    def __init__(self, *, num_classes=10, together=False, dropout=0.2, head_rate=1.0, **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.together = num_classes, together
        self.dropout, self.head_rate = dropout, head_rate
        self.flatten = keras.layers.Flatten()
        self.body = keras.layers.Dense(16, activation="relu")
        self.drop = self.kind_of_dropout(dropout)
        self.head = keras.layers.Dense(num_classes, dtype="float32", name="head")
        self.body_mean = keras.metrics.Mean(name="body_loss")

    def compile(self, *, first, second, **kwargs):
        super().compile(optimizer=first, **kwargs)
        self.first, self.second = first, second

    def recipe_for(self, name, recipe):
        factor = self.head_rate if name == "second" else 1.0
        return dataclasses.replace(recipe, learning_rate=recipe.learning_rate * factor)

    def variables_of(self, name):
        return (self.body if name == "first" else self.head).trainable_variables

    def forward(self, x, training=False):
        return self.head(self.drop(self.body(self.flatten(x)), training=training))

    def train_step(self, data):
        if self.together:
            return super().train_step(data)
        self.update(data, self.body_loss, "first", metric="body_loss")
        return self.update(data, self.training_loss, "second")

    def body_loss(self, x, y, sample_weight):
        return self.training_loss(x, y, sample_weight)[0], None

    def get_config(self):
        names = ("num_classes", "together", "dropout", "head_rate")
        return {**super().get_config(), **config_of(self, *names)}


@keras.saving.register_keras_serializable("kerasdl_tests")
class OfImage(Preprocessing):
    """Brings the image of two inputs to 0..1; the other input stays as it is."""

    def call(self, inputs):
        return {**inputs, "image": keras.ops.cast(inputs["image"], "float32") / 255}


@keras.saving.register_keras_serializable("kerasdl_tests")
class TwoHeads(Network):
    """A network with an image and a vector as inputs, a class and a number as outputs."""

    main_output = "kind"
    head_names = ("kind", "size")

    def __init__(self, *, num_classes=5, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.dropout = num_classes, dropout
        self.flatten = keras.layers.Flatten()
        self.see = keras.layers.Dense(16, activation="relu")
        self.drop = Dropout(dropout)
        self.kind = keras.layers.Dense(num_classes, dtype="float32", name="kind")
        self.size = keras.layers.Dense(1, dtype="float32", name="size")

    def forward(self, x, training=False):
        seen = self.drop(self.see(self.flatten(x["image"])), training=training)
        both = keras.ops.concatenate([seen, keras.ops.cast(x["vector"], seen.dtype)], -1)
        return {"kind": self.kind(both), "size": self.size(both)}

    def get_config(self):
        return {**super().get_config(), **config_of(self, "num_classes", "dropout")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class KindAndSize(Task):
    """A class and a number, the number with half the weight."""

    def network_arguments(self, data):
        return {"num_classes": len(data.targets["kind"].class_names)}

    def loss(self, data):
        kind = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return {"kind": kind, "size": "mean_squared_error"}

    def loss_weights(self):
        return {"size": 0.5}

    def metrics(self, data):
        return {"kind": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]}


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
    SeriesCase(
        Config(Forecaster, horizon=3, cell="gru", units=6, num_layers=2, dropout=0.2),
        input_shape=(8, 2),
        parameters=435,
        default_input_shape=(96, 1),
        default_parameters=5_144,
        learning_rate=3e-2,
        task=Forecast(),
        modes=_FLOAT_MODES,
    ),
    SeriesCase(
        Config(NLinear, horizon=3),
        input_shape=(8, 2),
        parameters=27,
        default_input_shape=(96, 1),
        default_parameters=2_328,
        learning_rate=3e-2,
        task=Forecast(),
        modes=_FLOAT_MODES,
        is_noisy=False,
    ),
    SeriesCase(
        Config(DLinear, horizon=3, kernel_size=5),
        input_shape=(8, 2),
        parameters=54,
        default_input_shape=(96, 1),
        default_parameters=4_656,
        learning_rate=3e-2,
        task=Forecast(),
        modes=_FLOAT_MODES,
        heads=frozenset({"head", "trend"}),
        is_noisy=False,
    ),
    RowsCase(
        Config(
            RecurrentNetwork,
            cell="simple_rnn",
            units=4,
            num_layers=2,
            bidirectional=True,
            residual=True,
            pooling="attention",
            dropout=0.2,
            recurrent_dropout=0.1,
        ),
        input_shape=(6, 5, 1),
        parameters=851,
        modes=_FLOAT_MODES,
        default_input_shape=(28, 28),
        default_parameters=25_098,
    ),
)

CASES += (
    LanguageCase(
        Config(CharLM, embedding_dim=5, cell="gru", units=7, num_layers=3, dropout=0.2, tied=True),
        input_shape=(6,),
        parameters=3 * 5 + (5 + 7 + 2) * 21 + 2 * (7 + 7 + 2) * 21 + 8 * 5 + 3,
        default_input_shape=(8,),
        default_parameters=3_318_978,
        task=LanguageModel(),
        heads=frozenset(),
        modes=_FLOAT_MODES,
    ),
)

CASES += tuple(
    TaggerCase(
        Config(
            Tagger,
            cell="gru",
            units=4,
            num_layers=2,
            residual=True,
            embedding_size=5,
            suffix_size=3,
            shape_size=2,
            dropout=0.2,
            hide_words=0.1,
            **({"crf": True} if crf else {}),
        ),
        input_shape=(6,),
        parameters=5 * 5 + 5 * 3 + 4 * 2 + 2 * 3 * 4 * (10 + 4 + 2) + 2 * 3 * 4 * (8 + 4 + 2) + 27 + 15 * crf,
        default_input_shape=(20, 96),
        default_parameters=83_722,
        task=Tagging(),
        heads=frozenset({"emissions" if crf else "head"}),
        modes=_FLOAT_MODES,
    )
    for crf in (False, True)
)

CASES += (
    GenerativeCase(
        Config(
            VAE,
            latent_size=3,
            units=(7,),
            filters=(4, 5),
            activation="relu",
            likelihood="gaussian",
            num_samples=2,
            beta=0.5,
            conditional=True,
        ),
        input_shape=(6, 5, 1),
        parameters=40 + 185 + 24 * 7 + 8 * 6 + 7 * 7 + 8 * 20 + 184 + 37 + 1,
        learning_rate=3e-2,
        default_input_shape=(28, 28, 1),
        default_parameters=425_284,
        task=Generation(judge="none"),
        is_noisy=False,
    ),
    GenerativeCase(
        Config(Autoencoder, latent_size=3, units=(7,), corruption=0.2),
        input_shape=(6, 5, 1),
        parameters=31 * 7 + 8 * 3 + 4 * 7 + 8 * 30,
        default_input_shape=(28, 28, 1),
        default_parameters=415_234,
        task=Generation(judge="none"),
        is_noisy=False,
    ),
    FlowCase(
        Config(
            FlowMatching,
            widths=(8, 12),
            patch_size=1,
            attention=True,
            groups=4,
            dropout=0.1,
            times="logit_normal",
            guidance=2.0,
            num_steps=3,
            solver="euler",
            conditional=True,
        ),
        input_shape=(6, 5, 1),
        parameters=22_293,
        learning_rate=1e-2,
        default_input_shape=(28, 28, 1),
        default_parameters=256_644,
        task=Generation(),
        modes=_FLOAT_MODES,
    ),
)

CASES += (
    AdversarialCase(
        Config(
            GAN,
            latent_size=3,
            objective="wgan_gp",
            filters=(4, 5),
            kernel_size=3,
            batch_normalization=False,
            normalization_momentum=0.8,
            discriminator_normalization="spectral",
            gradient_penalty=2.0,
            discriminator_steps=2,
            discriminator_rate=0.5,
            differentiable_augmentation=("cutout", "translation"),
            conditional=True,
        ),
        input_shape=(6, 5, 1),
        parameters=361 + 276,
        default_input_shape=(28, 28, 1),
        default_parameters=821_186,
        task=Generation(judge="none"),
        heads=frozenset({"head", "of_class", "to_image"}),
        is_noisy=False,
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
TWO_OPTIMIZERS = Case(
    Config(TwoOptimizers, head_rate=0.5), input_shape=(5, 5, 1), parameters=26 * 16 + 17 * 3
)
TWO_HEADS = TreeCase(
    Config(TwoHeads, dropout=0.2),
    input_shape=(8, 8, 1),
    parameters=65 * 16 + 21 * 4,
    learning_rate=3e-2,
    task=KindAndSize(),
    heads=frozenset({"kind", "size"}),
)
EXTRA_CASES += (TWO_OPTIMIZERS, TWO_HEADS)
ALL_CASES = CASES + EXTRA_CASES
