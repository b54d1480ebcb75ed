"""Whether the folder of a version is whole: somebody may still be copying it."""

import json
from pathlib import Path

from kerasdl.files import hash_file

#: Names, sizes and times of the files of a version: while they change somebody is writing.
Fingerprint = tuple[tuple[str, int, int], ...]
_CARD = "card.json"


def fingerprint(path: Path) -> Fingerprint:
    """Return what the files of a version look like from outside; empty where there are none."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    found = []
    for file in files:
        try:
            about = file.stat()
        except OSError:  # it has just gone
            continue
        found.append((str(file.relative_to(path.parent)), about.st_size, about.st_mtime_ns))
    return tuple(found)


def has_card(path: Path) -> bool:
    """Tell whether a version says itself which files belong to it."""
    return (_folder(path) / _CARD).is_file()


def problem(path: Path) -> str:
    """Return why a version cannot be served as it lies there; empty where all is well.

    Args:
        path: folder of a SavedModel, or one file. Of a bundle the files that are opened have to be what its
            card says, byte for byte.
    """
    folder = _folder(path)
    if path.is_dir() and not (path / "saved_model.pb").is_file():
        return "it has no saved_model.pb"
    if not has_card(path):
        return ""
    try:
        files = json.loads((folder / _CARD).read_bytes())["files"]
        expected = {name: (about["bytes"], about["sha256"]) for name, about in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"its {_CARD} is not whole"
    wanted = [name for name in expected if (_is_opened(name) if path.is_dir() else name == path.name)]
    for name in wanted:
        file = folder / name
        if ".." in Path(name).parts or not file.is_file():
            return f"{name} is missing"
        if file.stat().st_size != expected[name][0] or hash_file(file) != expected[name][1]:
            return f"{name} is not what {_CARD} says: half-written or damaged"
    return ""


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _is_opened(name: str) -> bool:
    return name in ("saved_model.pb", "labels.txt") or name.startswith(("variables/", "assets/"))
