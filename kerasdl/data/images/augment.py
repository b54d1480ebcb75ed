"""Random changes of training images that keep their class; whole batches at a time, in tf.data."""

import dataclasses
import logging

import numpy as np

from kerasdl.data import batches
from kerasdl.data.dataset import Spec
from kerasdl.data.source import Augmentation
from kerasdl.data.splits import Split
from kerasdl.data.trees import Tree
from kerasdl.errors import UsageError

_log = logging.getLogger(__name__)
_LONGEST_CROP = 0.25  # of an image's side; beyond that what is shown is lost too often


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfImages(Augmentation):
    """A random change of single images."""

    def check(self, inputs: Tree) -> None:
        """Raise a UsageError unless the features are one image."""
        if not isinstance(inputs, Spec) or len(inputs.shape) != 3 or inputs.dtype != "uint8":
            raise UsageError(
                f"{type(self).__name__} changes images (height, width, channels) of uint8, but the data has "
                "other features. Take the augmentation out of the recipe, or write one of your own."
            )

    def samples(self, split: Split, *, seed: int, rows: int, copies: int) -> dict[str, np.ndarray]:
        """Return `images` (rows, 1 + copies, ...), unchanged ones first; fewer rows of a smaller split."""
        import tensorflow as tf

        plain = batches.training_batches(split, batch_size=min(rows, len(split)), seed=seed)
        batch = next(plain.take(1).as_numpy_iterator())
        same = tf.data.Dataset.from_tensors(batch).repeat(copies)
        changed = batches.augmented(same, self, seed, 0)
        images = [batch[0], *(features for features, *_ in changed.as_numpy_iterator())]
        return {"images": np.stack(images, axis=1)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageAugmentation(OfImages):
    """Moves, mirrors, covers, recolours and mixes natural images, and adds noise.

    In the order of the fields; what is 0 or False is left out. Each sample's noise is a function of the
    step's seed and of its place in the global batch, so that it differs by replica and is the same again in a
    run that was resumed. (Keras's preprocessing layers draw from a stateful generator and cannot be.)

    References: DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout",
    2017; Zhang et al., "mixup: beyond empirical risk minimization", 2017; Yun et al., "CutMix: regularization
    strategy to train strong classifiers with localizable features", 2019.
    """

    # Longest shift in pixels to each side; what comes in is the image reflected at its border.
    crop: int = 0
    # Mirror half of the images, left to right.
    flip: bool = False
    # Largest change of brightness, as a share of the range of pixel values, 0 to 1.
    brightness: float = 0.0
    # Largest change of contrast, as a share of it, 0 to 1.
    contrast: float = 0.0
    # Largest change of saturation, as a share of it, 0 to 1; nothing on grey images.
    saturation: float = 0.0
    # Standard deviation of Gaussian noise, as a share of the range of pixel values, 0 to 1.
    noise: float = 0.0
    # Side in pixels of a square that is painted grey; it may reach over the border.
    cutout: int = 0
    # MixUp: alpha of the beta distribution of an image's share in the sum of two; 0 for none.
    mixup: float = 0.0
    # CutMix: alpha of the beta distribution of an image's share, a rectangle being another's; 0 for none.
    cutmix: float = 0.0

    def __post_init__(self):
        for name in ("brightness", "contrast", "saturation", "noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is {getattr(self, name):g}, but it has to lie between 0 and 1.")
        for name in ("crop", "cutout", "mixup", "cutmix"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name):g}, but it cannot be below 0.")
        if self.mixup and self.cutmix:
            raise UsageError("mixup and cutmix are both set, but a batch is mixed once; keep one of them.")

    def check(self, inputs: Tree) -> None:
        """Refuse changes that are too large for the images, and warn of large shifts.

        Raises:
            UsageError: for images that would be shifted or covered by as much as they measure.
        """
        super().check(inputs)
        height, width, _ = inputs.shape
        for name in ("crop", "cutout"):
            if (pixels := getattr(self, name)) >= min(height, width):
                raise UsageError(
                    f"{name} is {pixels}, but has to be less than images of {height}x{width} are wide and "
                    f"high. Give at most --{name} {min(height, width) - 1}."
                )
        share = self.crop / min(height, width)
        if share > _LONGEST_CROP:
            _log.warning(
                f"crop is {self.crop}: it moves images of {height}x{width} by up to {share:.0%} of their "
                f"side, and their reflection comes in. An eighth is usual: --crop {min(height, width) // 8}."
            )

    def __call__(self, images, labels, seed):
        """Change a batch.

        Args:
            images: (B, H, W, C) uint8; H, W and C static, such as `check` lets pass.
            labels: (B,), integers.
            seed: (2,) integer tensor, another one for each step.

        Returns:
            (images, labels): of the same shapes and dtypes; where images are mixed, labels are (B, 3)
            float32: the image's own class, the other's, and the share of its own, 0 to 1.
        """
        import tensorflow as tf

        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 6))
        if self.crop or self.flip:
            images = self._moved(images, seeds[0])
        if self.brightness or self.contrast or self.saturation or self.noise:
            images = self._recoloured(images, seeds[1], seeds[2])
        if self.cutout:
            images = self._covered(images, seeds[3])
        if self.mixup or self.cutmix:
            images, labels = self._mixed(images, labels, seeds[4], seeds[5])
        return images, labels

    def _moved(self, images, seed):
        """Shift and mirror, by one gather of the pixels that are seen."""
        import tensorflow as tf

        height, width, channels = images.shape[1:]
        count = tf.shape(images)[0]
        down, right, mirrored = tf.unstack(tf.random.stateless_uniform((count, 3), seed), axis=1)

        def places(size, drawn):  # (B, size) of the rows or columns to read
            shift = tf.cast(drawn * (2 * self.crop + 1), tf.int32) - self.crop
            place = tf.range(size)[None] + shift[:, None]
            return size - 1 - tf.abs(size - 1 - tf.abs(place))

        rows, columns = places(height, down), places(width, right)
        if self.flip:
            columns = tf.where((mirrored < 0.5)[:, None], columns[:, ::-1], columns)
        first = tf.range(count)[:, None, None] * height
        index = (first + rows[:, :, None]) * width + columns[:, None, :]  # (B, H, W)
        return tf.gather(tf.reshape(images, (-1, channels)), index)

    def _recoloured(self, images, seed, noise_seed):
        import tensorflow as tf

        x = tf.cast(images, tf.float32)
        drawn = tf.random.stateless_uniform((tf.shape(x)[0], 3), seed, -1.0, 1.0)
        bright, contrast, saturation = (part[:, :, None, None] for part in tf.split(drawn, 3, axis=1))
        x += bright * (255 * self.brightness)
        if self.contrast:
            mean = tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
            x = mean + (x - mean) * (1 + contrast * self.contrast)
        if self.saturation:
            grey = tf.reduce_mean(x, axis=3, keepdims=True)
            x = grey + (x - grey) * (1 + saturation * self.saturation)
        if self.noise:
            x += tf.random.stateless_normal(tf.shape(x), noise_seed) * (255 * self.noise)
        return _to_pixels(x)

    def _covered(self, images, seed):
        import tensorflow as tf

        sides = tf.fill((tf.shape(images)[0], 2), float(self.cutout))
        grey = tf.constant(128, images.dtype)
        return tf.where(_rectangles(images, sides, seed), grey, images)

    def _mixed(self, images, labels, seed, place_seed):
        """Mix each image with the next one in the batch, whose order is random anyway."""
        import tensorflow as tf

        others, alpha = tf.roll(images, -1, axis=0), self.mixup or self.cutmix
        gammas = tf.random.stateless_gamma((tf.shape(images)[0], 2), seed, alpha)
        share = gammas[:, 0] / tf.reduce_sum(gammas, axis=1)  # of beta(alpha, alpha)
        share = tf.where(tf.math.is_finite(share), share, tf.ones_like(share))  # both may underflow to 0
        if self.mixup:
            part = share[:, None, None, None]
            images = _to_pixels(part * tf.cast(images, tf.float32) + (1 - part) * tf.cast(others, tf.float32))
        else:
            height, width = images.shape[1:3]
            sides = tf.sqrt(1 - share)[:, None] * tf.constant([height, width], tf.float32)
            inside = _rectangles(images, sides, place_seed)
            images = tf.where(inside, others, images)
            share = 1 - tf.reduce_mean(tf.cast(inside, tf.float32), axis=(1, 2, 3))
        both = tf.stack([labels, tf.roll(labels, -1, axis=0)], axis=1)
        return images, tf.concat([tf.cast(both, tf.float32), share[:, None]], axis=1)


def _rectangles(images, sides, seed):
    """Return which pixels (B, H, W, 1) lie in a rectangle of `sides` (B, 2) pixels about a random one."""
    import tensorflow as tf

    centres = tf.random.stateless_uniform((tf.shape(images)[0], 2), seed)
    rows, columns = (
        tf.abs(tf.range(size, dtype=tf.float32)[None] + 0.5 - tf.floor(centres[:, axis, None] * size + 0.5))
        < sides[:, axis, None] / 2
        for axis, size in enumerate(images.shape[1:3])
    )
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def _to_pixels(x):
    """Round floats to uint8."""
    import tensorflow as tf

    return tf.cast(tf.clip_by_value(tf.round(x), 0.0, 255.0), tf.uint8)
