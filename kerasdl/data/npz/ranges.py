"""The range of pixels in arrays: which value is white, and what is said where that is a guess."""

from collections.abc import Mapping

import numpy as np

from kerasdl.errors import UsageError

#: Value of `white` for the rule of version 0.1.0: 1 for floats up to exactly 1, else 255.
AS_BEFORE = 0.0
# Resizing overshoots: up to a tenth of the range, at the edges of what is shown.
_OVERSHOOT = 0.1
# Largest value below which 0..255 is doubted, and with fractions refused.
_DARK, _TOO_DARK = 128, 32
# Ratio of the largest values of two arrays from which they seem to be scaled differently.
_APART = 4


def find_white(images: Mapping[str, np.ndarray], white: float | None) -> tuple[float, tuple[str, ...]]:
    """Return the value of a white pixel, one for all arrays, and sentences about what is doubtful.

    Args:
        images: arrays of pixels by name, x_train among them.
        white: the value, where it is known.

    Raises:
        UsageError: when the arrays hold no pixels, have different ranges, or one that can be read in two
            ways.
    """
    limits = {key: _limits(key, array) for key, array in images.items()}
    if white is None or white == AS_BEFORE:
        whole = [high for key, (_, high) in limits.items() if images[key].dtype.kind in "ui"]
        found = {key: _white(images[key], *limits[key], max(whole, default=0), white) for key in images}
        for key, value in found.items():
            if value != found["x_train"]:
                raise UsageError(
                    f"x_train and {key} have different ranges: one is 0..1, the other 0..255. Store both "
                    "alike."
                )
        if white == AS_BEFORE:
            return found["x_train"], ()
        white = found["x_train"]
    notes = [note for key in images for note in _outside(key, images[key], *limits[key], white)]
    highest = max(high for _, high in limits.values())
    if white == 255 and highest < _DARK:
        notes.append(_doubt(images, highest))
    return white, (*notes, *_apart(limits))


def to_bytes(white: float):
    """Return the function from pixels up to `white` to pixels 0..255."""

    def convert(pixels: np.ndarray) -> np.ndarray:
        scaled = pixels if white == 255 else pixels * (255 / white)
        return np.clip(np.round(scaled), 0, 255)

    return convert


def _limits(key: str, array: np.ndarray) -> tuple[float, float]:
    if array.dtype.kind not in "buif":
        raise UsageError(f"{key} has the dtype {array.dtype}, but pixels are whole numbers or floats.")
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise UsageError(f"{key} holds NaN or infinite pixels. Store 0..255, or floats 0..1.")
    return low, high


def _white(array: np.ndarray, low: float, high: float, highest_whole: float, white: float | None) -> float:
    """Return 1 or 255. Whole numbers are judged together: images of one array may all be dark."""
    if white == AS_BEFORE:
        return 1.0 if array.dtype.kind == "f" and high <= 1 else 255.0
    if array.dtype.kind in "ui":
        return 1.0 if highest_whole <= 1 else 255.0
    return 1.0 if low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT else 255.0


def _outside(key: str, array: np.ndarray, low: float, high: float, white: float) -> list[str]:
    """Return the sentence about pixels that are cut off; none where all lie in the range.

    Raises:
        UsageError: when that is more than the overshoot of resizing.
    """
    if low >= 0 and high <= white:
        return []
    count = np.count_nonzero((array < 0) | (array > white))
    slack = _OVERSHOOT * white
    plausible = array.dtype.kind == "f" and high > white / 2 and count <= _OVERSHOOT * array.size
    if low < -slack or high > white + slack or not plausible:
        known = "0..255, or 0..1 as floats" if white in (1, 255) else f"0..{white:g}"
        advice = f" Or say which value is white: --white {high:g}." if low >= 0 and white in (1, 255) else ""
        raise UsageError(
            f"Pixels of {key} go from {low:g} to {high:g}, but they have to lie in {known}. Store the raw "
            f"pixels: standardising is part of the model.{advice} For numbers that are not pixels, give "
            "--features numbers."
        )
    return [
        f"{count:,} of {array.size:,} pixels of {key} lie outside of 0..{white:g} ({low:.9g} to "
        f"{high:.9g}), as resizing makes them: they are cut off."
    ]


def _apart(limits: Mapping[str, tuple[float, float]]) -> tuple[str, ...]:
    """Return the sentence about arrays whose largest pixels lie far apart; none where none do."""
    highest = [high for _, high in limits.values()]
    if max(highest) < _APART * min(highest) or max(highest) <= 0:
        return ()
    found = ", ".join(f"{low:g}..{high:g} in {key}" for key, (low, high) in limits.items())
    return (f"Pixels go over different ranges: {found}. Store all splits alike, if that is not meant.",)


def _doubt(images: Mapping[str, np.ndarray], highest: float) -> str:
    """Return the sentence about pixels that are nearly black if 255 is white.

    Raises:
        UsageError: when they have fractions, which would be lost.
    """
    fractions = any(array.dtype.kind == "f" and (array != np.round(array)).any() for array in images.values())
    if fractions and highest < _TOO_DARK:
        raise UsageError(
            f"Pixels go up to {highest:g} and have fractions, so that they are neither 0..1 nor 0..255. Say "
            f"which value is white: --white {highest:g}, or --white 255 if they are so dark."
        )
    return (
        f"Pixels go up to {highest:g} only and are read as 0..255: nearly black. If {highest:g} is white, "
        f"give --white {highest:g}."
    )
