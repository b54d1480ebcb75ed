"""Pictures: raw examples in a page, many images in a grid, PNG files and animated GIF files."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

_EXACT = 64  # longest side in pixels that is not reduced
_MOST_ROWS = 16  # classes that have a row of their own
_REDUCED = 160  # longest side of reduced pictures: 24 of them are about 200 kB


def is_picture(shape: tuple[int, ...]) -> bool:
    """Tell whether an example of this shape can be drawn: (height, width[, 1, 3 or 4])."""
    return (len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3, 4))) and min(shape) > 0


def data_uri(
    example: np.ndarray, *, exact: int = _EXACT, reduced: int = _REDUCED, colours: int | None = None
) -> tuple[str, int, int]:
    """Return an example as a data URI, its width and its height in pixels.

    Args:
        example: (height, width) or (height, width, channels), 1 channel grey, 3 RGB, 4 RGBA. uint8 0..255 is
            taken as it is; of other types the range of values in the example is stretched to black and white.
        exact: longest side in pixels that is not reduced. Defaults to 64.
        reduced: longest side in pixels of reduced ones. Defaults to 160.
        colours: how many colours, or greys, one that is not reduced has at most: 16 halve its size. Defaults
            to all that there are.
    """
    image = _image(_stretched(example))
    name, options = "PNG", {"optimize": True}
    if max(image.size) > exact:
        image.thumbnail((reduced, reduced))
        name, options = "JPEG", {"quality": 85}
    elif colours is not None:
        image = image.quantize(colours)
    file = io.BytesIO()
    image.save(file, name, **options)
    text = base64.b64encode(file.getvalue()).decode()
    return f"data:image/{name.lower()};base64,{text}", *image.size


def grid(images: np.ndarray, columns: int | None = None, *, ground: int = 255) -> np.ndarray:
    """Put images into rows, with a pixel between them.

    Args:
        images: (N, height, width, channels) of 1 or 3 channels, uint8, or floats 0..1; what lies beyond is
            cut.
        columns: images in a row. Defaults to as many as make the grid about square.
        ground: grey of the pixels between the images, and of the places that are left, 0..255.

    Returns:
        (rows * (height + 1) - 1, columns * (width + 1) - 1, channels), uint8.
    """
    tiles = as_uint8(images)
    count, height, width, channels = tiles.shape
    columns = columns or int(np.ceil(np.sqrt(count * height / width)))
    columns = min(columns, count)
    rows = -(-count // columns)
    found = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), ground, np.uint8)
    for index, tile in enumerate(tiles):
        y, x = (height + 1) * (index // columns), (width + 1) * (index % columns)
        found[y : y + height, x : x + width] = tile
    return found


def rows_by_class(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Put images into a grid that has a row for each class, in the order of their numbers.

    Args:
        images: (N, height, width, channels), as `grid` takes them.
        labels: class of each, (N,).
    """
    tiles, rows = as_uint8(images), [np.flatnonzero(labels == label) for label in np.unique(labels)]
    columns = max(map(len, rows))
    cells = np.full((len(rows), columns, *tiles.shape[1:]), 255, np.uint8)
    for row, members in zip(cells, rows, strict=True):
        row[: len(members)] = tiles[members]
    return grid(cells.reshape(-1, *tiles.shape[1:]), columns)


def arranged(images: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Put images into a grid: with a row for each class where there are a few, each with two images or more.

    Args:
        images: (N, height, width, channels), as `grid` takes them.
        labels: class of each, (N,); None where they have none.
    """
    classes = np.zeros(1) if labels is None else np.unique(labels)
    has_rows = 1 < len(classes) <= _MOST_ROWS and len(images) >= 2 * len(classes)
    return rows_by_class(images, labels) if has_rows else grid(images)


def as_uint8(images: np.ndarray) -> np.ndarray:
    """Return images of floats 0..1 as uint8; what lies beyond is cut, what is no number black."""
    if images.dtype == np.uint8:
        return images
    return np.round(255 * np.clip(np.nan_to_num(images.astype(np.float64)), 0, 1)).astype(np.uint8)


def enlarged(pixels: np.ndarray, side: int) -> np.ndarray:
    """Repeat the pixels of a small picture so often that its longer side has about `side`."""
    factor = max(round(side / max(pixels.shape[:2])), 1)
    return pixels.repeat(factor, 0).repeat(factor, 1)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write a picture (height, width, 1 or 3), uint8, as PNG."""
    _image(pixels).save(path, "PNG", optimize=True)


def write_gif(path: Path, frames: Sequence[np.ndarray], *, seconds: float = 0.1) -> None:
    """Write pictures (height, width, 1 or 3), uint8, as an animation that begins anew at its end.

    Args:
        path: the file.
        frames: pictures of one size.
        seconds: how long each is shown; browsers show none shorter than 0.02.
    """
    first, *others = [
        _image(frame).quantize(256) if frame.shape[-1] == 3 else _image(frame) for frame in frames
    ]
    first.save(
        path, "GIF", save_all=True, append_images=others, duration=round(1000 * seconds), loop=0, disposal=1
    )


def read_png(path: Path) -> np.ndarray:
    """Read a picture that `write_png` wrote, (height, width, 1 or 3), uint8."""
    with Image.open(path, formats=("PNG",)) as image:
        pixels = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _image(pixels: np.ndarray) -> Image.Image:
    """Return pixels (height, width[, 1, 3 or 4]), uint8, as an image; transparency is left out."""
    if pixels.ndim == 3:
        pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels[..., :3]
    return Image.fromarray(np.ascontiguousarray(pixels))


def _stretched(example: np.ndarray) -> np.ndarray:
    if example.dtype == np.uint8:
        return example
    values = np.nan_to_num(example.astype(np.float64))
    low, high = values.min(), values.max()
    return np.round((values - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8)
