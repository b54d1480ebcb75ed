"""The files of a folder with one sub-folder per class: its splits and classes, and what is left out."""

import dataclasses
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kerasdl.errors import UsageError, did_you_mean

#: The class of files that lie in no class folder.
ONE = "image"

_NUM_NAMED = 5
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {alias: name for name, aliases in _SPLITS.items() for alias in aliases}
#: What systems and archives leave behind; nobody misses it.
_CLUTTER = ("__macosx", "@eadir", "lost+found", "thumbs.db", "desktop.ini")


@dataclasses.dataclass(frozen=True)
class Kind:
    """The files that count.

    Attributes:
        noun: what they are, in messages: "images".
        suffixes: of their names, in lower case.
        names: the suffixes in words: ".png, .jpg or .gif".
    """

    noun: str
    suffixes: frozenset[str]
    names: str

    def has(self, path: Path) -> bool:
        """Tell whether a file counts by its name, and is not hidden."""
        return path.suffix.lower() in self.suffixes and not path.name.startswith(".")


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """The files of one split, class after class, sorted by name."""

    paths: list[Path]
    labels: np.ndarray  # (N,) int32


@dataclasses.dataclass(frozen=True, eq=False)
class Listing:
    """The files of a folder by split, the names of its classes, and what is left out.

    Attributes:
        splits: files by name of the split; "train" always.
        class_names: names of the classes, sorted.
        left_out: other files, by their names.
        nested: number of files in each sub-folder of a class folder, which are left out too.
    """

    splits: dict[str, Files]
    class_names: tuple[str, ...]
    left_out: list[Path]
    nested: dict[Path, int]


def find(root: Path, kind: Kind, *, needs_classes: bool = True) -> Listing:
    """Find the files of a kind in a folder.

    Args:
        root: the folder.
        kind: the files that count.
        needs_classes: whether there have to be two classes. Without, files that lie in no class folder are
            of one class, `ONE`.

    Raises:
        UsageError: when there is no such folder, or it is not one sub-folder of files per class.
    """
    if not root.is_dir():
        near = [other.name for other in root.parent.iterdir()] if root.parent.is_dir() else []
        raise UsageError(
            f"There is no folder {root}. Give a folder with one sub-folder of {kind.noun} per class."
            + did_you_mean(root.name, near)
        )
    folders = _split_folders(root, kind)
    classes_of = _classes if needs_classes else _classes_or_one
    classes = {name: classes_of(folder, kind) for name, folder in folders.items()}
    names = tuple(classes["train"])
    for name, folder in folders.items():
        if set(map(_normal, classes[name])) != set(map(_normal, names)):
            odd = sorted(set(map(_normal, classes[name])) ^ set(map(_normal, names)))
            raise UsageError(
                f"The classes of {folder} are not those of {folders['train']}: {', '.join(odd)} is only in "
                f"one of them. The {name} and the train folder need the same class folders."
            )
    if len(names) == 1 and needs_classes:
        raise UsageError(_one_class(folders["train"], names[0], kind))
    nested: dict[Path, int] = {}
    left_out = [] if names == (ONE,) else [path for path in _entries(root) if not path.is_dir()]
    splits = {}
    for name, found in classes.items():
        by_name = {_normal(other): paths for other, paths in found.items()}
        splits[name] = _files([by_name[_normal(other)] for other in names], kind, left_out, nested)
    return Listing(splits, names, left_out, nested)


def _split_folders(root: Path, kind: Kind) -> dict[str, Path]:
    """Return the folder of each split; that of "train" is `root` where the classes lie in it."""
    folders = {path.name: path for path in _entries(root) if path.is_dir()}
    splits = {name: _SPLIT_OF[name.lower()] for name in folders if name.lower() in _SPLIT_OF}
    others = sorted(set(folders) - set(splits))
    if "train" not in splits.values() or (others and "train" not in folders):
        if splits and not others:
            raise UsageError(
                f"{root} has {', '.join(sorted(folders))} but no train folder. Name the training "
                f"{kind.noun} train."
            )
        return {"train": root}  # ordinary classes, one of which happens to be called "test"
    if others:
        raise UsageError(
            f"{root} has train/ and beside it {', '.join(others)}. Beside train/ only validation/ (or val/) "
            "and test/ may lie, each with one sub-folder per class."
        )
    if all(_holds(path, kind) for path in folders.values()) and "train" not in folders:
        return {"train": root}  # classes called "Training" and "Test"
    for split in _SPLITS:
        if len(same := sorted(name for name in splits if splits[name] == split)) > 1:
            raise UsageError(f"{root} has both {' and '.join(same)}. Keep one of them.")
    return {split: folders[name] for name, split in splits.items()}


def _classes(folder: Path, kind: Kind) -> dict[str, list[Path]]:
    """Return the folders of each class; there are two where one name is written in two Unicode forms."""
    found: dict[str, list[Path]] = {}
    for path in sorted(path for path in _entries(folder) if path.is_dir()):
        same = next((name for name in found if _normal(name) == _normal(path.name)), path.name)
        found.setdefault(same, []).append(path)
    if not found:
        why = "" if next(_entries(folder), None) else ": it is empty"
        raise UsageError(
            f"{folder} has no class folders{why}. Put the {kind.noun} of each class into a sub-folder named "
            "after it."
        )
    return found


def _classes_or_one(folder: Path, kind: Kind) -> dict[str, list[Path]]:
    """Return the folders of each class, or the folder itself where it has files and not two class folders."""
    inner = [path for path in _entries(folder) if path.is_dir() and _holds(path, kind)]
    if len(inner) > 1 or (inner and not _holds(folder, kind)):
        return _classes(folder, kind)
    if not _holds(folder, kind):
        raise UsageError(
            f"{folder} has no {kind.noun}: no {kind.names} files. Put some into it, or give another folder."
        )
    return {ONE: [folder]}


def _files(folders: list[list[Path]], kind: Kind, left_out: list[Path], nested: dict[Path, int]) -> Files:
    """Return the files of class folders in the order of the classes; note what else is there."""
    paths, labels = [], []
    for label, parts in enumerate(folders):
        found = []
        for path in (path for folder in parts for path in _entries(folder)):
            if path.is_dir():
                if count := sum(map(kind.has, path.rglob("*"))):
                    nested[path] = count
            else:
                (found if kind.has(path) else left_out).append(path)
        if not found:
            raise UsageError(
                f"The class folder {parts[0]} is empty: it has no {kind.names} files of its own (its "
                f"sub-folders are not looked into). Add {kind.noun}, or remove the folder."
            )
        paths += sorted(found)
        labels += [label] * len(found)
    return Files(paths, np.array(labels, np.int32))


def _entries(folder: Path) -> Iterator[Path]:
    """Yield what lies in a folder, but for hidden files and the clutter of systems."""
    return (
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name.lower() not in _CLUTTER
    )


def _holds(folder: Path, kind: Kind) -> bool:
    return any(kind.has(path) and not path.is_dir() for path in folder.iterdir())


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _one_class(folder: Path, name: str, kind: Kind) -> str:
    advice = f"Give one sub-folder of {kind.noun} per class, at least two."
    inner = sorted(path.name for path in _entries(folder / name) if path.is_dir())
    if len(inner) > 1:
        advice = f"If the classes are {', '.join(inner[:3])}, give the folder {folder / name}."
    return f"{folder} has one class only ({name}); there is nothing to tell apart. {advice}"


def left_out_note(root: Path, listed: Listing, kind: Kind) -> tuple[str, ...]:
    """Return the sentence that counts what a folder has besides files of a kind."""
    left_out, nested = listed.left_out, listed.nested
    kinds = Counter(path.suffix.lower() or "no suffix" for path in left_out)
    parts = [f"{count} {name} ({named([p.relative_to(root) for p in left_out if _is(p, name)][:1])})"
             for name, count in kinds.most_common()]  # fmt: skip
    parts += [
        f"{count} {kind.noun} in the sub-folder {path.relative_to(root)}" for path, count in nested.items()
    ]
    if not parts:
        return ()
    advice = " Convert photos from a phone (.heic) to JPEG." if kinds.keys() & {".heic", ".heif"} else ""
    return (f"Left out of {root}: {named(parts)}.{advice}",)


def named(names: Sequence[object]) -> str:
    """Return the first of some names, as a sentence has them."""
    return ", ".join(map(str, names[:_NUM_NAMED])) + (", ..." if len(names) > _NUM_NAMED else "")


def _is(path: Path, suffix: str) -> bool:
    return (path.suffix.lower() or "no suffix") == suffix
