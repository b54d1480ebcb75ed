"""Changes to training images that keep what they show; whole batches at a time, in tf.data."""

import dataclasses

from kerasdl.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomShift:
    """Shifts each image by a whole number of pixels, up, down, left and right, all shifts equally likely."""

    # Longest shift, as a share of the image's height and width, 0 to 1.
    fraction: float = 0.08
    # Pixel value of the border that comes in, 0 to 255.
    fill: int = 0

    def __post_init__(self):
        if not 0 <= self.fraction < 1:
            raise UsageError(f"fraction is {self.fraction:g}, but a shift has to be at least 0 and below 1.")
        if not 0 <= self.fill <= 255:
            raise UsageError(f"fill is {self.fill}, but a pixel value has to lie between 0 and 255.")

    def __call__(self, images, seed):
        """Shift a batch.

        The noise of a sample depends on `seed` and its place in the batch only.

        Args:
            images: (B, H, W, C) uint8, H, W and C static.
            seed: (2,) integer tensor, another one for each step.

        Returns:
            (B, H, W, C) uint8.
        """
        import tensorflow as tf

        batch, (height, width, channels) = tf.shape(images)[0], images.shape[1:]
        up, left = int(self.fraction * height), int(self.fraction * width)
        padded = tf.pad(images, ((0, 0), (up, up), (left, left), (0, 0)), constant_values=self.fill)
        padded_height, padded_width = height + 2 * up, width + 2 * left
        draws = tf.random.stateless_uniform((batch, 2), seed, 0.0, 1.0)  # one row per sample
        top = tf.cast(draws[:, 0] * (2 * up + 1), tf.int32)  # (B,), 0..2 * up
        edge = tf.cast(draws[:, 1] * (2 * left + 1), tf.int32)
        # Every row of a shifted image is one contiguous run of pixels of the padded batch: cut the batch into
        # runs and the gaps between them, and gather the runs. Gathering pixel by pixel costs twice as much.
        first = (tf.range(batch) * padded_height + top) * padded_width + edge  # (B,), first pixel
        starts = tf.reshape(first[:, None] + tf.range(height) * padded_width, (-1,))  # (B * H,)
        cuts = tf.reshape(tf.stack([starts, starts + width], axis=1), (-1,))
        cuts = tf.concat([[0], cuts, [batch * padded_height * padded_width]], axis=0)
        runs = tf.RaggedTensor.from_row_splits(tf.reshape(padded, (-1, channels)), cuts, validate=False)
        shifted = tf.gather(runs, 2 * tf.range(batch * height) + 1).values  # (B * H * W, C)
        return tf.reshape(shifted, tf.shape(images) if images.shape[0] is None else images.shape)
