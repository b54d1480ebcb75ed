"""Images and labels in one NumPy `.npz` file."""

import dataclasses
import zipfile
import zlib
from pathlib import Path

import numpy as np

from kerasdl.data.dataset import ArraySplit, Dataset
from kerasdl.data.labelled.assemble import assemble, digest
from kerasdl.data.labelled.carving import check_fields
from kerasdl.data.labelled.choice import Choice
from kerasdl.errors import UsageError, did_you_mean

_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Npz(Choice):
    """An `.npz` file with x_train, y_train, x_test, y_test, and x_val, y_val if there is a validation split.

    Images are (N, H, W) or (N, H, W, C) with 1 or 3 channels, whole numbers 0..255 or floats 0..1 or 0..255;
    labels are whole numbers from 0 on, (N,) or (N, 1).
    """

    # The .npz file.
    path: str
    # Share of the training images that is kept for validation where the file has no x_val, 0 to 1.
    validation_fraction: float = 0.1
    # Seed of the choice of validation images.
    split_seed: int = 0

    def __post_init__(self):
        check_fields(self)

    def load(self) -> Dataset:
        """Read the file: images (N, H, W, C) uint8, labels (N,) int32.

        Raises:
            UsageError: when the file is missing, damaged, or holds something else than described above.
        """
        arrays = _read(Path(self.path).expanduser())
        names = {"train": "train", "test": "test"} | ({"validation": "val"} if "x_val" in arrays else {})
        images = _images({key: arrays[key] for key in arrays if key.startswith("x")})
        labels = {key: _labels(key, arrays[key]) for key in arrays if key.startswith("y")}
        num_classes = _num_classes(labels)
        splits = {}
        for name, suffix in names.items():
            x, y = images[f"x_{suffix}"], labels[f"y_{suffix}"]
            if len(x) != len(y):
                raise UsageError(
                    f"x_{suffix} has {len(x)} images but y_{suffix} has {len(y)} labels; give one per image."
                )
            splits[name] = ArraySplit(x, y)
        return assemble(
            splits,
            {name: digest(split.features) for name, split in splits.items()},
            fractions={"validation": self.validation_fraction},
            seed=self.split_seed,
            class_names=tuple(map(str, range(num_classes))),
            shape=images["x_train"].shape[1:],
            choice=self,
        )


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        near = [other.name for other in path.parent.glob("*.npz")] if path.parent.is_dir() else []
        raise UsageError(
            f"There is no file {path}. Give the path of an .npz file." + did_you_mean(path.name, near)
        )
    # np.load takes whatever is no zip archive for a pickle: say what it really is.
    if not zipfile.is_zipfile(path):
        raise UsageError(
            f"{path} is not an .npz file, or it is cut short. Write it with "
            f"np.savez_compressed(path, {_call()})."
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            keys = _present(path, archive.files)
            return {key: _member(path, archive, key) for key in keys}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise UsageError(
            f"{path} is damaged and cannot be read ({error}). Write or copy it again."
        ) from error


def _call() -> str:
    return ", ".join(f"{key}=..." for key in _KEYS)


def _present(path: Path, found: list[str]) -> list[str]:
    """Return the keys to read."""
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


def _member(path: Path, archive, key: str) -> np.ndarray:
    try:
        array = archive[key]
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise UsageError(
                f"{key} in {path} holds pickled Python objects, which can run any code when they are loaded: "
                "refused. Write plain numbers of one shape, for example np.stack(images)."
            ) from error
        raise UsageError(f"{key} in {path} cannot be read ({error}). Write the file again.") from error
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{key} in {path} is not a NumPy array. Write the file with np.savez_compressed.")
    if array.size == 0:
        raise UsageError(f"{key} in {path} is empty: its shape is {array.shape}. Every split needs examples.")
    return array


def _images(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Bring all images to (N, H, W, C) uint8, by one rule for all of them."""
    arrays = {key: _shaped(key, array) for key, array in arrays.items()}
    reference = arrays["x_train"]
    unit = _is_unit("x_train", reference)
    for key, array in arrays.items():
        if array.shape[1:] != reference.shape[1:]:
            raise UsageError(
                f"Images of x_train are {reference.shape[1:]} (height, width, channels), those of {key} "
                f"{array.shape[1:]}. All images have to have one shape."
            )
        if _is_unit(key, array) != unit:
            raise UsageError(
                f"x_train and {key} have different ranges: one is 0..1, the other 0..255. Store both alike."
            )
    if unit:
        return {key: np.round(array * 255).astype(np.uint8) for key, array in arrays.items()}
    return {key: np.round(array).astype(np.uint8) for key, array in arrays.items()}


def _shaped(key: str, array: np.ndarray) -> np.ndarray:
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4:
        raise UsageError(
            f"{key} has the shape {array.shape}, but images are (N, height, width) or "
            "(N, height, width, channels)."
        )
    if array.shape[-1] not in (1, 3):
        hint = " Move the channels to the end: np.moveaxis(x, 1, -1)." if array.shape[1] in (1, 3) else ""
        raise UsageError(
            f"{key} has the shape {array.shape}, that is {array.shape[-1]} channels, but an image has 1 "
            f"(grey) or 3 (RGB), on the last axis.{hint}"
        )
    return array


def _is_unit(key: str, array: np.ndarray) -> bool:
    """Check the range, and say if it is 0..1."""
    if array.dtype.kind not in "uif":
        raise UsageError(f"{key} has the dtype {array.dtype}, but pixels are whole numbers or floats.")
    low, high = array.min(), array.max()
    if not np.isfinite([low, high]).all():
        raise UsageError(f"{key} holds NaN or infinite pixels. Store 0..255, or floats 0..1.")
    if low < 0 or high > 255:
        raise UsageError(
            f"Pixels of {key} go from {low:g} to {high:g}, but they have to lie in 0..255, or 0..1 as "
            "floats. Store the raw pixels: standardising is part of the model."
        )
    return array.dtype.kind == "f" and bool(high <= 1)


def _labels(key: str, array: np.ndarray) -> np.ndarray:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise UsageError(
            f"{key} has the shape {array.shape}, but labels are class numbers of shape (N,). One-hot labels "
            "become class numbers with np.argmax(y, axis=1)."
        )
    if array.dtype.kind not in "ui":
        raise UsageError(f"{key} has the dtype {array.dtype}, but labels are whole numbers from 0 on.")
    if array.min() < 0 or array.max() >= 2**31:
        raise UsageError(f"{key} goes from {array.min()} to {array.max()}, but labels count from 0 on.")
    return array.astype(np.int32)


def _num_classes(labels: dict[str, np.ndarray]) -> int:
    classes = np.unique(labels["y_train"])
    if len(classes) == 1:
        raise UsageError(f"y_train has one class only ({classes[0]}); there is nothing to tell apart.")
    if classes[-1] != len(classes) - 1:
        gap = int(np.setdiff1d(np.arange(len(classes)), classes)[0])
        raise UsageError(
            f"y_train has {len(classes)} classes, up to {classes[-1]}, but none of class {gap}. Labels have "
            f"to be 0 to {len(classes) - 1} without a gap: np.unique(y, return_inverse=True)[1]."
        )
    for key, array in labels.items():
        if array.max() >= len(classes):
            raise UsageError(
                f"{key} has the label {array.max()}, out of range: the classes of y_train are 0 to "
                f"{classes[-1]}."
            )
    return len(classes)
