"""Generative adversarial networks: one network makes images, another tells them from real ones."""

import dataclasses
from typing import Literal

import keras
import tensorflow as tf

from kerasdl.errors import UsageError, did_you_mean
from kerasdl.layers import noise
from kerasdl.layers.config import config_of
from kerasdl.layers.dcgan import Discriminator, Generator, halving_filters
from kerasdl.layers.differentiable_augmentation import KINDS, augment
from kerasdl.layers.spectral import SpectralConv2D, SpectralDense
from kerasdl.network.adversarial import OBJECTIVES, gradient_penalty, spread
from kerasdl.network.generative import GenerativeNetwork
from kerasdl.private.keras import all_parts_of


@keras.saving.register_keras_serializable("kerasdl")
class GAN(GenerativeNetwork):
    """A deep convolutional GAN with a choice of objectives.

    A generator makes images of noise. A discriminator scores images, and learns to score real ones above
    generated ones; the generator learns to make images that it scores high. Both learn in turns, each with an
    optimizer of its own.

    References: Goodfellow et al., "Generative adversarial networks", 2014, https://arxiv.org/abs/1406.2661;
    Radford et al., "Unsupervised representation learning with deep convolutional generative adversarial
    networks", 2015, https://arxiv.org/abs/1511.06434 (the layers); those of the objectives stand in
    `kerasdl/network/adversarial.py`.

    Differences from the papers: as many layers as `filters` has numbers, where DCGAN has four for 64x64, as
    None has; Keras's initial weights; spectral normalisation takes one step of power iteration an update.

    Args:
        conditional: tell both players the class of an image. Defaults to False.
        latent_size: length of the noise of an image. Defaults to 64.
        objective: "non_saturating", "least_squares", "wgan_gp" or "hinge". Defaults to "non_saturating".
        filters: channels of the discriminator's convolutions; the generator has them in reverse order. None:
            as many as halve images down to 4 pixels, `width` in the first, twice as many in each further one,
            at most 512. Defaults to (64, 128).
        width: channels of the first convolution where `filters` is None. Defaults to 32.
        kernel_size: side of all kernels in pixels. Defaults to 5.
        batch_normalization: normalise the layers of the generator. Defaults to True.
        normalization_momentum: momentum of the moving statistics, 0 to less than 1. Defaults to 0.9.
        discriminator_normalization: "batch", "layer", "spectral" or "none". Defaults to None: spectral for
            hinge, layer for wgan_gp, else batch.
        projection: what the discriminator of a conditional GAN compares with a vector of the class: the
            "mean" of its features over all places, or the "map" of them, which tells apart what is made of
            the same strokes. Defaults to "mean".
        label_smoothing: how far the target of real images lies below 1, 0 to less than 1; for non_saturating
            and least_squares. Defaults to 0.0.
        gradient_penalty: weight of the penalty on slopes of the discriminator that are not 1. Defaults to
            None: 10 for wgan_gp, else 0.
        discriminator_steps: updates of the discriminator before each one of the generator; each has its own
            part of the batch, which has to divide by their number. Defaults to 1.
        discriminator_rate: learning rate of the discriminator as a multiple of the recipe's. Defaults to 1.0.
        discriminator_optimizer: optimizer of the discriminator. Defaults to None: the recipe's.
        discriminator_beta_1: beta_1 of that optimizer. Defaults to None: the recipe's.
        discriminator_beta_2: beta_2 of that optimizer. Defaults to None: the recipe's.
        discriminator_weight_decay: weight decay of the discriminator. Defaults to None: the recipe's.
        differentiable_augmentation: changes to all images that the discriminator sees, for small data:
            brightness, saturation, contrast, translation, cutout. Defaults to none.
        **kwargs: arguments of `GenerativeNetwork`: image_shape, num_classes, preprocessing.

    Input: raw images (batch_size, H, W, C), uint8.
    Output: scores (batch_size,), float32, without the part that depends on a class.

    Parameters: 821,186 with the default arguments, of them 608,193 of the generator.

    Example:
        >>> network = GAN(image_shape=(28, 28, 1), objective="hinge")
        >>> images = network.generate(noise)  # (B, 64), standard normal
        >>> images.shape
        (B, 28, 28, 1)
    """

    optimizer_names = ("generator", "discriminator")
    has_loss = False
    head_names = ()

    def __init__(
        self,
        *,
        conditional: bool = False,
        latent_size: int = 64,
        objective: Literal["non_saturating", "least_squares", "wgan_gp", "hinge"] = "non_saturating",
        filters: tuple[int, ...] | None = (64, 128),
        width: int = 32,
        kernel_size: int = 5,
        batch_normalization: bool = True,
        normalization_momentum: float = 0.9,
        discriminator_normalization: Literal["batch", "layer", "spectral", "none"] | None = None,
        projection: Literal["mean", "map"] = "mean",
        label_smoothing: float = 0.0,
        gradient_penalty: float | None = None,
        discriminator_steps: int = 1,
        discriminator_rate: float = 1.0,
        discriminator_optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] | None = None,
        discriminator_beta_1: float | None = None,
        discriminator_beta_2: float | None = None,
        discriminator_weight_decay: float | None = None,
        differentiable_augmentation: tuple[str, ...] = (),
        **kwargs,
    ):
        super().__init__(conditional=conditional, **kwargs)
        self.latent_size = latent_size
        self.objective = objective
        self.filters = halving_filters(self.image_shape, width) if filters is None else tuple(filters)
        self.width = width
        self.kernel_size = kernel_size
        self.batch_normalization = batch_normalization
        self.normalization_momentum = normalization_momentum
        self.discriminator_normalization = discriminator_normalization
        self.projection = projection
        self.label_smoothing = label_smoothing
        self.gradient_penalty = gradient_penalty
        self.discriminator_steps = discriminator_steps
        self.discriminator_rate = discriminator_rate
        self.discriminator_optimizer = discriminator_optimizer
        self.discriminator_beta_1 = discriminator_beta_1
        self.discriminator_beta_2 = discriminator_beta_2
        self.discriminator_weight_decay = discriminator_weight_decay
        self.differentiable_augmentation = tuple(differentiable_augmentation)
        rules = self._rules = OBJECTIVES[objective]
        self._penalty = rules.gradient_penalty if gradient_penalty is None else gradient_penalty
        normalization = discriminator_normalization or rules.normalization
        self._check(normalization)
        self.generator = Generator(
            image_shape=self.image_shape,
            filters=self.filters[::-1],
            kernel_size=kernel_size,
            momentum=normalization_momentum if batch_normalization else None,
        )
        self.discriminator = Discriminator(
            image_shape=self.image_shape,
            filters=self.filters,
            kernel_size=kernel_size,
            normalization=normalization,
            projection=projection if conditional else None,
        )
        self.figures = {name: keras.metrics.Mean(name=name) for name in _FIGURES}

    def _check(self, normalization: str) -> None:
        """Raise a UsageError for arguments that do not go together."""
        if unknown := [kind for kind in self.differentiable_augmentation if kind not in KINDS]:
            raise UsageError(
                f"differentiable_augmentation has no {unknown[0]!r}; it has {', '.join(KINDS)}."
                + did_you_mean(unknown[0], list(KINDS))
            )
        if self._penalty and normalization == "batch":
            raise UsageError(
                "A gradient penalty is about each image by itself, which batch normalisation mixes with the "
                "others. Give --discriminator-normalization layer, spectral or none with it."
            )
        if self.label_smoothing and not self._rules.has_target:
            raise UsageError(
                f"label_smoothing is for objectives with a target, not for {self.objective}. Give 0."
            )
        for name, least in {"latent_size": 1, "width": 1, "kernel_size": 1, "discriminator_steps": 1}.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}, but it has to be {least} or more.")
        for name in ("label_smoothing", "normalization_momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, but it has to be 0 or more and below 1.")
        if self.discriminator_rate <= 0:
            raise UsageError(f"discriminator_rate is {self.discriminator_rate}, but it has to be above 0.")
        if self._penalty < 0:
            raise UsageError(f"gradient_penalty is {self._penalty}, but it has to be 0 or more.")
        if normalization not in (known := ("batch", "layer", "spectral", "none")):
            raise UsageError(
                f"discriminator_normalization is {normalization!r}, but it has to be one of "
                f"{', '.join(known)}."
            )
        if self.projection not in (known := ("mean", "map")):
            raise UsageError(
                f"projection is {self.projection!r}, but it has to be one of {', '.join(known)}."
            )
        if not self.filters:
            raise UsageError("filters is empty, but a GAN needs one number or more: --filters 64,128.")

    def compile(self, *, generator: keras.Optimizer, discriminator: keras.Optimizer, **kwargs):
        """Configure training with the optimizers of both players; other arguments as of `Network`."""
        super().compile(optimizer=generator, **kwargs)
        self._players = {"generator": generator, "discriminator": discriminator}

    @property
    def optimizers(self):
        return self._players

    @property
    def metrics(self):
        return [*self.figures.values()]  # no loss of both: each player has its own

    def recipe_for(self, name, recipe):
        parts = self.discriminator_steps * recipe.gradient_accumulation_steps
        parts *= tf.distribute.get_strategy().num_replicas_in_sync
        if recipe.batch_size % parts:
            raise UsageError(
                f"The batch size {recipe.batch_size} does not divide into equal parts for "
                f"{self.discriminator_steps} discriminator steps and all replicas and micro-batches. Give a "
                f"--batch-size that is a multiple of {parts}."
            )
        if name == "generator":
            return recipe
        rate = recipe.learning_rate * self.discriminator_rate
        own = {
            "optimizer": self.discriminator_optimizer,
            "beta_1": self.discriminator_beta_1,
            "beta_2": self.discriminator_beta_2,
            "weight_decay": self.discriminator_weight_decay,
        }
        own = {name: value for name, value in own.items() if value is not None}
        # Of the generator alone an average is used.
        return dataclasses.replace(recipe, **own, learning_rate=rate, ema_momentum=None)

    @property
    def without_effect(self):
        # A critic's losses are differences of scores, whatever is added to all of them; so are those of hinge
        # while no score lies beyond 1 and -1, as at the beginning.
        return [self.discriminator.head.bias] if self.objective in ("wgan_gp", "hinge") else []

    def variables_of(self, name):
        return {"generator": self.generator, "discriminator": self.discriminator}[name].trainable_variables

    # Images and scores

    @property
    def noise_shape(self):
        return (self.latent_size,)

    def generate(self, noise, labels=None):
        return (self.generator(noise, self._classes(labels)) + 1) / 2

    def forward(self, x, training=False):
        """Return the scores of raw images, (B,)."""
        return self.discriminator(self._to_range(x), training=training)

    def build_on(self, inputs):
        classes = keras.KerasTensor((None, self.num_classes)) if self.conditional else None
        self.generator(keras.KerasTensor((None, self.latent_size)), classes)
        self.discriminator(keras.KerasTensor((None, *self.image_shape)), classes)

    def _to_range(self, images):
        """Return raw images as the discriminator sees them, float32 between -1 and 1."""
        return self.pixels(images) * 2 - 1

    def _classes(self, labels):
        return self.one_hot(labels) if self.conditional else None

    # Training

    def train_step(self, data):
        for part in self._parts(data):
            for layer in all_parts_of(self.discriminator):
                if isinstance(layer, (SpectralConv2D, SpectralDense)):
                    layer.norm.follow(layer.kernel)
            self.update(part, self.discriminator_loss, "discriminator", metric="discriminator_loss")
        return self.update(part, self.generator_loss, "generator", metric="generator_loss")

    def _parts(self, data) -> list:
        """Divide the global batch into as many parts as there are updates of the discriminator."""
        steps = self.discriminator_steps
        if steps == 1:
            return [data]
        # Every n-th example of the global batch, wherever the replica's part begins: the same on all numbers.
        place, _ = self.place_in_batch(data)
        return [
            tf.nest.map_structure(lambda tensor, first=(number - place) % steps: tensor[first::steps], data)
            for number in range(steps)
        ]

    def discriminator_loss(self, x, y, sample_weight, training=True):
        """Return the loss of the discriminator for real images and as many generated ones."""
        classes = self._classes(y)
        real, fake = self._to_range(x), tf.stop_gradient(self._imagine(y, training))
        self.figures["pixel_spread"].update_state(spread((fake + 1) / 2))

        def score(images):
            return self.discriminator(images, classes, training=training)

        real, fake = self._seen(real, training), self._seen(fake, training)
        real_scores, fake_scores = score(real), score(fake)
        boundary = self._rules.boundary(real_scores, fake_scores)
        for name, right in ("real", real_scores > boundary), ("fake", fake_scores < boundary):
            self.figures[f"{name}_accuracy"].update_state(tf.cast(right, tf.float32))
        value = self.mean_of(self._rules.real(real_scores, 1 - self.label_smoothing), sample_weight)
        value += self.mean_of(self._rules.fake(fake_scores))
        if self._penalty and training:
            share = noise.uniform((tf.shape(x)[0], 1, 1, 1))
            value += self._penalty * self.mean_of(gradient_penalty(score, real, fake, share))
        return value, None

    def generator_loss(self, x, y, sample_weight, training=True):
        """Return the loss of the generator, by scores of as many images as there are real ones."""
        images = self._seen(self._imagine(y, training), training)
        scores = self.discriminator(images, self._classes(y), training=training)
        return self.mean_of(self._rules.generator(scores)), None

    def _imagine(self, labels, training):
        """Return an image of these classes for each label, between -1 and 1, of keyed noise."""
        latents = noise.normal((tf.shape(labels)[0], self.latent_size))
        return self.generator(latents, self._classes(labels), training=training)

    def _seen(self, images, training):
        return augment(images, self.differentiable_augmentation) if training else images

    def training_loss(self, x, y, sample_weight):
        """Return the sum of both losses, which a training step takes apart."""
        return sum(self._values(x, y, sample_weight, training=True).values()), None

    def validation_loss(self, x, y, sample_weight):
        """Return the sum of both losses, and count each of them."""
        values = self._values(x, y, sample_weight, training=False)
        num_replicas = tf.distribute.get_strategy().num_replicas_in_sync
        for name, value in values.items():
            self.figures[name].update_state(value * num_replicas, sample_weight=tf.shape(x)[0])
        return sum(values.values()), None

    def _values(self, *batch, training):
        losses = {"discriminator_loss": self.discriminator_loss, "generator_loss": self.generator_loss}
        return {name: loss(*batch, training=training)[0] for name, loss in losses.items()}

    def get_config(self):
        names = (
            "latent_size", "objective", "filters", "width", "kernel_size", "batch_normalization",
            "normalization_momentum", "discriminator_normalization", "projection", "label_smoothing",
            "gradient_penalty", "discriminator_steps", "discriminator_rate", "discriminator_optimizer",
            "discriminator_beta_1", "discriminator_beta_2", "discriminator_weight_decay",
            "differentiable_augmentation",
        )  # fmt: skip
        return {**super().get_config(), **config_of(self, *names)}


#: Figures of training and validation: what each player loses; how many images the discriminator takes for
#: what they are; how different the generated images are.
_FIGURES = ("generator_loss", "discriminator_loss", "real_accuracy", "fake_accuracy", "pixel_spread")
