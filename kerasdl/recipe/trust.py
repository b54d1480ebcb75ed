"""Which code of a run, bundle or search may run: what this user has made here, or said to trust.

Trust goes by content, so that moved and renamed folders keep it. `trusted.txt` in the user's configuration
folder has one line for each: the SHA-256, and where it was then.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kerasdl.errors import UsageError

_known: set[str] = set()  # what this process has been told, where there is no folder to write to
_accepting = False


def file() -> Path:
    """Return the file of trusted hashes, which may not exist.

    Raises:
        RuntimeError: when the user has no home.
    """
    config = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(config) if Path(config).is_absolute() else Path.home() / ".config") / "kerasdl/trusted.txt"


def is_trusted(digest: str) -> bool:
    """Tell whether a content was made here, or trusted before."""
    return digest in _known or digest in _recorded()


def known() -> frozenset[str]:
    """Return the hashes that this process may run, for a child process that cannot ask the user."""
    return frozenset(_known)


def allow(digests: Iterable[str]) -> None:
    """Trust contents in this process alone: what the user named, or a parent process allowed."""
    _known.update(digests)


def record(digest: str, place: Path) -> None:
    """Trust a content from now on; where nothing can be written, in this process alone."""
    _known.add(digest)
    with contextlib.suppress(OSError, RuntimeError):
        if digest in _recorded():
            return
        path = file()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("a", encoding="utf-8") as stream:  # one write: two processes do not mix their lines
            stream.write(f"{digest}  {place.absolute()!s}".encode("unicode_escape").decode() + "\n")


def accept(answer: bool) -> None:
    """Set whether whatever is opened from now on is trusted, as `--trust` says."""
    global _accepting
    _accepting = answer


@contextlib.contextmanager
def accepting(answer: bool) -> Iterator[None]:
    """Trust whatever is opened inside, if `answer` says so."""
    before = _accepting
    accept(answer or before)
    try:
        yield
    finally:
        accept(before)


def check(digest: str, place: Path, danger: str) -> None:
    """Check that a content may run.

    Args:
        digest: SHA-256 of the content.
        place: file that it is in.
        danger: what it is and may do, as the end of a sentence that begins with the file.

    Raises:
        UsageError: when it was neither made here nor trusted; it says how to look at it and trust it.
    """
    if is_trusted(digest):
        return
    if not _accepting:
        raise UsageError(
            f"{place} {danger} It was not made by you on this machine, so it was not run. Look at it first; "
            "if you trust its sender, give --trust (in Python trust=True), once: that is remembered."
        )
    record(digest, place)


def _recorded() -> set[str]:
    try:
        lines = file().read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, RuntimeError):
        return set()
    return {line.partition(" ")[0] for line in lines}
