"""Reading of `.npz` files."""

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
import psutil

from kerasdl.data import memory
from kerasdl.data.npz import inputs
from kerasdl.errors import UsageError, did_you_mean

_KEYS = ("x_train", "y_train", "x_test", "y_test")
_PIECE = 2**20
# Images shrink 1.5 to 50-fold; zeros a thousandfold.
_LARGE, _MOST_EXPANSION = 2**30, 200


def read(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an `.npz` file by name, each once, into memory that TensorFlow can share.

    Raises:
        UsageError: when the file is missing or damaged, or lacks an array.
    """
    if not path.is_file():
        near = [other.name for other in path.parent.glob("*.npz")] if path.parent.is_dir() else []
        raise UsageError(
            f"There is no file {path}. Give the path of an .npz file." + did_you_mean(path.name, near)
        )
    if not zipfile.is_zipfile(path):
        raise UsageError(
            f"{path} is not an .npz file, or it is cut short. Write it with "
            f"np.savez_compressed(path, {_call()})."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            keys = _present(path, [name.removesuffix(".npy") for name in archive.namelist()])
            entries = {key: _entry(archive, key) for key in keys}
            _check_size(path, list(entries.values()))
            return {key: _member(path, archive, key, entry) for key, entry in entries.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise UsageError(
            f"{path} is damaged and cannot be read ({error}). Write or copy it again."
        ) from error


def _call() -> str:
    return ", ".join(f"{key}=..." for key in _KEYS)


def _present(path: Path, found: list[str]) -> list[str]:
    """Return the keys to read."""
    if several := inputs.names_in(found):
        splits = ["train", "test", *(["val"] if "y_val" in found else [])]
        needed = [key for part in splits for key in (*(f"x_{part}_{name}" for name in several), f"y_{part}")]
        if lacking := [key for key in needed if key not in found]:
            raise UsageError(f"{path} has no array {' and no '.join(lacking)}; it has {', '.join(found)}.")
        return needed
    missing = [key for key in _KEYS if key not in found]
    if missing:
        raise UsageError(
            f"{path} has no array {' and no '.join(missing)}; it has {', '.join(found) or 'none at all'}. "
            f"Write it with np.savez_compressed(path, {_call()})."
            + did_you_mean(missing[0], set(found) - set(_KEYS))
        )
    if ("x_val" in found) != ("y_val" in found):
        raise UsageError(f"{path} has only one of x_val and y_val. Give both, or none to have it carved.")
    return [*_KEYS, *(key for key in ("x_val", "y_val") if key in found)]


def _check_size(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Raise a UsageError for arrays that expand to more than there is memory, or suspiciously much."""
    size = sum(entry.file_size for entry in entries)
    available = psutil.virtual_memory().available
    if size > available:
        raise UsageError(
            f"{path} expands to {size / 2**30:.1f} GB, but {available / 2**30:.1f} GB of memory are free. "
            "Give fewer examples, or a folder of images, which is read piece by piece."
        )
    if size > _LARGE and size > _MOST_EXPANSION * path.stat().st_size:
        raise UsageError(
            f"{path} has {path.stat().st_size / 2**20:.1f} MB and expands to {size / 2**30:.1f} GB, as "
            "an archive does that is made to fill the memory. If it is your own, write it with np.savez, "
            "uncompressed."
        )


def _entry(archive: zipfile.ZipFile, key: str) -> zipfile.ZipInfo:
    name = f"{key}.npy"
    return archive.getinfo(name if name in archive.namelist() else key)


def _member(path: Path, archive: zipfile.ZipFile, key: str, entry: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(entry) as stream:
        try:
            version = np.lib.format.read_magic(stream)
        except ValueError as error:
            raise UsageError(
                f"{key} in {path} is not a NumPy array. Write the file with np.savez_compressed."
            ) from error
        read_header = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read_header = np.lib.format.read_array_header_2_0
        try:
            shape, is_fortran, dtype = read_header(stream)
        except ValueError as error:
            raise UsageError(f"{key} in {path} cannot be read ({error}). Write the file again.") from error
        if dtype.hasobject:
            raise UsageError(
                f"{key} in {path} holds pickled Python objects, which can run any code when they are loaded: "
                "refused. Write plain numbers of one shape, for example np.stack(images)."
            )
        if not shape or math.prod(shape) == 0 or dtype.itemsize == 0:
            raise UsageError(f"{key} in {path} is empty: its shape is {shape}. Every split needs examples.")
        if min(shape) < 0 or math.prod(shape) * dtype.itemsize > entry.file_size:
            raise UsageError(
                f"{key} in {path} is damaged: its header says {shape} of {dtype}, but {entry.file_size:,} "
                "bytes follow. Write the file again."
            )
        array = memory.empty(shape[::-1] if is_fortran else shape, dtype)
        _fill(array, stream)
        return array.transpose() if is_fortran else array


def _fill(array: np.ndarray, stream: IO[bytes]) -> None:
    """Read an array's content piece by piece: a zip archive's `readinto` doubles what it reads."""
    content = memoryview(array.reshape(-1).view(np.uint8))
    for start in range(0, len(content), _PIECE):
        piece = content[start : start + _PIECE]
        if stream.readinto(piece) != len(piece):
            raise EOFError("its content is cut short")
