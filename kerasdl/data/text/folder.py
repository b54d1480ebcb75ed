"""A folder with one sub-folder of text files per class."""

import dataclasses
from pathlib import Path

from kerasdl.data import encodings
from kerasdl.data.dataset import Dataset
from kerasdl.data.labelled import listing
from kerasdl.data.text.source import Texts
from kerasdl.errors import UsageError

_KIND = listing.Kind("texts", frozenset({".txt"}), ".txt")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextFolder(Texts):
    """A folder with one sub-folder of .txt files per class, or with such folders in train/ and test/.

    Without folders validation/ and test/ the examples for these are taken from the others.
    """

    # The folder.
    path: str = ""

    @classmethod
    def claim(cls, text: str) -> "TextFolder | None":
        """Return the source for an existing folder whose folders hold .txt files, and few others beside."""
        root = Path(text).expanduser()
        first = next((found for depth in ("*/*.txt", "*/*/*.txt") for found in root.glob(depth)), None)
        if first is None:
            return None
        beside = [path for path in first.parent.iterdir() if path.is_file() and path.name[0] != "."]
        texts = sum(path.suffix == ".txt" for path in beside)
        return cls(path=text) if 2 * texts > len(beside) else None

    def load(self) -> Dataset:
        """Read all files: texts, and labels int32 in the order of the folders' names.

        Raises:
            UsageError: when the folder is not as described, or a file cannot be read.
        """
        root = Path(self.path).expanduser()
        listed = listing.find(root, _KIND)
        splits, guessed, empty = {}, [], []
        for name, files in listed.splits.items():
            texts = []
            for path in files.paths:
                try:
                    text, was_guessed = encodings.decode(path.read_bytes())
                except OSError as error:
                    raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
                texts.append(text)
                guessed += [path] if was_guessed else []
                empty += [] if text.strip() else [path]
            there = [place for place, text in enumerate(texts) if text.strip()]
            splits[name] = ([texts[place] for place in there], files.labels[there])
        notes = listing.left_out_note(root, listed, _KIND) + encodings.guessed_note(guessed)
        if empty:
            names = listing.named([path.relative_to(root) for path in empty])
            count = "1 file" if len(empty) == 1 else f"{len(empty):,} files"
            notes += (f"Left out of {root}: {count} without a text ({names}).",)
        return self.assembled(splits, listed.class_names, notes)
