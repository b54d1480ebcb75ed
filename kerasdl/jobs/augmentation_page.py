"""The section of a report with augmented training images."""

from collections.abc import Mapping

import numpy as np

from kerasdl.report import pictures
from kerasdl.report.blocks import Picture, Section, Table, Text

FILE_NAME = "augmented.npz"


def section(arrays: Mapping[str, np.ndarray] | None) -> Section | None:
    """Return a sheet of images; None where there are none.

    Args:
        arrays: content of `augmented.npz`: `images` (rows, 1 + copies, height, width, channels), uint8, the
            originals first.
    """
    images = None if arrays is None else arrays["images"]
    if images is None or images.ndim < 4 or images.size == 0 or not pictures.is_picture(images.shape[2:]):
        return None
    rows = []
    for number, row in enumerate(images, 1):
        names = [f"Original {number}", *(f"Copy {copy} of {number}" for copy in range(1, len(row)))]
        cells = (Picture(*pictures.data_uri(image), name, "") for image, name in zip(row, names, strict=True))
        rows.append([f"{number}", *cells])
    said = "What the network saw of some training images: each epoch draws other copies."
    forms = {"": None, "original": None} | {f"copy {copy}": None for copy in range(1, images.shape[1])}
    return Section("Augmentation", [Text(said), Table.of("Augmented images", forms, rows)])
