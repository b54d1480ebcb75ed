"""Flow matching: images by following a learned velocity from noise."""

import math
from typing import Literal

import keras
import tensorflow as tf

from kerasdl.errors import UsageError
from kerasdl.layers import export_mode, noise
from kerasdl.layers.config import config_of
from kerasdl.layers.time_embedding import TimeEmbedding
from kerasdl.layers.unet import UNet
from kerasdl.network.generative import Call, GenerativeNetwork

_GOLDEN = 0.5 * (math.sqrt(5) - 1)  # multiples of it, modulo 1, lie evenly however many there are
_CONDITION = 64  # numbers that tell the U-Net time and class
_CALLS = {"euler": 1, "midpoint": 2}  # of the network in a step


@keras.saving.register_keras_serializable("kerasdl")
class FlowMatching(GenerativeNetwork):
    """Flow matching: a network learns how each pixel moves on the straight way from noise to an image.

    At time t an image on its way is x = (1 - t) noise + t image, and it moves with the velocity image -
    noise. A U-Net sees x and t and learns by squared error to predict that velocity: one loss, one optimizer,
    nothing that can collapse. What it learns is the mean velocity over all images that x may become; followed
    from pure noise in small steps it leads to new images.

    A conditional network is told the class, and now and then no class in training (`label_dropout`). In
    generation it may then go further than the class alone says (classifier-free guidance).

    References: Lipman et al., "Flow matching for generative modeling", 2022,
    https://arxiv.org/abs/2210.02747; Liu, Gong, Liu, "Flow straight and fast", 2022,
    https://arxiv.org/abs/2209.03003; Ho, Salimans, "Classifier-free diffusion guidance", 2022,
    https://arxiv.org/abs/2207.12598; Esser et al., "Scaling rectified flow transformers for high-resolution
    image synthesis", 2024, https://arxiv.org/abs/2403.03206 (logit-normal times).

    Differences from the papers: a small U-Net over patches of pixels, so that a step is quick on a CPU.

    Args:
        num_classes: number of classes of the targets; the data decides it. Defaults to 10.
        conditional: whether the class of an image is asked for. Defaults to False.
        widths: channels of each level of the U-Net, the largest images first. Defaults to (32, 64).
        num_blocks: blocks of a level on the way down, and on the way up. Defaults to 1.
        patch_size: height and width in pixels of one place of the first level. Defaults to 2.
        attention: whether the lowest level has self-attention. Defaults to False.
        groups: groups of the normalisations; has to divide each width. Defaults to 8.
        dropout: fraction left out within each block in training, 0 to 1. Defaults to 0.0.
        times: "uniform", or "logit_normal": more of the middle, in training. Defaults to "uniform".
        label_dropout: part of the examples that a conditional network learns from without their class, 0 to
            less than 1. Defaults to 0.1.
        guidance: factor of what the class adds to the velocity, 0 or more; 0 and 1 for the class alone, at
            half the cost. Defaults to 1.0.
        num_steps: steps from noise to image, 1 or more. Defaults to 10.
        solver: "euler", or "midpoint": two calls of the network in each step, for a smaller error. Defaults
            to "midpoint".
        **kwargs: arguments of `GenerativeNetwork`: image_shape, name, dtype.

    Input: raw images (B, H, W, C), uint8, of any size.
    Output: velocity (B, H, W, C), float32, half way to these images, without noise.

    Parameters: 256,644 with the default arguments.

    Example:
        >>> network = FlowMatching(image_shape=(28, 28, 1), num_steps=20)
        >>> network.create_weights(keras.KerasTensor((None, 28, 28, 1), "uint8"))
        >>> network.generate(tf.random.normal((4, *network.noise_shape))).shape
        TensorShape([4, 28, 28, 1])
    """

    head_names = ()
    main_output = "velocity"

    def __init__(
        self,
        *,
        num_classes: int = 10,
        conditional: bool = False,
        widths: tuple[int, ...] = (32, 64),
        num_blocks: int = 1,
        patch_size: int = 2,
        attention: bool = False,
        groups: int = 8,
        dropout: float = 0.0,
        times: Literal["uniform", "logit_normal"] = "uniform",
        label_dropout: float = 0.1,
        guidance: float = 1.0,
        num_steps: int = 10,
        solver: Literal["euler", "midpoint"] = "midpoint",
        **kwargs,
    ):
        super().__init__(num_classes=num_classes, conditional=conditional, **kwargs)
        if guidance < 0 or num_steps < 1 or solver not in _CALLS:
            raise UsageError(
                f"guidance is {guidance}, num_steps {num_steps}, solver {solver}, but guidance has to be 0 "
                f"or more, num_steps 1 or more, and the solver one of {', '.join(_CALLS)}."
            )
        if times not in ("uniform", "logit_normal"):
            raise UsageError(f"times is {times!r}, but it has to be uniform or logit_normal.")
        if not 0 <= label_dropout < 1:
            raise UsageError(f"label_dropout is {label_dropout}, but it has to be 0 or more and below 1.")
        if guidance not in (0, 1) and not (conditional and label_dropout):
            raise UsageError(
                f"guidance is {guidance:g}, but it goes from the velocity without a class to that with one, "
                "which a network learns with --conditional and a --label-dropout above 0. Give both, or "
                "--guidance 1."
            )
        self.widths = tuple(widths)
        self.num_blocks = num_blocks
        self.patch_size = patch_size
        self.attention = attention
        self.groups = groups
        self.dropout = dropout
        self.times = times
        self.label_dropout = label_dropout
        self.guidance = guidance
        self.num_steps = num_steps
        self.solver = solver
        self.embed_time = TimeEmbedding()
        self.time_hidden = keras.layers.Dense(_CONDITION, activation="silu")
        self.time_output = keras.layers.Dense(_CONDITION)
        self.embed_label = keras.layers.Dense(_CONDITION, use_bias=False) if conditional else None
        self.unet = UNet(
            channels=self.image_shape[-1], widths=self.widths, num_blocks=num_blocks, patch_size=patch_size,
            attention=attention, groups=groups, dropout=dropout,
        )  # fmt: skip

    @property
    def noise_shape(self):
        """Shape of the noise: that of an image."""
        return self.image_shape

    def velocity(self, x, times, labels=None, training=False):
        """Return how the pixels move, (B, H, W, C), float32.

        Args:
            x: images on their way (B, H, W, C), float; whole ones lie between -1 and 1.
            times: (B,), float: 0 for noise, 1 for images.
            labels: classes (B,), int; `num_classes` for no class. Defaults to None: none has a class.
            training: whether units are left out. Defaults to False.
        """
        condition = self.time_output(self.time_hidden(self.embed_time(times)))  # (B, D)
        if self.embed_label is not None:
            labels = tf.fill(tf.shape(times), self.num_classes) if labels is None else labels
            # No class has a place too: TFLite's converter makes a look-up of this product.
            known = tf.one_hot(labels, self.num_classes + 1, dtype=self.compute_dtype)
            condition += self.embed_label(known)
        return self.unet(x, tf.nn.silu(condition), training=training)

    def build_on(self, inputs):
        """Make all weights."""
        self.time_hidden.build((None, self.embed_time.units))
        self.time_output.build((None, _CONDITION))
        if self.embed_label is not None:
            self.embed_label.build((None, self.num_classes + 1))
        self.unet.build((None, *self.image_shape), (None, _CONDITION))

    def forward(self, x, training=False):
        """Return the velocity half way to raw images, without noise."""
        return self.velocity(0.5 * self.scaled(x), tf.fill(tf.shape(x)[:1], 0.5), training=training)

    def scaled(self, images):
        """Return raw images, 0 to 255, as float32 between -1 and 1."""
        return 2 * self.pixels(images) - 1

    # Training

    def training_loss(self, x, y, sample_weight):
        """Return the squared error of the velocity at random times, and no outputs."""
        return self._loss(x, y, sample_weight, self._times(x), training=True)

    def validation_loss(self, x, y, sample_weight):
        """Return the same at times that lie evenly, and are those of each epoch; every class is told."""
        places = tf.range(tf.shape(x)[0], dtype=tf.int32) + tf.cast(noise.place(), tf.int32)
        times = (tf.cast(places, tf.float32) + 0.5) * _GOLDEN % 1.0
        return self._loss(x, y, sample_weight, times, training=False)

    def _times(self, x):
        if self.times == "uniform":
            return noise.uniform(tf.shape(x)[:1])
        return tf.sigmoid(noise.normal(tf.shape(x)[:1]))

    def _loss(self, x, y, sample_weight, times, training):
        images = self.scaled(x)
        drawn = noise.normal(tf.shape(images))
        labels = None
        if self.conditional:
            labels = tf.cast(y, tf.int32)
            if training:
                kept = noise.uniform(tf.shape(labels)) >= self.label_dropout
                labels = tf.where(kept, labels, self.num_classes)
        share = times[:, None, None, None]
        found = self.velocity((1 - share) * drawn + share * images, times, labels, training)
        error = tf.reduce_mean(tf.square(found - (images - drawn)), [1, 2, 3])  # (B,)
        return self.mean_of(error, sample_weight), None

    # Generation

    def generate(self, noise, labels=None):
        """Return images (B, H, W, C), float32 between 0 and 1.

        Args:
            noise: (B, H, W, C), float, standard normal.
            labels: classes (B,), int32, of a conditional network. Defaults to None: of no class.
        """
        x = tf.cast(noise, tf.float32)

        def step(number, x):
            return number + 1, self._step(x, tf.cast(number, tf.float32) / self.num_steps, labels)

        if export_mode.unrolls():
            for number in range(self.num_steps):
                _, x = step(number, x)
        else:
            _, x = tf.while_loop(lambda number, x: number < self.num_steps, step, (tf.constant(0), x))
        return tf.clip_by_value(0.5 * x + 0.5, 0.0, 1.0)

    def _step(self, x, time, labels):
        """Return the images one step later."""
        size = 1.0 / self.num_steps
        velocity = self._guided(x, time, labels)
        if self.solver == "midpoint":
            velocity = self._guided(x + 0.5 * size * velocity, time + 0.5 * size, labels)
        return x + size * velocity

    def _guided(self, x, time, labels):
        """Return the velocity of all images at one time, with guidance."""
        times = tf.fill(tf.shape(x)[:1], time)
        if labels is None or self.guidance in (0, 1):
            return self.velocity(x, times, labels)
        both = tf.concat([labels, tf.fill(tf.shape(labels), self.num_classes)], 0)
        found = self.velocity(tf.concat([x, x], 0), tf.concat([times, times], 0), both)
        told, untold = tf.split(found, 2)
        return untold + self.guidance * (told - untold)

    def calls(self):
        """Return `generate` and `velocity`."""
        inputs = {
            "x": tf.TensorSpec((None, *self.image_shape), tf.float32, "x"),
            "times": tf.TensorSpec((None,), tf.float32, "times"),
            **self.label_input(),
        }

        def velocity(x, times, labels=None):
            return {"velocity": tf.cast(self.velocity(x, times, labels), tf.float32)}

        return {**super().calls(), "velocity": Call(velocity, inputs)}

    def get_config(self):
        names = (
            "widths", "num_blocks", "patch_size", "attention", "groups", "dropout", "times", "label_dropout",
            "guidance", "num_steps", "solver",
        )  # fmt: skip
        return {**super().get_config(), **config_of(self, *names)}
