"""Raw examples as pictures in a page: small ones exact, large ones reduced."""

import base64
import io

import numpy as np
from PIL import Image

_EXACT = 64  # longest side in pixels that is not reduced
_REDUCED = 160  # longest side of reduced pictures: 24 of them are about 200 kB


def is_picture(shape: tuple[int, ...]) -> bool:
    """Tell whether an example of this shape can be drawn: (height, width[, 1, 3 or 4])."""
    return (len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3, 4))) and min(shape) > 0


def data_uri(example: np.ndarray, *, exact: int = _EXACT) -> tuple[str, int, int]:
    """Return an example as a data URI, its width and its height in pixels.

    Args:
        example: (height, width) or (height, width, channels), 1 channel grey, 3 RGB, 4 RGBA. uint8 0..255 is
            taken as it is; of other types the range of values in the example is stretched to black and white.
        exact: longest side in pixels that is not reduced. Defaults to 64.
    """
    pixels = _as_bytes(example)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    image = Image.fromarray(np.ascontiguousarray(pixels[..., :3] if pixels.ndim == 3 else pixels))
    name, options = "PNG", {"optimize": True}
    if max(image.size) > exact:
        image.thumbnail((_REDUCED, _REDUCED))
        name, options = "JPEG", {"quality": 85}
    file = io.BytesIO()
    image.save(file, name, **options)
    text = base64.b64encode(file.getvalue()).decode()
    return f"data:image/{name.lower()};base64,{text}", *image.size


def _as_bytes(example: np.ndarray) -> np.ndarray:
    if example.dtype == np.uint8:
        return example
    values = np.nan_to_num(example.astype(np.float64))
    low, high = values.min(), values.max()
    return np.round((values - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8)
