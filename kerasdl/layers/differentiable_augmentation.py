"""Random changes to images that gradients pass through, for discriminators with few examples."""

from collections.abc import Sequence

import tensorflow as tf

from kerasdl.layers import noise

_SHIFT = 1 / 8  # of a side, at most
_HOLE = 1 / 2  # of a side


def augment(images, kinds: Sequence[str]):
    """Change each image at random, in the order of the kinds.

    A discriminator that sees real and generated images through the same changes cannot learn few examples by
    heart, and the generator does not learn the changes, since they are undone by no one.

    Reference: Zhao et al., "Differentiable augmentation for data-efficient GAN training", 2020,
    https://arxiv.org/abs/2006.10738.

    Args:
        images: (B, H, W, C), float between -1 and 1.
        kinds: names among `KINDS`.

    Returns:
        Images (B, H, W, C); noise is that of `kerasdl.layers.noise`, inside an update.
    """
    for kind in kinds:
        images = KINDS[kind](images)
    return images


def _brighten(images):
    """Add up to half to all pixels of an image, or take it away."""
    return images + _factors(images) - 0.5


def _saturate(images):
    """Move colours away from grey, or towards it, by up to all of the difference."""
    grey = tf.reduce_mean(images, -1, keepdims=True)
    return grey + (images - grey) * 2 * _factors(images)


def _contrast(images):
    """Move pixels away from the mean of their image, or towards it, by up to half of the difference."""
    mean = tf.reduce_mean(images, (1, 2, 3), keepdims=True)
    return mean + (images - mean) * (_factors(images) + 0.5)


def _factors(images):
    """Draw a number between 0 and 1 for each image, (B, 1, 1, 1)."""
    return tf.cast(noise.uniform((tf.shape(images)[0], 1, 1, 1)), images.dtype)


def _translate(images):
    """Move each image by up to an eighth of its sides; what comes in is 0."""
    _, height, width, _ = images.shape
    rows, columns = (_moves(images, side) for side in (height, width))
    # A product with a matrix of zeros and ones: its gradient, and the gradient of that, are products again.
    return tf.einsum("bhi,biwc->bhwc", rows, tf.einsum("bwj,bijc->biwc", columns, images))


def _moves(images, side: int):
    """Draw matrices (B, side, side) that move a side's pixels by whole places."""
    most = int(side * _SHIFT + 0.5)
    shift = tf.cast(noise.uniform((tf.shape(images)[0], 1)) * (2 * most + 1), tf.int32) - most
    return tf.one_hot(tf.range(side) + shift, side, dtype=images.dtype)  # all zeros outside the image


def _cut_out(images):
    """Set a rectangle of half the sides to 0, at a random place that may lie partly outside."""
    _, height, width, _ = images.shape
    rows, columns = (_inside(images, side) for side in (height, width))
    return images * tf.cast(~(rows[:, :, None] & columns[:, None, :]), images.dtype)[..., None]


def _inside(images, side: int):
    """Draw where a hole is along a side, (B, side) booleans."""
    size = int(side * _HOLE + 0.5)
    middle = tf.cast(noise.uniform((tf.shape(images)[0], 1)) * (side + 1 - size % 2), tf.int32)
    first = middle - size // 2
    return (tf.range(side) >= first) & (tf.range(side) < first + size)


#: Changes by name.
KINDS = {
    "brightness": _brighten,
    "saturation": _saturate,
    "contrast": _contrast,
    "translation": _translate,
    "cutout": _cut_out,
}
