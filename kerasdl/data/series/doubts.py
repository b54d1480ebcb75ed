"""What to doubt about the columns of a series: no changes, rounding, numbers for missing values."""

import numpy as np

from kerasdl.data.series.reading import Rows

_FEWEST_ROUNDINGS = 100  # of float32 in a standard deviation


def constant(values: np.ndarray) -> np.ndarray:
    """Tell of each column (R, C) whether all its values are the same, (C,) bool."""
    return np.nanmax(values, axis=0) == np.nanmin(values, axis=0)


def notes_of_scale(rows: Rows, train_end: int) -> list[str]:
    """Return sentences about columns without changes, and about such as float32 cannot tell from noise."""
    train, found = rows.values[:train_end], []
    std = np.nanstd(train, axis=0)
    rounding = np.spacing(np.nanmax(np.abs(train), axis=0).astype(np.float32))
    for k, name in enumerate(rows.columns):
        if constant(train[:, [k]])[0]:
            found.append(
                f"Column {name} is the same in all {train_end:,} rows of the training part: nothing is "
                "learned from it, and a change later comes unscaled. Leave it out of --features."
            )
        elif std[k] < _FEWEST_ROUNDINGS * rounding[k]:
            found.append(
                f"Column {name} changes by {std[k]:.2g} (standard deviation) around values that float32 "
                f"rounds to multiples of {rounding[k]:.2g}: its changes are lost. Subtract a constant in the "
                "file."
            )
    return found


def notes_of_fillers(rows: Rows) -> list[str]:
    """Return sentences about columns where -999 or the like seems to stand for missing values."""
    found = []
    for name, values in zip(rows.columns, rows.values.T, strict=True):
        for edge in (np.nanmin(values), np.nanmax(values)):
            others = values[np.isfinite(values) & (values != edge)]
            count = int((values == edge).sum())
            nines = set(f"{abs(edge):.10g}".replace(".", "")) == {"9"} and abs(edge) > 90
            if not nines or count < 2 or not len(others):
                continue
            if np.abs(others - edge).min() > 2 * np.ptp(others) > 0:
                found.append(
                    f"Column {name} is {edge:g} in {count:,} rows, far from all other values. Leave the "
                    "cells empty if that says that a value is missing."
                )
    return found
