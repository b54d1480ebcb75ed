"""Whether a bundle is the one that somebody exported: one hash for all of it.

The card holds the hash of every other file, so that the hash of the card stands for the whole bundle. Whoever
can replace a file can replace the card with it: only a hash that came another way shows that.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasdl.errors import UsageError
from kerasdl.export.card import FILE_NAME
from kerasdl.export.recheck import NotTheSameError
from kerasdl.files import hash_file


def identity(folder: Path) -> str:
    """Return the SHA-256 of a bundle, which is that of its card."""
    return hash_file(folder / FILE_NAME)


def unlisted(folder: Path, card: Mapping[str, Any]) -> list[str]:
    """Return the files of a bundle that its card does not name, and so does not speak for, sorted."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    names = {path.relative_to(folder).as_posix() for path in found}
    return sorted(names - card["files"].keys() - {FILE_NAME})


def check_identity(folder: Path, card: Mapping[str, Any], expected: str) -> None:
    """Check that a bundle is the one whose SHA-256 `export` printed, and holds nothing else.

    Raises:
        UsageError: when `expected` is no SHA-256.
        NotTheSameError: when it is another bundle.
    """
    expected = expected.strip().lower()
    if not re.fullmatch("[0-9a-f]{64}", expected):
        raise UsageError(
            f"--expect is {expected!r}, but a SHA-256 has 64 digits 0-9a-f. Give the one that kerasdl export "
            "printed."
        )
    problems = [f"{name} is not in the card: it was added." for name in unlisted(folder, card)]
    if (found := identity(folder)) != expected:
        problems.insert(0, f"{FILE_NAME} has changed: its SHA-256 is {found}, not {expected}.")
    if problems:
        raise NotTheSameError(folder, problems)
