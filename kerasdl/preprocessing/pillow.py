"""Reading of pictures by Pillow: their headers, and the formats that TensorFlow does not read well."""

import dataclasses
import functools
import io
import sys
import warnings
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageCms, ImageOps

from kerasdl.preprocessing.picture import Orientation, Picture

#: Names of files that are read.
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
#: The formats as messages name them.
NAMES = "JPEG, PNG, BMP, GIF, WebP or TIFF"
#: Pixels of the largest picture: 179 million, which take half a gigabyte.
LIMIT = 2 * 2**30 // 12
_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF")
_ORIENTATION, _PHOTOMETRIC, _BITS, _PLANES = 0x0112, 262, 258, 284
_MIN_IS_WHITE, _SEPARATE = 0, 2
#: How colours of 16 bits lie in a TIFF, as Pillow names it; a letter for the order of their bytes follows.
_DEEP_COLOURS = ("RGB;16", "RGBX;16", "RGBA;16")
# Orientation of EXIF -> what undoes the turn that Pillow makes of it.
_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@dataclasses.dataclass(frozen=True)
class Header:
    """What the first bytes of a picture say.

    Attributes:
        stored_size: height and width in pixels, as the picture is stored.
        orientation: what EXIF says of how it is to be turned or mirrored, 1 to 8; 1 for not at all.
        grey: whether it can hold no colours.
        is_transparent: whether parts can be transparent.
        is_deep: whether a channel has 16 bits.
        has_frames: whether it holds several pictures: an animation, pages.
        needs_pillow: whether TensorFlow reads it wrongly, or not at all.
    """

    stored_size: tuple[int, int]
    orientation: int
    grey: bool
    is_transparent: bool
    is_deep: bool
    has_frames: bool
    needs_pillow: bool

    @property
    def is_turned(self) -> bool:
        """Whether the picture is seen in another way than it is stored."""
        return self.orientation != 1

    def size(self, orientation: Orientation = "exif") -> tuple[int, int]:
        """Return height and width in pixels, as the picture is seen, or as it is stored."""
        is_swapped = orientation == "exif" and self.orientation >= 5
        return self.stored_size[::-1] if is_swapped else self.stored_size

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
        swapped = orientation >= 5 and image.format == "TIFF"
        width, height = image.size[::-1] if swapped else image.size
        raw_mode = str(image.tile[0][3]) if image.tile else ""
        needs_pillow = not _is_read_by_tensorflow(
            image
        )  # before `is_animated`, which moves on to other frames
        return Header(
            stored_size=(height, width),
            orientation=orientation,
            grey=_is_grey(image),
            is_transparent=image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info,
            is_deep=image.mode.startswith("I")
            or (image.format == "PNG" and "16" in raw_mode)
            or _has_deep_colours(image),
            has_frames=image.format != "MPO" and getattr(image, "is_animated", False),
            needs_pillow=needs_pillow,
        )


def deep_values(path: Path) -> np.ndarray:
    """Return the stored values of a 16-bit picture, (H, W) or (H, W, 3)."""
    with _open(path) as image:
        if image.mode.startswith("I"):
            return np.asarray(image)
        if _has_deep_colours(image):
            return _deep_colours(path.read_bytes(), Picture())[..., :3]
    import tensorflow as tf  # colours of 16 bits, of which Pillow keeps 8

    return tf.io.decode_png(path.read_bytes(), channels=3, dtype=tf.uint16).numpy()


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
        if _has_deep_colours(image):
            return _scaled(_deep_colours(encoded, picture), picture)
        is_inverted = image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _MIN_IS_WHITE
        image = _loaded(image, picture)
        if image.mode.startswith("I"):
            values = np.asarray(image).astype(np.float64)
            if values.min() < 0 or values.max() >= 2**16:
                raise ValueError(f"its values go from {values.min():g} to {values.max():g}")
            if is_inverted:  # Pillow inverts up to 8 bits only
                values = np.maximum(2**picture.bits - 1 - values, 0)
            return _scaled(np.dstack([values, values, values]), picture)
        if image.mode == "LAB":
            image = ImageCms.profileToProfile(
                image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        if image.mode == "F":
            raise ValueError("its pixels are floats")
        return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))


def _loaded(image: Image.Image, picture: Picture) -> Image.Image:
    """Read the pixels of a picture, turned as `picture` says."""
    turn = _BACK.get(_orientation(image)) if image.format == "TIFF" else None
    image.load()  # turns a TIFF as it says
    if picture.orientation == "exif":
        return ImageOps.exif_transpose(image)
    return image if turn is None else image.transpose(turn)


def _has_deep_colours(image: Image.Image) -> bool:
    """Tell whether a picture is a TIFF with colours of 16 bits a channel."""
    return image.format == "TIFF" and bool(image.tile) and image.tile[0][3][0][:-1] in _DEEP_COLOURS


def _deep_colours(encoded: bytes, picture: Picture) -> np.ndarray:
    """Return colours of 16 bits from a TIFF, (H, W, 3 or 4) uint16.

    Pillow keeps the upper byte of each; told the other order of bytes, it keeps the lower one.
    """
    other = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
    halves = []
    for is_lower in (False, True):
        with _open(io.BytesIO(encoded)) as image:
            if is_lower:
                image.tile = [
                    tile._replace(args=(tile.args[0][:-1] + other[tile.args[0][-1]], *tile.args[1:]))
                    for tile in image.tile
                ]
            halves.append(np.asarray(_loaded(image, picture)).astype(np.uint16))
    return halves[0] * 256 + halves[1]


def _scaled(values: np.ndarray, picture: Picture) -> np.ndarray:
    """Bring values of 16 bits (H, W, 3 or 4) to uint8; of these, colours use `bits`, and alpha all."""
    whites = np.array([2**picture.bits - 1] * 3 + [2**16 - 1])[: values.shape[-1]]
    return np.round(np.minimum(values / whites, 1) * 255).astype(np.uint8)


def _check_planes(image: Image.Image) -> None:
    """Refuse a TIFF of deep colours in separate planes, whose bytes Pillow takes for pixels."""
    if image.format != "TIFF" or len(image.getbands()) == 1:
        return
    if image.tag_v2.get(_PLANES) == _SEPARATE and max(image.tag_v2.get(_BITS, (1,))) > 8:
        raise ValueError(
            "it has 16 bits a channel in separate planes. Save it with interleaved channels, or as PNG"
        )


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
    _check_planes(image)
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
