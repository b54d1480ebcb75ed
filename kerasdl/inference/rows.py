"""Reads many examples for `kerasdl predict` at once: the rows of a table, and arrays of NumPy."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kerasdl.data import encodings
from kerasdl.data.dataset import Spec
from kerasdl.data.npz.ranges import to_bytes
from kerasdl.data.table import rows
from kerasdl.errors import UsageError, did_you_mean
from kerasdl.files import parsing
from kerasdl.inference.endpoint import Example

_log = logging.getLogger(__name__)

_ARRAYS = (".npy", ".npz")
_TABLES = (".csv", ".tsv")
_FIRST = ("x_test", "features", "images", "inputs", "x")  # which array of several holds the examples


def read_rows(
    inputs: Spec, read_one: Callable[[str], np.ndarray], given: Sequence[str], text_column: str | None
) -> list[Example]:
    """Return every example that is given.

    Args:
        inputs: shape, dtype and columns of an example.
        read_one: reads one example that is neither in a table nor an array.
        given: `.npy` and `.npz` files of examples (N, ...); for examples (columns,) `.csv` and `.tsv` files
            too; anything else is one example.
        text_column: has to be None.

    Raises:
        UsageError: for what cannot be read, does not fit, or is not a finite number.
    """
    if text_column is not None:
        raise UsageError("--text-column is for networks that read texts. Leave it out.")
    found: list[Example] = []
    for text in given:
        suffix, is_file = Path(text).suffix.lower(), _is_file(text)
        if is_file and suffix in _ARRAYS:
            examples = _of_array(inputs, Path(text))
        elif is_file and suffix in _TABLES and len(inputs.shape) == 1:
            examples = _of_table(inputs, Path(text))
        else:
            found.append(Example({"file": text}, read_one(text)))
            continue
        found += [Example({"file": text, "row": row}, one) for row, one in enumerate(examples, 1)]
    return found


def fitted(inputs: Spec, values: np.ndarray, name: str) -> np.ndarray:
    """Return numbers with the dtype of an input.

    Raises:
        UsageError: for a number that it cannot hold; `name` says where it stands.
    """
    if values.dtype == inputs.dtype and values.dtype.kind in "iub":
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        array = values.astype(inputs.dtype)
    whole = array.dtype.kind in "iub"
    bad = ~np.isfinite(array) | (array != values if whole else False)
    if bad.any():
        kind = "a whole number that it can hold" if whole else "a finite number"
        raise UsageError(
            f"{name}: the network takes {inputs.dtype}, and {values[bad].flat[0]:g} is not {kind}."
        )
    return array


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # no file can have such a name
        return False


def _of_array(inputs: Spec, path: Path) -> np.ndarray:
    """Return the examples (N, ...) of a file of NumPy."""
    with parsing(path, "Write it again with np.savez.", UsageError):
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            array = loaded
        else:
            with loaded:
                array = loaded[_examples_among(path, loaded.files)]
    if array.shape[1:] == inputs.shape[:-1] and inputs.is_image and inputs.shape[-1] == 1:
        array = array[..., None]
    if array.shape == inputs.shape:
        array = array[None]
    if not len(array):
        raise UsageError(f"{path} holds no example. Give one or more.")
    if array.shape[1:] != inputs.shape or array.dtype.kind not in "iufb":
        raise UsageError(
            f"{path} holds {array.dtype} of shape {array.shape}, but the network takes examples of shape "
            f"{inputs.shape}: give (N, {', '.join(map(str, inputs.shape))})."
        )
    return fitted(inputs, _pixels(path, array) if inputs.is_image else array, str(path))


def _pixels(path: Path, array: np.ndarray) -> np.ndarray:
    """Return pixels from 0 to 1 as those from 0 to 255, as training reads them; others as they are."""
    if array.dtype.kind == "b" or 0 <= array.min() <= array.max() <= 1:
        if array.any():
            _log.warning(f"{path} holds pixels from 0 to 1: 1 is taken for white, 255.")
        return to_bytes(1)(array)
    return array


def _examples_among(path: Path, names: Sequence[str]) -> str:
    """Return the name of the array that holds the examples."""
    known = [name for name in _FIRST if name in names]
    if not known and len(names) != 1:
        raise UsageError(
            f"{path} has the arrays {', '.join(names)}. Call that of the examples {_FIRST[1]!r}."
        )
    return (known or list(names))[0]


def _of_table(inputs: Spec, path: Path) -> np.ndarray:
    """Return the rows of a table that has the columns of the training, or as many."""
    lines, guessed = rows.read(path, with_gaps=True)  # answers are counted by row
    for note in encodings.guessed_note([path] if guessed else []):
        _log.warning(note)
    if not lines:
        raise UsageError(f"{path} is empty. Give a row for each example.")
    first = [cell.strip() for cell in lines[0][1]]
    places = _places(inputs, path, first)
    header = bool(inputs.columns) or not any(map(_is_number, first))
    found = []
    for line, row in lines[header:]:
        if len(row) != len(first):
            raise UsageError(f"{path}, line {line}: {len(row)} cells, but the first row has {len(first)}.")
        cells = [row[place].strip() for place in places]
        if wrong := [cell for cell in cells if not _is_number(cell)]:
            raise UsageError(f"{path}, line {line}: {wrong[0]!r} is not a number.")
        found.append(fitted(inputs, np.array([float(cell) for cell in cells]), f"{path}, line {line}"))
    if not found:
        raise UsageError(f"{path} has no row below its header.")
    return np.stack(found)


def _places(inputs: Spec, path: Path, header: list[str]) -> list[int]:
    """Return the places of the columns in a table."""
    if not inputs.columns:
        if len(header) != inputs.shape[0]:
            raise UsageError(
                f"{path} has {len(header)} columns, but the network takes {inputs.shape[0]} numbers. Give "
                "the features alone, in the order of the training."
            )
        return list(range(len(header)))
    for name in inputs.columns:
        if name not in header:
            raise UsageError(
                f"{path} has no column {name!r}; it has {', '.join(header[:20])}."
                + did_you_mean(name, header)
            )
        if header.count(name) > 1:
            raise UsageError(f"{path} has {header.count(name)} columns {name!r}. Rename all but one.")
    return [header.index(name) for name in inputs.columns]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
