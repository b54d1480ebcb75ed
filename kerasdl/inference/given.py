"""What `kerasdl predict` is given: files, folders, patterns, lines of standard input; needs no TensorFlow."""

import glob
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kerasdl.errors import UsageError, did_you_mean
from kerasdl.preprocessing.pillow import SUFFIXES

_TEXTS = (".txt", ".csv", ".tsv", ".jsonl")


def expand(given: Sequence[str], lines: Iterable[str]) -> list[str]:
    """Return files and texts, with those in folders, of patterns and on standard input in their place.

    Args:
        given: paths and texts; a folder stands for the images in it, or else the texts; a pattern for the
            files that it matches; - for `lines`.
        lines: standard input; each line is a path or a text.

    Raises:
        UsageError: for an image that is not there, and for a folder or a pattern without any file.
    """
    found = [one for text in given for one in _expanded(text, lines)]
    if not found:
        raise UsageError("Standard input was empty. Give a path or a text on each line.")
    return found


def _expanded(text: str, lines: Iterable[str]) -> Iterator[str]:
    if text == "-":
        yield from filter(None, (line.rstrip("\r\n") for line in lines))
        return
    path = Path(text)
    try:
        is_folder, is_there = bool(text) and path.is_dir(), path.exists()
    except (OSError, ValueError):  # no file can have such a name
        is_folder = is_there = False
    is_image = text.lower().endswith(SUFFIXES) and not any(letter.isspace() for letter in text)
    if is_folder and path.suffix.lower() not in _TEXTS:
        yield from _in_folder(path)
    elif is_there or not is_image:
        yield text
    elif any(letter in text for letter in "*?["):
        if not (matching := sorted(glob.glob(text, recursive=True))):  # noqa: PTH207
            raise UsageError(f"No file matches {text}.")
        yield from matching
    else:
        near = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UsageError(f"There is no image {text}." + did_you_mean(path.name, near))


def _in_folder(folder: Path) -> list[str]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not file.name.startswith(".")]
    for suffixes in (SUFFIXES, _TEXTS):
        if found := [str(file) for file in files if file.name.lower().endswith(suffixes)]:
            return found
    raise UsageError(f"{folder} holds no image and no text file.")
