"""Refuses targets that are not the numbers of classes."""

import numpy as np

from kerasdl.data.dataset import Dataset
from kerasdl.errors import UsageError


def check(data: Dataset) -> None:
    """Raise a UsageError unless each target is the number of a class."""
    count = len(data.spec.class_names)
    for name in ("train", "validation", "test"):
        targets = np.asarray(getattr(data, name).targets)
        if not len(targets):
            continue
        wanted = f"classification takes the numbers of the {count} classes, whole ones from 0 to {count - 1}"
        if targets.ndim != 1 or targets.dtype.kind not in "ui":
            raise UsageError(
                f"The {name} targets have the shape {targets.shape} and the dtype {targets.dtype}, "
                f"but {wanted}, of shape ({len(targets)},). Give them "
                f"as int32 in the source's load(): y.astype(np.int32)."
            )
        low, high = int(targets.min()), int(targets.max())
        if low < 0 or high >= count:
            raise UsageError(
                f"The {name} targets go from {low} to {high}, but {wanted}. Number them so, or name all "
                "classes in the source's load()."
            )
