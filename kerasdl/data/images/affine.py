"""Random shifts, turns and zooms of training images, by fractions of a pixel."""

import dataclasses
import math

from kerasdl.data.images.augment import OfImages
from kerasdl.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomAffine(OfImages):
    """Shifts, turns and zooms each image a little, by fractions of a pixel (bilinear).

    Reference: Simard, Steinkraus, Platt, "Best practices for convolutional neural networks applied to visual
    document analysis", 2003, which shows what affine changes are worth on handwritten digits.
    """

    # Longest shift, as a share of the image's height and width, 0 to 1.
    shift: float = 0.08
    # Largest turn to either side, in degrees, 0 to 180.
    rotation: float = 10.0
    # Largest change of height and of width, as a share of them, 0 to 1.
    zoom: float = 0.1
    # Pixel value of the border that comes in, 0 to 255.
    fill: int = 0

    def __post_init__(self):
        for name, highest in (("shift", 1), ("rotation", 180), ("zoom", 0.99), ("fill", 255)):
            value = getattr(self, name)
            if not 0 <= value <= highest:
                raise UsageError(f"{name} is {value:g}, but it has to lie between 0 and {highest:g}.")

    def __call__(self, images, labels, seed):
        """Change a batch; a sample's noise depends on `seed` and its place in the batch only.

        Args:
            images: (B, H, W, C) uint8, H, W and C static.
            labels: (B,), handed on as they are.
            seed: (2,) integer tensor, another one for each step.

        Returns:
            (images, labels), of the same shapes and dtypes.
        """
        import tensorflow as tf

        height, width = images.shape[1:3]
        drawn = tf.random.stateless_uniform((tf.shape(images)[0], 5), seed, -1.0, 1.0)  # one row a sample
        right, down, turn, wide, high = tf.unstack(drawn, axis=1)  # each (B,)
        angle = turn * (self.rotation * math.pi / 180)
        cos, sin = tf.cos(angle), tf.sin(angle)
        wide, high = 1 + wide * self.zoom, 1 + high * self.zoom
        # For pixel (x, y) of the result, the operator reads (a x + b y + c, d x + e y + f): about the centre.
        x, y = (width - 1) / 2, (height - 1) / 2
        a, b, d, e = cos / wide, -sin / wide, sin / high, cos / high
        c = x + right * (self.shift * width) - a * x - b * y
        f = y + down * (self.shift * height) - d * x - e * y
        nothing = tf.zeros_like(a)
        changed = tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=tf.stack([a, b, c, d, e, f, nothing, nothing], axis=1),
            output_shape=(height, width),
            fill_value=float(self.fill),
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        )
        return changed, labels
