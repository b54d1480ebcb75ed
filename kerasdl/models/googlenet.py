"""GoogLeNet, the network that looks at every place at several scales."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import keras
from keras import ops

from kerasdl.layers import ConvolutionBlock, Dropout, LocalResponseNormalization
from kerasdl.layers.config import config_of
from kerasdl.network.network import Network

#: Module -> filters of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5 and pool projection: the paper's table 1.
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_AFTER_POOLING = ("3a", "4a", "5a")
_WITH_AUXILIARY = ("4a", "4d")


@keras.saving.register_keras_serializable("kerasdl")
class Inception(keras.layers.Layer):
    """Four views of the same input side by side: 1x1, 3x3 and wider convolutions, and pooling.

    A 1x1 convolution before each wide one makes the channels few, so that all four together stay cheap.

    Args:
        filters: filters of 1x1, 3x3 reduce, 3x3, wide reduce, wide and pool projection.
        wide_size: kernel size of the wide convolution, 5 in the paper.
        batch_normalization: normalise after each convolution, which then has no bias.
        **kwargs: arguments of `keras.Layer`.

    Input: (batch_size, height, width, channels), float.
    Output: (batch_size, height, width, filters[0] + filters[2] + filters[4] + filters[5]), float.
    """

    def __init__(self, *, filters: tuple[int, ...], wide_size: int, batch_normalization: bool, **kwargs):
        super().__init__(**kwargs)
        self.filters = tuple(filters)
        self.wide_size = wide_size
        self.batch_normalization = batch_normalization
        sizes = {"one": 1, "three_reduce": 1, "three": 3, "wide_reduce": 1, "wide": wide_size, "project": 1}
        for (name, size), count in zip(sizes.items(), self.filters, strict=True):
            block = ConvolutionBlock(
                filters=count, kernel_size=size, batch_normalization=batch_normalization, name=name
            )
            setattr(self, name, block)
        self.pool = keras.layers.MaxPooling2D(3, 1, "same")

    def call(self, x, training=False):
        views = (
            self.one(x, training=training),
            self.three(self.three_reduce(x, training=training), training=training),
            self.wide(self.wide_reduce(x, training=training), training=training),
            self.project(self.pool(x), training=training),
        )
        return ops.concatenate(views, axis=-1)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "filters", "wide_size", "batch_normalization")}


@keras.saving.register_keras_serializable("kerasdl")
class AuxiliaryClassifier(keras.layers.Layer):
    """A classifier on the middle of the network, which brings gradients there.

    Args:
        num_classes: number of classes.
        filters: number of filters of the 1x1 convolution.
        units: number of units of the dense layer.
        batch_normalization: normalise after the convolution, which then has no bias.
        **kwargs: arguments of `keras.Layer`.

    Input: (batch_size, height, width, channels), float.
    Output: logits (batch_size, num_classes), float32.
    """

    def __init__(self, *, num_classes: int, filters: int, units: int, batch_normalization: bool, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.filters = filters
        self.units = units
        self.batch_normalization = batch_normalization
        self.convolution = ConvolutionBlock(
            filters=filters, kernel_size=1, batch_normalization=batch_normalization, name="convolution"
        )
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(units, "relu", kernel_initializer="he_normal", name="dense")
        self.drop = Dropout(0.7)
        self.head = keras.layers.Dense(num_classes, name="head", dtype="float32")

    def call(self, x, training=False):
        size = tuple(min(5, side) for side in x.shape[1:3])  # 5x5 in the paper, of 14x14
        x = ops.average_pool(x, size, 3)  # (B, 4, 4, C)
        x = self.flatten(self.convolution(x, training=training))  # (B, 2048)
        x = self.drop(self.dense(x), training=training)  # (B, 1024)
        return self.head(x)

    def get_config(self):
        names = ("num_classes", "filters", "units", "batch_normalization")
        return {**super().get_config(), **config_of(self, *names)}


@keras.saving.register_keras_serializable("kerasdl")
class GoogLeNet(Network):
    """GoogLeNet (Inception v1): nine modules, each of which looks at its input at several scales at once.

    What size of kernel a layer should have is left open: every module has all of them, and the weights say
    which is of use. Two auxiliary classifiers in the middle bring gradients to the layers far from the loss;
    they count 0.3 each in the loss of training, nothing in evaluation, and no export has them.

    Reference: Szegedy et al., "Going deeper with convolutions", 2014, https://arxiv.org/abs/1409.4842,
    table 1 and figure 3; batch normalisation: Ioffe and Szegedy, "Batch normalization", 2015.

    Differences from the paper: the default is the form that most use today, "modern": batch normalisation and
    no biases, 3x3 in place of 5x5 convolutions, no local response normalisation; form "paper" is the paper's.
    Both start from He's weights. The auxiliary classifiers pool over 5x5, or over all of a smaller map. The
    stem "cifar" begins with a 3x3 convolution with stride 1 and no pooling: it suits images of about 32x32,
    of which the paper's stem would leave 4x4 to the first module.

    Args:
        num_classes: number of classes, 1 or more. Defaults to 1000.
        width: filters of the first convolution; those of all other layers are in proportion to the paper's,
            and so are the dense layers of the auxiliary classifiers. Defaults to 64.
        form: "modern" or "paper". Defaults to "modern".
        stem: "imagenet" (7x7 with stride 2, and pooling) or "cifar" (3x3). Defaults to "imagenet".
        auxiliary: train with the auxiliary classifiers. Defaults to True.
        dropout: fraction of the features left out in training, 0 to 1; auxiliary classifiers leave out 0.7 of
            theirs. Defaults to 0.4.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.

    Input: (batch_size, height, width, channels), float32, standardised per channel.
    Output: logits (batch_size, num_classes), float32; with the auxiliary classifiers, in training and in
        evaluation, a dict of them: logits, auxiliary_1, auxiliary_2. `infer` returns the logits alone.

    Parameters: trainable, without the moving statistics of batch normalisation, at 224x224x3 with 1000
    classes: 13,004,888 of which 6,624,904 are in exports; form "paper": 13,378,280 and 6,998,552.

    Example:
        >>> network = GoogLeNet(num_classes=10, stem="cifar")
        >>> outputs = network(images)  # (B, 32, 32, 3)
        >>> outputs["logits"].shape
        (B, 10)
    """

    auxiliary_outputs: ClassVar[Mapping[str, float]] = {"auxiliary_1": 0.3, "auxiliary_2": 0.3}
    head_names: ClassVar[tuple[str, ...]] = ("head", "classifiers")

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        width: int = 64,
        form: Literal["modern", "paper"] = "modern",
        stem: Literal["imagenet", "cifar"] = "imagenet",
        auxiliary: bool = True,
        dropout: float = 0.4,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.width = width
        self.form = form
        self.stem = stem
        self.auxiliary = auxiliary
        self.dropout = dropout
        normalized = {"batch_normalization": form == "modern"}
        first = {"kernel_size": 7, "strides": 2} if stem == "imagenet" else {"kernel_size": 3}
        self.conv1 = ConvolutionBlock(filters=width, **first, **normalized, name="conv1")
        self.conv2_reduce = ConvolutionBlock(filters=width, kernel_size=1, **normalized, name="conv2_reduce")
        self.conv2 = ConvolutionBlock(filters=3 * width, kernel_size=3, **normalized, name="conv2")
        self.normalize = LocalResponseNormalization() if form == "paper" else keras.layers.Identity()
        self.pool = keras.layers.MaxPooling2D(3, 2, "same")
        self.inceptions = [
            Inception(
                filters=tuple(self._scaled(count) for count in filters),
                wide_size=5 if form == "paper" else 3,
                **normalized,
                name=f"inception_{name}",
            )
            for name, filters in INCEPTIONS.items()
        ]
        self.mean = keras.layers.GlobalAveragePooling2D()
        self.drop = Dropout(dropout)
        self.head = keras.layers.Dense(num_classes, name="head", dtype="float32")
        self.classifiers = [
            AuxiliaryClassifier(
                num_classes=num_classes,
                filters=self._scaled(128),
                units=self._scaled(1024),
                **normalized,
                name=name,
            )
            for name in (self.auxiliary_outputs if auxiliary else ())
        ]

    def forward(self, x, training=False):
        """Return logits; with auxiliary classifiers a dict of logits."""
        features, middle = self._features(x, training)
        logits = self.head(features)  # (B, num_classes)
        if not self.auxiliary:
            return logits
        outputs = {
            classifier.name: classifier(x, training=training)
            for classifier, x in zip(self.classifiers, middle, strict=True)
        }
        return {"logits": logits, **outputs}

    def forward_deployed(self, x):
        """Return logits without the auxiliary classifiers."""
        return self.head(self.forward_features(x))

    def forward_features(self, x, training=False):
        """Return the inputs of the head, (batch_size, 16 width), float."""
        return self._features(x, training)[0]

    def _features(self, x, training):
        """Return the features, and the inputs of the auxiliary classifiers."""
        x = self.conv1(x, training=training)  # (B, 112, 112, 64), and so below
        if self.stem == "imagenet":
            x = self.pool(x)  # (B, 56, 56, 64)
        x = self.conv2_reduce(self.normalize(x), training=training)
        x = self.normalize(self.conv2(x, training=training))  # (B, 56, 56, 192)
        middle = []
        for name, inception in zip(INCEPTIONS, self.inceptions, strict=True):
            if name in _AFTER_POOLING:
                x = self.pool(x)  # (B, 28, 28, 192), (B, 14, 14, 480), (B, 7, 7, 832)
            x = inception(x, training=training)
            if name in _WITH_AUXILIARY:
                middle.append(x)  # (B, 14, 14, 512), (B, 14, 14, 528)
        return self.drop(self.mean(x), training=training), middle  # (B, 1024)

    def _scaled(self, count: int) -> int:
        """Return a number of filters or units in proportion to `width`."""
        return max(1, count * self.width // 64)

    def get_config(self):
        names = ("num_classes", "width", "form", "stem", "auxiliary", "dropout")
        return {**super().get_config(), **config_of(self, *names)}
