"""Warns of images that are far from those that a network was trained on: its answers mean little there."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasdl.data.dataset import DataSpec
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export.card import read_card
from kerasdl.export.samples import inputs_of
from kerasdl.files import read_arrays
from kerasdl.inference.reading import are_images
from kerasdl.preprocessing import pillow

_FAR = 0.25  # of the range from black to white: further from all training images is another kind of image
_ENLARGED = 4  # times: what was that much smaller has no more details


def notes(
    place: Path, kind: str, spec: DataSpec, endpoint: str, files: Sequence[str], images: Sequence[np.ndarray]
) -> list[str]:
    """Return a sentence for each way in which images differ from those of the training.

    Args:
        place: the run or the bundle, which keep some of those.
        kind: "keras" for a run.
        spec: specification of the training's examples.
        endpoint: name of the endpoint that takes images.
        files: the image files.
        images: what was read of them, (H, W, C) uint8.
    """
    if not are_images(spec.inputs) or not images:
        return []
    height, width, channels = spec.inputs.shape
    headers = [pillow.header(Path(file)) for file in files]
    colourful = [file for file, header in zip(files, headers, strict=True) if not header.grey]
    small = [
        file
        for file, header in zip(files, headers, strict=True)
        if max(height, width) > _ENLARGED * max(header.stored_size)
    ]
    found = []
    if channels == 1 and colourful:
        found.append(f"{_named(colourful)} in colours, but the network was trained on grey images.")
    if small:
        found.append(f"{_named(small)} much smaller than the {width}x{height} pixels of the training.")
    known = _known(place, kind, endpoint)
    if known is not None and known.ndim == 4:
        means = known.mean(axis=(1, 2, 3)) / 255
        low, high = means.min() - _FAR, means.max() + _FAR
        far = [
            file for file, image in zip(files, images, strict=True) if not low <= image.mean() / 255 <= high
        ]
        if far:
            found.append(
                f"{_named(far)} far brighter or darker than those of the training ({means.min():.0%} to "
                f"{means.max():.0%} of white). Are light and dark swapped?"
            )
    return found


def _named(files: Sequence[str]) -> str:
    if len(files) == 1:
        return f"{files[0]} is"
    return f"{files[0]} and {len(files) - 1:,} more images are"


def _known(place: Path, kind: str, endpoint: str) -> np.ndarray | None:
    """Return some images of the data that the network was trained on, (N, H, W, C); None without."""
    with contextlib.suppress(UsageError, RunFailedError, OSError, KeyError):
        if kind == "keras":
            arrays = read_arrays(place / "reference.npz")
        else:
            arrays = inputs_of(read_card(place if place.is_dir() else place.parent), endpoint)
        return next((value for value in arrays.values() if value.ndim == 4 and value.dtype == np.uint8), None)
    return None
