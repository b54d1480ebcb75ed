"""Variational autoencoders: they describe images by a few numbers, and make images of such numbers."""

import math
from typing import Literal

import keras
import tensorflow as tf
from keras import ops

from kerasdl.errors import UsageError
from kerasdl.layers import noise
from kerasdl.layers.autoencoding import Decoder, Encoder
from kerasdl.layers.config import config_of
from kerasdl.network.generative import Call, GenerativeNetwork


@keras.saving.register_keras_serializable("kerasdl")
class VAE(GenerativeNetwork):
    """A variational autoencoder: a decoder makes images of noise, an encoder finds the noise of each.

    The encoder tells for each image how its latents are distributed (mean and variance), the decoder makes
    the image from a draw. The loss is the negative evidence lower bound (ELBO) in nats for each image: the
    distortion (how badly the image is told from its latents) and the rate (how much the latents tell, the
    Kullback-Leibler divergence from the standard normal distribution). With `objective="iwae"` it is the
    importance-weighted bound, which is tighter the more `num_samples` there are.

    References: Kingma, Welling, "Auto-encoding variational Bayes", 2013, https://arxiv.org/abs/1312.6114;
    Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", 2015, https://arxiv.org/abs/1509.00519
    (the default network, and images that are binarised anew in each step); Higgins et al., "beta-VAE", 2017,
    https://openreview.net/forum?id=Sy2fzU9gl; Sohn, Lee, Yan, "Learning structured output representation
    using deep conditional generative models", 2015 (conditional); Rybkin, Daniilidis, Levine, "Simple and
    effective VAE training with calibrated decoders", 2020, https://arxiv.org/abs/2006.13202 (gaussian).

    Args:
        latent_size: number of latents, Z. Defaults to 50.
        units: sizes of the encoder's dense layers; the decoder has them in the other order. Defaults to
            (200, 200).
        filters: channels of the encoder's convolutions, each of which halves the sides, before the dense
            layers; the decoder has them in the other order. Defaults to (), dense layers alone.
        activation: activation of the hidden layers. Defaults to "tanh".
        likelihood: "bernoulli", or "gaussian" with one learned standard deviation. Defaults to "bernoulli".
        binarize: draw black or white pixels from grey ones, anew in each step (bernoulli only). Defaults to
            True.
        objective: "elbo" or "iwae". Defaults to "elbo".
        num_samples: draws of latents for each image in training. Defaults to 1.
        beta: weight of the rate (elbo only): above 1 the latents tell less. Defaults to 1.0.
        warmup_steps: updates in which `beta` rises from 0. Defaults to 0.
        conditional: tell encoder and decoder the class of the image. Defaults to False.
        **kwargs: arguments of `GenerativeNetwork`: image_shape, num_classes, name, dtype.

    Input: raw images (B, H, W, C), 0 to 255.
    Output: the reconstruction (B, H, W, C), float32 between 0 and 1.

    Parameters: 425,284 with the default arguments.

    Example:
        >>> network = VAE(latent_size=20)
        >>> network(images).shape  # (B, 28, 28, 1), uint8
        (B, 28, 28, 1)
        >>> network.generate(tf.random.normal((4, 20))).shape
        (4, 28, 28, 1)
    """

    tells_likelihood = True

    def __init__(
        self,
        *,
        latent_size: int = 50,
        units: tuple[int, ...] = (200, 200),
        filters: tuple[int, ...] = (),
        activation: str = "tanh",
        likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
        binarize: bool = True,
        objective: Literal["elbo", "iwae"] = "elbo",
        num_samples: int = 1,
        beta: float = 1.0,
        warmup_steps: int = 0,
        conditional: bool = False,
        **kwargs,
    ):
        super().__init__(conditional=conditional, **kwargs)
        for name, value in (("latent_size", latent_size), ("num_samples", num_samples)):
            if value < 1:
                raise UsageError(f"{name} is {value}, but it has to be 1 or more.")
        for name, value in (("beta", beta), ("warmup_steps", warmup_steps)):
            if value < 0:
                raise UsageError(f"{name} is {value}, but it has to be 0 or more.")
        kinds = {"objective": ("elbo", "iwae"), "likelihood": ("bernoulli", "gaussian")}
        for name, value in (("objective", objective), ("likelihood", likelihood)):
            if value not in kinds[name]:
                raise UsageError(f"{name} is {value!r}, but it has to be one of {', '.join(kinds[name])}.")
        if objective == "iwae" and (beta != 1 or warmup_steps):
            raise UsageError(
                f"beta is {beta:g} and warmup_steps {warmup_steps}, but the objective iwae has no rate that "
                "they could weigh. Leave both out, or give --objective elbo."
            )
        self.latent_size = latent_size
        self.units = tuple(units)
        self.filters = tuple(filters)
        self.activation = activation
        self.likelihood = likelihood
        self.binarize = binarize
        self.objective = objective
        self.num_samples = num_samples
        self.beta = beta
        self.warmup_steps = warmup_steps
        self.encoder = Encoder(
            filters=self.filters, units=self.units, activation=activation, size=self.num_codes
        )
        self.decoder = Decoder(
            image_shape=self.image_shape,
            filters=self.filters[::-1],
            units=self.units[::-1],
            activation=activation,
        )
        if likelihood == "gaussian":
            self.log_scale = self.add_weight(shape=(), initializer="zeros", name="log_scale")
        self.rate = keras.metrics.Mean(name="rate")
        self.distortion = keras.metrics.Mean(name="distortion")

    @property
    def num_codes(self) -> int:
        """Length of the encoder's output: a mean and a log variance for each latent."""
        return 2 * self.latent_size

    @property
    def noise_shape(self):
        """Shape of the latents: (Z,)."""
        return (self.latent_size,)

    # Forward pass

    def encode(self, pixels, labels=None):
        """Return mean and log variance (B, Z) of the latents of pixels (B, H, W, C), 0 to 1, float32."""
        return ops.split(self.encoder(pixels, self._classes(labels, pixels)), 2, axis=-1)

    def decode(self, latents, labels=None):
        """Return the logits of the pixels (B, H, W, C) of latents (B, Z), float32."""
        return self.decoder(latents, self._classes(labels, latents))

    def generate(self, noise, labels=None):
        """Return images (B, H, W, C), float32 between 0 and 1, of latents (B, Z)."""
        return ops.sigmoid(self.decode(noise, labels))

    def reconstruct(self, pixels, labels=None):
        """Return the images (B, H, W, C) that the mean latents of pixels stand for."""
        return self.generate(self.encode(pixels, labels)[0], labels)

    def forward(self, x, training=False):
        """Return the reconstruction of raw images; a conditional network is told no class."""
        return self.reconstruct(self.pixels(x))

    def calls(self):
        """Return `reconstruct`, `encode`, `decode`, and `sample`, which draws latents itself."""

        def reconstruct(images, labels=None):
            return {"reconstruction": self.reconstruct(self.pixels(images), labels)}

        def encode(images, labels=None):
            mean, log_variance = self.encode(self.pixels(images), labels)
            return {"mean": mean, "log_variance": log_variance}

        def sample(seeds, labels=None):
            def draw(seed):
                return tf.random.stateless_normal((self.latent_size,), tf.stack([seed, 0]))

            return {"images": self.generate(tf.map_fn(draw, seeds, fn_output_signature=tf.float32), labels)}

        images = {**self.image_input(), **self.label_input()}
        seeds = {"seeds": tf.TensorSpec((None,), tf.int32, "seeds"), **self.label_input()}
        return {
            "reconstruct": Call(reconstruct, images),
            "encode": Call(encode, images),
            "decode": self.call_with(self.generate, "latents", self.noise_shape),
            "sample": Call(sample, seeds, on_servers_only=True),
        }

    def _classes(self, labels, like):
        """Return the classes as one-hot vectors: zeros where none is told, None without classes."""
        if not self.conditional:
            return None
        if labels is None:
            return ops.zeros((ops.shape(like)[0], self.num_classes), self.compute_dtype)
        return self.one_hot(labels)

    # Training

    @property
    def binarizes(self):
        """Whether pixels are drawn black or white."""
        return self.binarize and self.likelihood == "bernoulli"

    def training_loss(self, x, y, sample_weight):
        """Return the loss of a batch of raw images, the mean in nats for each image."""
        loss = self._loss(x, y, self.num_samples, self._beta_now())
        return self.mean_of(loss, sample_weight), None

    def validation_loss(self, x, y, sample_weight):
        """Return the loss with the final `beta`."""
        return self.mean_of(self._loss(x, y, self.num_samples, self.beta), sample_weight), None

    def seen(self, pixels):
        """Return what is to be told: pixels (B, H, W, C), black or white where they are binarised."""
        if not self.binarizes:
            return pixels
        return tf.cast(noise.uniform(tf.shape(pixels)) < pixels, tf.float32)

    def log_weights(self, pixels, labels, draws):
        """Return log p(x, z) - log q(z | x) of each draw (B, k), float32.

        Args:
            pixels: what is told (B, H, W, C), 0 to 1.
            labels: classes (B,); not used where the network is not conditional.
            draws: (B, k, Z) float32, standard normal.
        """
        mean, log_variance = self.encode(pixels, labels)
        latents = self._latents(mean, log_variance, draws)
        return self._log_ratio(latents, log_variance, draws) - self._distortion(pixels, labels, latents)

    def _loss(self, x, y, count, beta):
        """Return the loss of each image (B,), and count its terms."""
        pixels = self.seen(self.pixels(x))
        mean, log_variance = self.encode(pixels, y)
        draws = noise.normal(tf.stack([tf.shape(x)[0], count, self.latent_size]))
        latents = self._latents(mean, log_variance, draws)
        distortion = self._distortion(pixels, y, latents)  # (B, k)
        rate = 0.5 * ops.sum(ops.square(mean) + ops.exp(log_variance) - 1.0 - log_variance, axis=-1)  # (B,)
        self.rate.update_state(rate)
        self.distortion.update_state(ops.mean(distortion, axis=1))
        if self.objective == "elbo":
            return ops.mean(distortion, axis=1) + beta * rate
        weights = self._log_ratio(latents, log_variance, draws) - distortion
        return math.log(count) - ops.logsumexp(weights, axis=1)

    def _latents(self, mean, log_variance, draws):
        return mean[:, None] + ops.exp(0.5 * log_variance)[:, None] * draws  # (B, k, Z)

    def _log_ratio(self, latents, log_variance, draws):
        """Return log p(z) - log q(z | x) of each draw (B, k)."""
        both = ops.square(draws) - ops.square(latents) + log_variance[:, None]
        return 0.5 * ops.sum(both, axis=-1)

    def _distortion(self, pixels, labels, latents):
        """Return -log p(x | z) of each draw (B, k), in nats for each image."""
        count = latents.shape[1]
        if self.conditional and labels is not None:
            labels = tf.repeat(labels, count)
        logits = self.decode(tf.reshape(latents, (-1, self.latent_size)), labels)
        size = math.prod(self.image_shape)
        logits = tf.reshape(logits, (-1, count, size))
        told = tf.reshape(pixels, (-1, 1, size))
        if self.likelihood == "bernoulli":
            # softplus(l) - x l, written so that nothing of size (B, k, H W C) but the logits is kept.
            return ops.sum(ops.softplus(logits), axis=-1) - ops.sum(told * logits, axis=-1)
        apart = ops.square((told - ops.sigmoid(logits)) * ops.exp(-self.log_scale))
        return 0.5 * ops.sum(apart + math.log(2 * math.pi), axis=-1) + size * self.log_scale

    def _beta_now(self):
        """Return the weight of the rate in this update."""
        if not self.warmup_steps:
            return self.beta
        step = ops.cast(self.optimizer.iterations, "float32")
        return self.beta * ops.minimum(1.0, step / self.warmup_steps)

    def get_config(self):
        names = (
            "latent_size", "units", "filters", "activation", "likelihood", "binarize", "objective",
            "num_samples", "beta", "warmup_steps",
        )  # fmt: skip
        return {**super().get_config(), **config_of(self, *names)}


@keras.saving.register_keras_serializable("kerasdl")
class Autoencoder(VAE):
    """An autoencoder: it describes images by a few numbers, of no particular distribution.

    Reference: Vincent et al., "Extracting and composing robust features with denoising autoencoders", 2008.

    Args:
        latent_size: number of latents, Z. Defaults to 50.
        units: sizes of the encoder's dense layers; see `VAE`. Defaults to (200, 200).
        filters: channels of the encoder's convolutions; see `VAE`. Defaults to (), dense layers alone.
        activation: activation of the hidden layers. Defaults to "tanh".
        likelihood: "bernoulli" (cross-entropy of grey pixels), or "gaussian" (squared error, with one learned
            standard deviation). Defaults to "bernoulli".
        corruption: fraction of the pixels that are set to 0 in training before the encoder sees them, 0 to
            less than 1: a denoising autoencoder. Defaults to 0.0.
        **kwargs: arguments of `GenerativeNetwork`: image_shape, num_classes, name, dtype.

    Input and output as of `VAE`.

    Parameters: 415,234 with the default arguments.
    """

    tells_likelihood = False

    def __init__(
        self,
        *,
        latent_size: int = 50,
        units: tuple[int, ...] = (200, 200),
        filters: tuple[int, ...] = (),
        activation: str = "tanh",
        likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
        corruption: float = 0.0,
        **kwargs,
    ):
        if not 0 <= corruption < 1:
            raise UsageError(f"corruption is {corruption}, but it has to be 0 or more and less than 1.")
        super().__init__(
            latent_size=latent_size,
            units=units,
            filters=filters,
            activation=activation,
            likelihood=likelihood,
            binarize=False,
            **kwargs,
        )
        self.corruption = corruption

    @property
    def num_codes(self):
        """Length of the encoder's output: the latents."""
        return self.latent_size

    def encode(self, pixels, labels=None):
        """Return the latents (B, Z) of pixels, with a variance of 0."""
        codes = self.encoder(pixels, self._classes(labels, pixels))
        return codes, ops.full_like(codes, -math.inf)

    def calls(self):
        """Return `reconstruct`, and `encode`, which gives `mean` alone."""
        found = super().calls()
        function = found["encode"].function

        def encode(*tensors):
            return {"mean": function(*tensors)["mean"]}

        return {"reconstruct": found["reconstruct"], "encode": found["encode"]._replace(function=encode)}

    def _loss(self, x, y, count, beta):
        pixels = self.seen(self.pixels(x))
        kept = tf.cast(noise.uniform(tf.shape(pixels)) >= self.corruption, pixels.dtype)
        return self._told(pixels, pixels * kept, y)

    def validation_loss(self, x, y, sample_weight):
        """Return the loss of whole images."""
        pixels = self.seen(self.pixels(x))
        return self.mean_of(self._told(pixels, pixels, y), sample_weight), None

    def _told(self, pixels, given, labels):
        """Return the distortion (B,) of pixels that are told from the given ones."""
        latents, _ = self.encode(given, labels)
        distortion = self._distortion(pixels, labels, latents[:, None])[:, 0]
        self.distortion.update_state(distortion)
        return distortion

    def get_config(self):
        own = ("latent_size", "units", "filters", "activation", "likelihood", "corruption")
        return {**GenerativeNetwork.get_config(self), **config_of(self, *own)}
