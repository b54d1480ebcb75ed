"""The objectives of generator and discriminator, as a table, and what is computed beside them."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Objective(NamedTuple):
    """What both players of a GAN make small: losses (B,) of scores (B,), where real images score high.

    Attributes:
        real: loss of the discriminator for scores of real images and the target that they have, at most 1.
        fake: loss of the discriminator for scores of generated images.
        generator: loss of the generator for scores of its images.
        boundary: score (B,) above which an image is taken for real, from those of real and generated images.
        normalization: what the discriminator is normalised by: "batch", "layer", "spectral" or "none".
        gradient_penalty: weight of `gradient_penalty` in the discriminator's loss.
        has_target: whether `real` reads its target.
    """

    real: Callable
    fake: Callable
    generator: Callable
    boundary: Callable
    normalization: str
    gradient_penalty: float = 0.0
    has_target: bool = False


#: Objectives by name.
OBJECTIVES = {
    # Goodfellow et al., "Generative adversarial networks", 2014, https://arxiv.org/abs/1406.2661
    "non_saturating": Objective(
        real=lambda scores, target: target * tf.nn.softplus(-scores) + (1 - target) * tf.nn.softplus(scores),
        fake=tf.nn.softplus,
        generator=lambda scores: tf.nn.softplus(-scores),
        boundary=lambda real, fake: tf.zeros_like(real),
        normalization="batch",
        has_target=True,
    ),
    # Mao et al., "Least squares generative adversarial networks", 2016, https://arxiv.org/abs/1611.04076
    "least_squares": Objective(
        real=lambda scores, target: tf.square(scores - target) / 2,
        fake=lambda scores: tf.square(scores) / 2,
        generator=lambda scores: tf.square(scores - 1) / 2,
        boundary=lambda real, fake: tf.fill(tf.shape(real), 0.5),
        normalization="batch",
        has_target=True,
    ),
    # Gulrajani et al., "Improved training of Wasserstein GANs", 2017, https://arxiv.org/abs/1704.00028
    "wgan_gp": Objective(
        real=lambda scores, target: -scores,
        fake=lambda scores: scores,
        generator=lambda scores: -scores,
        boundary=lambda real, fake: (real + fake) / 2,  # a critic is free to add any number to all scores
        normalization="layer",
        gradient_penalty=10.0,
    ),
    # Lim, Ye, "Geometric GAN", 2017, https://arxiv.org/abs/1705.02894
    "hinge": Objective(
        real=lambda scores, target: tf.nn.relu(1 - scores),
        fake=lambda scores: tf.nn.relu(1 + scores),
        generator=lambda scores: -scores,
        boundary=lambda real, fake: tf.zeros_like(real),
        normalization="spectral",
    ),
}


def gradient_penalty(score: Callable, real, fake, share):
    """Return how far the slope of a critic is from 1, squared, between real and generated images.

    Args:
        score: function from images (B, H, W, C) to scores (B,), each of its own image.
        real: images (B, H, W, C).
        fake: generated images, likewise.
        share: part of the generated image in each mixture, (B, 1, 1, 1), 0 to 1.

    Returns:
        (B,), float32.
    """
    mixed = real + share * (fake - real)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(mixed)
        scores = tf.reduce_sum(score(mixed))  # each depends on one image: the slopes stay apart
    slopes = tf.cast(tape.gradient(scores, mixed), tf.float32)
    # The root of 0 has no gradient.
    return tf.square(tf.sqrt(tf.reduce_sum(tf.square(slopes), (1, 2, 3)) + 1e-12) - 1)


def spread(images):
    """Return the standard deviation of each pixel over the global batch, as a mean over all pixels.

    A generator that has collapsed makes the same image of every noise: then it is near 0.

    Args:
        images: this replica's part of a batch, (B, H, W, C).
    """
    images = tf.cast(images, tf.float32)
    count = tf.cast(tf.shape(images)[0], tf.float32)
    sums = [tf.reduce_sum(images, 0), tf.reduce_sum(tf.square(images), 0), count]
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync > 1:
        sums = context.all_reduce(tf.distribute.ReduceOp.SUM, sums)
    total, squares, count = sums
    variance = squares / count - tf.square(total / count)
    return tf.reduce_mean(tf.sqrt(tf.maximum(variance, 0.0)))
