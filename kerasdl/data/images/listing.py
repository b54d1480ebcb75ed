"""The image files of a folder: its splits and classes, and what is left out."""

import dataclasses
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kerasdl.errors import UsageError, did_you_mean
from kerasdl.preprocessing import pillow

_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {alias: name for name, aliases in _SPLITS.items() for alias in aliases}
#: What systems and archives leave behind; nobody misses it.
_CLUTTER = ("__macosx", "@eadir", "lost+found", "thumbs.db", "desktop.ini")


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """The image files of one split, class after class, sorted by name."""

    paths: list[Path]
    labels: np.ndarray  # (N,) int32


@dataclasses.dataclass(frozen=True, eq=False)
class Listing:
    """The image files of a folder by split, the names of its classes, and what is left out.

    Attributes:
        splits: files by name of the split; "train" always.
        class_names: names of the classes, sorted.
        left_out: files that are no images by their names.
        nested: number of images in each sub-folder of a class folder, which are left out too.
    """

    splits: dict[str, Files]
    class_names: tuple[str, ...]
    left_out: list[Path]
    nested: dict[Path, int]


def find(root: Path) -> Listing:
    """Find the image files of a folder.

    Raises:
        UsageError: when there is no such folder, or it is not one sub-folder of images per class.
    """
    if not root.is_dir():
        near = [other.name for other in root.parent.iterdir()] if root.parent.is_dir() else []
        raise UsageError(
            f"There is no folder {root}. Give a folder with one sub-folder of images per class."
            + did_you_mean(root.name, near)
        )
    folders = _split_folders(root)
    classes = {name: _classes(folder) for name, folder in folders.items()}
    names = tuple(classes["train"])
    for name, folder in folders.items():
        if set(map(_normal, classes[name])) != set(map(_normal, names)):
            odd = sorted(set(map(_normal, classes[name])) ^ set(map(_normal, names)))
            raise UsageError(
                f"The classes of {folder} are not those of {folders['train']}: {', '.join(odd)} is only in "
                f"one of them. The {name} and the train folder need the same class folders."
            )
    if len(names) == 1:
        raise UsageError(_one_class(folders["train"], names[0]))
    left_out, nested = [path for path in _entries(root) if not path.is_dir()], {}
    splits = {}
    for name, found in classes.items():
        by_name = {_normal(other): paths for other, paths in found.items()}
        splits[name] = _files([by_name[_normal(other)] for other in names], left_out, nested)
    return Listing(splits, names, left_out, nested)


def _split_folders(root: Path) -> dict[str, Path]:
    """Return the folder of each split; that of "train" is `root` where the classes lie in it."""
    folders = {path.name: path for path in _entries(root) if path.is_dir()}
    splits = {name: _SPLIT_OF[name.lower()] for name in folders if name.lower() in _SPLIT_OF}
    others = sorted(set(folders) - set(splits))
    if "train" not in splits.values() or (others and "train" not in folders):
        if splits and not others:
            raise UsageError(
                f"{root} has {', '.join(sorted(folders))} but no train folder. Name the training images "
                "train."
            )
        return {"train": root}  # ordinary classes, one of which happens to be called "test"
    if others:
        raise UsageError(
            f"{root} has train/ and beside it {', '.join(others)}. Beside train/ only validation/ (or val/) "
            "and test/ may lie, each with one sub-folder per class."
        )
    if all(_holds_images(path) for path in folders.values()) and "train" not in folders:
        return {"train": root}  # classes called "Training" and "Test"
    for split in _SPLITS:
        if len(same := sorted(name for name in splits if splits[name] == split)) > 1:
            raise UsageError(f"{root} has both {' and '.join(same)}. Keep one of them.")
    return {split: folders[name] for name, split in splits.items()}


def _classes(folder: Path) -> dict[str, list[Path]]:
    """Return the folders of each class; there are two where one name is written in two Unicode forms."""
    found: dict[str, list[Path]] = {}
    for path in sorted(path for path in _entries(folder) if path.is_dir()):
        same = next((name for name in found if _normal(name) == _normal(path.name)), path.name)
        found.setdefault(same, []).append(path)
    if not found:
        raise UsageError(
            f"{folder} has no class folders. Put the images of each class into a sub-folder named after it."
        )
    return found


def _files(folders: list[list[Path]], left_out: list[Path], nested: dict[Path, int]) -> Files:
    """Return the images of class folders in the order of the classes; note what else is there."""
    paths, labels = [], []
    for label, parts in enumerate(folders):
        found = []
        for path in (path for folder in parts for path in _entries(folder)):
            if path.is_dir():
                if count := sum(map(is_image, path.rglob("*"))):
                    nested[path] = count
            else:
                (found if is_image(path) else left_out).append(path)
        if not found:
            raise UsageError(
                f"The class folder {parts[0]} is empty: it has no {pillow.NAMES} files of its own (its "
                "sub-folders are not looked into). Add images, or remove the folder."
            )
        paths += sorted(found)
        labels += [label] * len(found)
    return Files(paths, np.array(labels, np.int32))


def is_image(path: Path) -> bool:
    """Tell whether a file is an image by its name, and not hidden."""
    return path.suffix.lower() in pillow.SUFFIXES and not path.name.startswith(".")


def _entries(folder: Path) -> Iterator[Path]:
    """Yield what lies in a folder, but for hidden files and the clutter of systems."""
    return (
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name.lower() not in _CLUTTER
    )


def _holds_images(folder: Path) -> bool:
    return any(is_image(path) and not path.is_dir() for path in folder.iterdir())


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _one_class(folder: Path, name: str) -> str:
    advice = "Give one sub-folder of images per class, at least two."
    inner = sorted(path.name for path in _entries(folder / name) if path.is_dir())
    if len(inner) > 1:
        advice = f"If the classes are {', '.join(inner[:3])}, give the folder {folder / name}."
    return f"{folder} has one class only ({name}); there is nothing to tell apart. {advice}"
