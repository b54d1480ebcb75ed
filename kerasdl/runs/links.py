"""Links in a folder that is written to: what is written must not go elsewhere."""

import os
from collections.abc import Collection
from pathlib import Path

from kerasdl.errors import UsageError


def check_links(folder: Path, *, allowed: Collection[str]) -> None:
    """Raise a UsageError for a link anywhere in a folder, but for files of the allowed names."""
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if name not in allowed:
                check_link(Path(place) / name)


def check_link(path: Path) -> None:
    """Raise a UsageError if a path is a link."""
    if path.is_symlink():
        raise UsageError(
            f"{path} is a link to {path.readlink()}, and nothing is written through links: they may lead to "
            "files that are no part of this. Put what it leads to in its place, or remove it."
        )
