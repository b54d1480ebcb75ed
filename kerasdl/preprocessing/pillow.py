"""Reading of pictures by Pillow: their headers, and the formats that TensorFlow does not read well."""

import dataclasses
import functools
import io
import warnings
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageCms, ImageOps

from kerasdl.preprocessing.picture import Picture

#: Names of files that are read.
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
#: The formats as messages name them.
NAMES = "JPEG, PNG, BMP, GIF, WebP or TIFF"
#: Pixels of the largest picture: 179 million, which take half a gigabyte.
LIMIT = 2 * 2**30 // 12
_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF")
_ORIENTATION = 0x0112


@dataclasses.dataclass(frozen=True)
class Header:
    """What the first bytes of a picture say.

    Attributes:
        size: height and width in pixels, as the picture is seen.
        grey: whether it can hold no colours.
        is_turned: whether EXIF says that it is to be turned or mirrored.
        is_transparent: whether parts can be transparent.
        is_deep: whether a channel has 16 bits.
        has_frames: whether it holds several pictures: an animation, pages.
        needs_pillow: whether TensorFlow reads it wrongly, or not at all.
    """

    size: tuple[int, int]
    grey: bool
    is_turned: bool
    is_transparent: bool
    is_deep: bool
    has_frames: bool
    needs_pillow: bool

    @property
    def is_plain(self) -> bool:
        """Whether the pixels as they are stored are what people see."""
        return not (self.is_turned or self.is_transparent or self.is_deep or self.needs_pillow)


def header(path: Path) -> Header:
    """Read the header of a picture, and none of its pixels.

    Raises:
        OSError: when it is not a picture of a known format.
        ValueError: when its header is damaged, or says that it has more than `LIMIT` pixels.
    """
    with _open(path) as image:
        orientation = _orientation(image)
        # Pillow gives the size of a TIFF as it is seen, and of other files as they are stored.
        swapped = orientation >= 5 and image.format != "TIFF"
        width, height = image.size[::-1] if swapped else image.size
        raw_mode = str(image.tile[0][3]) if image.tile else ""
        needs_pillow = not _is_read_by_tensorflow(
            image
        )  # before `is_animated`, which moves on to other frames
        return Header(
            size=(height, width),
            grey=_is_grey(image),
            is_turned=orientation != 1,
            is_transparent=image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info,
            is_deep=image.mode.startswith("I") or (image.format == "PNG" and "16" in raw_mode),
            has_frames=image.format != "MPO" and getattr(image, "is_animated", False),
            needs_pillow=needs_pillow,
        )


def largest_value(path: Path) -> int:
    """Return the largest value in a 16-bit picture."""
    with _open(path) as image:
        if image.mode.startswith("I"):
            return int(np.asarray(image).max())
    import tensorflow as tf  # colours of 16 bits, of which Pillow keeps 8

    return int(tf.io.decode_png(path.read_bytes(), channels=3, dtype=tf.uint16).numpy().max())


def reader(picture: Picture):
    """Return the function of a scalar string tensor that reads a file by Pillow: (H, W, 3 or 4) uint8."""
    import tensorflow as tf

    def read(encoded):
        image = tf.numpy_function(functools.partial(_pixels, picture), [encoded], tf.uint8, stateful=False)
        image.set_shape((None, None, None))
        return image

    return read


def _pixels(picture: Picture, encoded: bytes) -> np.ndarray:
    """Return the first frame of a picture as RGB, or as RGBA where parts can be transparent."""
    with _open(io.BytesIO(encoded)) as image:
        image.load()
        if picture.orientation == "exif":
            image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            values = np.asarray(image).astype(np.float64)
            if values.min() < 0 or values.max() >= 2**16:
                raise ValueError(f"its values go from {values.min():g} to {values.max():g}")
            grey = np.round(np.minimum(values / (2**picture.bits - 1), 1) * 255).astype(np.uint8)
            return np.dstack([grey, grey, grey])
        if image.mode == "LAB":
            image = ImageCms.profileToProfile(
                image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        if image.mode == "F":
            raise ValueError("its pixels are floats")
        return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))


def _open(file: Path | IO[bytes]) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own of large pictures, and of damage that does not matter
        try:
            image = Image.open(file, formats=_FORMATS)
        except Image.DecompressionBombError:
            raise ValueError(f"it has more than {LIMIT:,} pixels") from None
        except (SyntaxError, TypeError, IndexError, KeyError, OverflowError, MemoryError) as error:
            raise ValueError(f"its header is damaged ({error})") from error
    if image.width * image.height > LIMIT:
        raise ValueError(f"it has {image.width:,} x {image.height:,} pixels, more than {LIMIT:,}")
    return image


def _is_read_by_tensorflow(image: Image.Image) -> bool:
    """Tell whether TensorFlow reads a picture as it is: faster, and the same pixels."""
    if image.format == "BMP":
        return bool(image.tile) and image.tile[0][3][0] == "BGR"  # 24 bits
    if image.format == "GIF":
        is_whole = bool(image.tile) and image.tile[0][1] == (0, 0, *image.size)
        return is_whole and "transparency" not in image.info
    return image.format in ("JPEG", "MPO", "PNG")


def _orientation(image: Image.Image) -> int:
    """Return the orientation that EXIF says, 1 to 8; 1 where it says none."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would read all pixels to look behind them
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, KeyError, TypeError, IndexError, OverflowError, OSError):
        return 1  # damaged EXIF data: the picture is taken as it is stored, here and in the exports
    return value if value in range(1, 9) else 1


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA") and image.palette is not None:
        palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
