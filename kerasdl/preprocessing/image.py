"""Image preprocessing: from raw pixels to the inputs of a network."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import keras
import numpy as np
from keras import ops

from kerasdl.errors import UsageError
from kerasdl.layers.config import config_of
from kerasdl.preprocessing.preprocessing import Preprocessing

_NUM_PATCHES = 5_000_000  # that whitening is measured on: some 5,000 images of 32x32


@keras.saving.register_keras_serializable("kerasdl")
class ImagePreprocessing(Preprocessing):
    """Raw pixels of any numeric dtype, 0..255, to the floats a network was trained on.

    In order: cast to float32, resize (bilinear), convert channels, order them, rescale, standardise, whiten.

    Whitening gives, in place of the pixels, what each small patch holds in directions that are uncorrelated
    and of equal variance over the training images. Neighbouring pixels are nearly the same, so that without
    it a network first has to learn to look at differences.

    References: Krizhevsky, "Learning multiple layers of features from tiny images", 2009, appendix A; for
    patches: Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024,
    https://arxiv.org/abs/2404.00498, section 3.2.

    Args:
        size: (height, width) in pixels that the network takes. Defaults to None: the size of the data.
        channels: 1 (grey) or 3 (RGB) that the network takes. Defaults to None: those of the data.
        channel_order: "rgb", or "bgr" for a network that was trained on the channels in this order, as those
            of Caffe were; mean and std are in the same order. Defaults to "rgb".
        scale: factor on pixel values before standardising. Defaults to 1/255 (0..1).
        mean: mean per channel after scaling, subtracted. Defaults to (0.0,).
        std: standard deviation per channel after scaling, divided by. Defaults to (1.0,).
        standardize: take `mean` and `std` from the training images (`fit`). Defaults to False.
        whiten: height and width of the patches in pixels, 2 or more; the directions are taken from the
            training images (`fit`). Defaults to None: no whitening.
        directions: what `fit` has found, one row per direction, one column for each value of a patch (row by
            row, the channels of a pixel together). Defaults to (): to be found.
        **kwargs: arguments of `keras.Layer`.

    Raises:
        UsageError: for a value outside its range, or one mean for each channel of another number of channels,
            or "bgr" with one channel, or patches larger than the images.

    Input: (batch_size, height, width, channels), uint8 or float, 0..255.
    Output: (batch_size, *size, channels), float; whitened (batch_size, height - whiten + 1,
        width - whiten + 1, channels * whiten**2).
    """

    #: Arguments for well-known sets, of pixel values from 0 to 1: `**ImagePreprocessing.CIFAR10`.
    CIFAR10: ClassVar = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.247, 0.2435, 0.2616)}
    IMAGENET: ClassVar = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    #: Size and channels may change with the data.
    OF_WEIGHTS: ClassVar = ("channel_order", "scale", "mean", "std", "standardize", "whiten", "directions")

    def __init__(
        self,
        *,
        size: tuple[int, int] | None = None,
        channels: int | None = None,
        channel_order: Literal["rgb", "bgr"] = "rgb",
        scale: float = 1 / 255,
        mean: tuple[float, ...] = (0.0,),
        std: tuple[float, ...] = (1.0,),
        standardize: bool = False,
        whiten: int | None = None,
        directions: tuple[tuple[float, ...], ...] = (),
        **kwargs,
    ):
        super().__init__(**kwargs)
        if channels not in (None, 1, 3):
            raise UsageError(f"channels is {channels}, but a network takes 1 (grey) or 3 (RGB).")
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise UsageError(f"size is {size}, but it has to be a height and a width of at least 1 pixel.")
        if channel_order not in ("rgb", "bgr") or (channel_order == "bgr" and channels == 1):
            raise UsageError(
                f"channel_order is {channel_order!r}, but it has to be rgb, or bgr for a network that takes "
                "3 channels."
            )
        if not min(std) > 0 or not scale > 0:
            raise UsageError(
                "std and scale have to be above 0: pixels are divided by one, multiplied by the other."
            )
        if whiten is not None and whiten < 2:
            raise UsageError(
                f"whiten is {whiten}, but patches have to be of at least 2 by 2 pixels. Give 2 or 3, or none."
            )
        self.size = None if size is None else tuple(size)
        self.channels = channels
        self.channel_order = channel_order
        self.scale = scale
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.standardize = standardize
        self.whiten = whiten
        self.directions = tuple(map(tuple, directions))

    def check(self, inputs: Any) -> None:
        """Raise a UsageError unless the features are one image that suits the arguments."""
        if isinstance(inputs, Mapping) or len(inputs.shape) != 3 or inputs.dtype == "string":
            are_texts = not isinstance(inputs, Mapping) and inputs.dtype == "string"
            raise UsageError(
                "ImagePreprocessing takes images of shape (height, width, channels), but the data has "
                + (
                    "texts. Take a pipeline for texts, such as lstm or gru."
                    if are_texts
                    else "other features. Give the recipe another preprocessing, or none."
                )
            )
        self.compute_output_shape((None, *inputs.shape))

    def call(self, images):
        """Return the inputs of the network."""
        x = self._standardized(images)
        if self.whiten is not None:
            # (directions, values of a patch) to (height, width, channels, directions)
            kernel = np.asarray(self.directions, np.float32).T
            x = ops.conv(x, kernel.reshape(self.whiten, self.whiten, x.shape[-1], -1))
        return ops.cast(x, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        channels = self.channels or channels
        if self.channel_order == "bgr" and channels != 3:
            raise UsageError(
                f"channel_order is bgr, but images have {channels} channel(s). Give --channels 3 with it."
            )
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, channels):
                raise UsageError(
                    f"{name} has {len(getattr(self, name))} numbers, but images have {channels} channels. "
                    "Give one number, or one for each channel."
                )
        height, width = self.size or (height, width)
        if self.whiten is None:
            return (batch, height, width, channels)
        if self.whiten > min(height, width):
            raise UsageError(
                f"whiten is {self.whiten}, but images have {height} by {width} pixels. Give 2 or 3, or none."
            )
        return (batch, height - self.whiten + 1, width - self.whiten + 1, channels * self.whiten**2)

    def fit(self, batches) -> None:
        """Measure over images what is asked for: `mean` and `std` per channel, `directions` of patches.

        Args:
            batches: returns raw image arrays (batch_size, height, width, channels); not called without need.
        """
        if self.standardize:
            count, total, squares = 0, 0.0, 0.0
            for images in batches():
                x = np.asarray(self._ordered(ops.cast(images, "float32")), np.float64)
                x = x.reshape(-1, x.shape[-1]) * self.scale
                count, total, squares = count + len(x), total + x.sum(0), squares + (x**2).sum(0)
            mean = total / count
            std = np.sqrt(np.maximum(squares / count - mean**2, 1e-12))
            self.mean, self.std = tuple(mean.tolist()), tuple(std.tolist())
        if self.whiten is not None and not self.directions:  # those of weights stay what they were
            self.directions = _directions(map(self._standardized, batches()), self.whiten)

    def get_config(self):
        names = (
            "size", "channels", "channel_order", "scale", "mean", "std", "standardize", "whiten",
            "directions",
        )  # fmt: skip
        return {**super().get_config(), **config_of(self, *names)}

    def _standardized(self, images):
        """Return (B, H, W, C) float32, all done but the whitening."""
        x = ops.cast(images, "float32")  # (B, H, W, C), 0..255
        if self.size is not None and self.size != tuple(x.shape[1:3]):
            x = _resize(x, *self.size)
        x = self._ordered(x)
        return (x * self.scale - self._constant(self.mean)) / self._constant(self.std)

    def _ordered(self, images):
        """Return the channels that the network takes, in its order."""
        x = to_channels(images, self.channels or images.shape[-1])
        if self.channel_order == "rgb":
            return x
        return ops.concatenate(ops.split(x, 3, axis=-1)[::-1], axis=-1)  # any runtime has these operators

    def _constant(self, values):
        return ops.convert_to_tensor(np.asarray(values, np.float32))


def _directions(batches, size: int) -> tuple[tuple[float, ...], ...]:
    """Return the principal directions of patches (size, size) of images, each divided by its deviation.

    Those that hardly vary are amplified less: their variance counts as 5e-4 more (Jordan 2024). Those in
    which nothing varies, as between the channels of grey images, are 0: there is only rounding to amplify.
    """
    count, products = 0, 0.0
    for images in batches:
        patches = np.lib.stride_tricks.sliding_window_view(np.asarray(images), (size, size), (1, 2))
        patches = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, size * size * images.shape[-1])
        count, products = count + len(patches), products + (patches.T @ patches).astype(np.float64)
        if count >= _NUM_PATCHES:
            break
    variances, vectors = np.linalg.eigh(products / count)
    varies = variances > 1e-5 * variances.max()
    factors = np.where(varies, 1 / np.sqrt(np.maximum(variances, 0) + 5e-4), 0)
    return tuple(map(tuple, (vectors * factors).T.tolist()))


def _resize(images, height: int, width: int):
    """Resize bilinearly with antialiasing, as `keras.ops.image.resize(antialias=True)` does.

    Written as two products with constant matrices: TFLite and ONNX have no operator for the former.
    """
    columns = _resampling(images.shape[2], width)  # (W, width)
    rows = _resampling(images.shape[1], height)  # (H, height)
    x = ops.matmul(ops.transpose(images, (0, 3, 1, 2)), columns)  # (B, C, H, width)
    x = ops.matmul(ops.transpose(x, (0, 1, 3, 2)), rows)  # (B, C, width, height)
    return ops.transpose(x, (0, 3, 2, 1))  # (B, height, width, C)


def _resampling(size_in: int, size_out: int) -> np.ndarray:
    """Return the (size_in, size_out) matrix of a triangle filter, as wide as the coarser of the two grids."""
    scale = size_in / size_out
    centres = (np.arange(size_out) + 0.5) * scale - 0.5
    distance = np.abs(np.arange(size_in)[:, None] - centres) / max(scale, 1.0)
    weights = np.maximum(1 - distance, 0)
    return (weights / weights.sum(0)).astype(np.float32)


def to_channels(images, channels: int):
    """Convert (..., C) between grey and RGB; grey is repeated, RGB weighted as the eye does (BT.601)."""
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return ops.repeat(images, 3, axis=-1)
    return ops.sum(images * ops.convert_to_tensor(np.float32([0.299, 0.587, 0.114])), axis=-1, keepdims=True)
