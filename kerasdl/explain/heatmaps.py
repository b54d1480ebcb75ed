"""Maps over images as colours, and the kernels of a convolution as a grid of pictures."""

import numpy as np

from kerasdl.report import pictures

#: Methods whose maps have two sides: for and against the class.
SIGNED = ("integrated-gradients", "occlusion")
#: For and against: Okabe and Ito, "Color universal design", 2008, vermillion and blue.
FOR, AGAINST = (213, 94, 0), (0, 114, 178)
_MOST_FILTERS = 64
#: viridis at ten even places; N. Smith and S. van der Walt, 2015, CC0.
_VIRIDIS = np.frombuffer(
    bytes.fromhex("440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725"), np.uint8
).reshape(-1, 3)
_MOST_CHANNELS = 16  # of kernels that are drawn channel by channel


def overlay(image: np.ndarray, values: np.ndarray, *, signed: bool) -> np.ndarray:
    """Lay a map over its image in grey.

    Args:
        image: (height, width, channels), uint8 0..255.
        values: (height, width); the largest magnitude (but for 0.5 % of the pixels) gets the full colour.
        signed: show both sides of 0, vermillion above and blue below; without, viridis from 0 on.

    Returns:
        (height, width, 3), uint8.
    """
    grey = image.astype(np.float32).mean(-1, keepdims=True)
    strength = scaled(values)[..., None]
    if not signed:
        return _bytes(0.35 * grey + 0.65 * viridis(strength[..., 0]))
    return _bytes(two_sided(strength[..., 0], 128 + grey[..., 0] / 2))


def two_sided(strength: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Return the colours (..., 3), float 0..255, of values -1..1 over a grey ground 0..255."""
    color = np.where(strength[..., None] > 0, np.float32(FOR), np.float32(AGAINST))
    opacity = 0.95 * np.abs(strength[..., None]) ** 0.7
    return ground[..., None] * (1 - opacity) + color * opacity


def scaled(values: np.ndarray) -> np.ndarray:
    """Bring a map to -1..1, with 0 where it was; a few outlying pixels are cut."""
    values = np.nan_to_num(values.astype(np.float32))
    magnitudes = np.abs(values)
    most = np.quantile(magnitudes, 0.995) or magnitudes.max()
    return np.clip(values / most, -1, 1) if most > 0 else values


def viridis(values: np.ndarray) -> np.ndarray:
    """Return the colours (..., 3), float 0..255, of values 0..1: evenly spaced to the eye, also in grey."""
    places = np.linspace(0, 1, len(_VIRIDIS))
    return np.stack([np.interp(values, places, channel) for channel in _VIRIDIS.T], axis=-1)


def filters(kernel: np.ndarray) -> tuple[np.ndarray, str]:
    """Draw the kernels of a convolution, and say how.

    Args:
        kernel: (height, width, channels, filters).

    Returns:
        The grid (height, width, 3), uint8, a pixel for each weight, and what it shows.
    """
    rows, columns, channels, count = kernel.shape
    shown = kernel[..., :_MOST_FILTERS].transpose(3, 0, 1, 2).astype(np.float32)  # (F, h, w, C)
    largest = np.abs(shown).max((1, 2, 3), keepdims=True)
    pixels = _bytes(127.5 + 127.5 * shown / np.where(largest > 0, largest, 1))
    if channels in (1, 3):
        tiles, across = np.broadcast_to(pixels, (*pixels.shape[:3], 3)), int(np.ceil(np.sqrt(len(pixels))))
        how = "red, green and blue are the input's channels" if channels == 3 else "grey, one input channel"
    else:
        across = min(channels, _MOST_CHANNELS)
        parts = pixels[..., :across].transpose(0, 3, 1, 2)[..., None]  # (F, C, h, w, 1)
        parts = parts.reshape(-1, rows, columns, 1)
        tiles, how = (
            np.broadcast_to(parts, (*parts.shape[:3], 3)),
            "a row for each filter, a column a channel",
        )
        if across < channels:
            how += f" (the first {across} of {channels})"
    some = f"the first {len(shown)} of {count}" if count > len(shown) else f"all {count}"
    said = (
        f"{some} filters of {rows}x{columns}, {how}; each divided by its own largest weight, "
        "so that middle grey is 0, white +1, black -1"
    )
    return pictures.grid(tiles, across), said


def as_rgb(image: np.ndarray) -> np.ndarray:
    """Return an image (height, width, 1, 3 or 4) as (height, width, 3)."""
    return image[..., :3] if image.shape[-1] >= 3 else image[..., :1].repeat(3, -1)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
