"""Own images: a folder with one sub-folder per class."""

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.images import files as images
from kerasdl.data.labelled.assemble import assemble
from kerasdl.data.labelled.carving import check_fields, check_image_size
from kerasdl.data.labelled.choice import Choice
from kerasdl.data.splits import ArraySplit, FileSplit, Split
from kerasdl.errors import UsageError, did_you_mean

_SPLIT_FOLDERS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


@dataclasses.dataclass(frozen=True, eq=False)
class _Files:
    """The image files of one split, class after class, sorted by name."""

    paths: list[Path]
    labels: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFolder(Choice):
    """JPEG, PNG, BMP and GIF (first frame) images, one sub-folder per class, named after the class.

    The class folders lie in `path` itself, or in its sub-folders train/, validation/ (or val/) and test/;
    what of these is missing is carved from the training images. Hidden files and other files are ignored.
    """

    # The folder.
    path: str
    # Height and width in pixels that images are brought to; none for the size of the first training image.
    image_size: tuple[int, int] | None = None
    # Channels that images are brought to, 1 grey or 3 RGB; none for 1 if those looked at are grey, else 3.
    image_channels: Literal[1, 3] | None = None
    # Leave out images that cannot be read, and count them, instead of stopping.
    skip_bad_images: bool = False
    # Share of the images that is kept for the test where there is no test/, 0 to 1.
    test_fraction: float = 0.2
    # Share of the remaining images that is kept for validation where there is no validation/, 0 to 1.
    validation_fraction: float = 0.1
    # Seed of the choice of test and validation images.
    split_seed: int = 0
    # Memory in MB (2**20 bytes) up to which decoded images are held there; more is read from disk each epoch.
    max_memory_mb: int = 2048

    def __post_init__(self):
        check_fields(self)
        check_image_size(self.image_size)
        if self.image_channels not in (None, 1, 3):
            raise UsageError(
                f"image_channels is {self.image_channels}, but an image has 1 (grey) or 3 (RGB)."
            )

    @classmethod
    def claim(cls, text: str) -> "ImageFolder | None":
        """Return the source for an existing folder."""
        return cls(path=text) if text and Path(text).expanduser().is_dir() else None

    def load(self) -> Dataset:
        """Read and check every image: (H, W, C) uint8, labels int32.

        Raises:
            UsageError: when the folder is not as described, or an image is bad (it is named).
        """
        files, class_names = _list(Path(self.path).expanduser())
        seen = images.look(files["train"].paths, skip_bad=self.skip_bad_images)
        shape = (*(self.image_size or seen.sizes[0]), self.image_channels or (1 if seen.grey else 3))
        num_bytes = sum(len(part.paths) for part in files.values()) * int(np.prod(shape))
        in_memory = num_bytes <= self.max_memory_mb * 2**20
        splits: dict[str, Split] = {}
        digests, bad = {}, []
        for name, part in files.items():
            reading = images.read(part.paths, shape, keep=in_memory, skip_bad=self.skip_bad_images)
            good = [part.paths[index] for index in reading.good]
            labels = part.labels[reading.good]
            if in_memory:
                splits[name] = ArraySplit(reading.pixels, labels)
            else:
                splits[name] = FileSplit(good, labels, images.reader(shape))
            digests[name] = reading.digests
            bad += sorted(set(part.paths) - set(good))
            _check_classes_left(name, labels, class_names)
        return assemble(
            splits,
            digests,
            fractions={"test": self.test_fraction, "validation": self.validation_fraction},
            seed=self.split_seed,
            spec=DataSpec(Spec(shape, "uint8"), Spec((), "int32", class_names)),
            choice=self,
            notes=_size_note(seen, shape) + images.bad_images_note(bad),
        )


def _size_note(seen: images.Look, shape: tuple[int, int, int]) -> tuple[str, ...]:
    if len(seen.sizes) == 1:
        return ()
    return (
        f"Images differ in size (as {seen.sizes[0][0]}x{seen.sizes[0][1]} and {seen.sizes[1][0]}x"
        f"{seen.sizes[1][1]}): all are squeezed to {shape[0]}x{shape[1]} (height x width).",
    )


def _check_classes_left(name: str, labels: np.ndarray, class_names: tuple[str, ...]) -> None:
    empty = set(range(len(class_names))) - set(labels.tolist())
    if empty:
        raise UsageError(f"No image of class {class_names[min(empty)]!r} of the {name} split can be read.")


def _list(root: Path) -> tuple[dict[str, _Files], tuple[str, ...]]:
    """Return the files of each split folder, or of `root` as "train", and the class names."""
    if not root.is_dir():
        near = [other.name for other in root.parent.iterdir()] if root.parent.is_dir() else []
        raise UsageError(
            f"There is no folder {root}. Give a folder with one sub-folder of images per class."
            + did_you_mean(root.name, near)
        )
    folders = _split_folders(root)
    class_names = tuple(_class_names(folders["train"]))
    for name, folder in folders.items():
        found = _class_names(folder)
        if set(found) != set(class_names):
            odd = sorted(set(found) ^ set(class_names))
            raise UsageError(
                f"The classes of {folder} are not those of {folders['train']}: {', '.join(odd)} is only in "
                f"one of them. The {name} and the train folder need the same class folders."
            )
    if len(class_names) == 1:
        raise UsageError(
            f"{folders['train']} has one class only ({class_names[0]}); there is nothing to tell apart. Give "
            "one sub-folder of images per class, at least two."
        )
    return {name: _files(folder, class_names) for name, folder in folders.items()}, class_names


def _split_folders(root: Path) -> dict[str, Path]:
    names = _class_names(root)
    if not set(names) & set(_SPLIT_FOLDERS):
        return {"train": root}
    others = sorted(set(names) - set(_SPLIT_FOLDERS))
    if "train" not in names and others:
        return {"train": root}  # ordinary classes, one of which happens to be called "test"
    if "train" not in names:
        raise UsageError(
            f"{root} has {', '.join(names)} but no train folder. Name the training images train."
        )
    if others:
        raise UsageError(
            f"{root} has train/ and beside it {', '.join(others)}. Beside train/ only validation/ (or val/) "
            "and test/ may lie, each with one sub-folder per class."
        )
    if {"val", "validation"} <= set(names):
        raise UsageError(f"{root} has both val and validation. Keep one of them.")
    return {_SPLIT_FOLDERS[name]: root / name for name in names}


def _class_names(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not names:
        raise UsageError(
            f"{folder} has no class folders. Put the images of each class into a sub-folder named after it."
        )
    return names


def _files(folder: Path, class_names: tuple[str, ...]) -> _Files:
    paths, labels = [], []
    for label, name in enumerate(class_names):
        found = sorted(
            path
            for path in (folder / name).iterdir()
            if path.suffix.lower() in images.SUFFIXES and not path.name.startswith(".") and not path.is_dir()
        )
        if not found:
            raise UsageError(
                f"The class folder {folder / name} is empty: it has no JPEG, PNG, BMP or GIF files of its "
                "own (its sub-folders are not looked into). Add images, or remove the folder."
            )
        paths += found
        labels += [label] * len(found)
    return _Files(paths, np.array(labels, np.int32))
