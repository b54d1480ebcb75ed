"""Finds what can go: runs that came to nothing, and checkpoints that only more training would need."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.files import UNFINISHED
from kerasdl.runs import folder as runs
from kerasdl.runs import record, state


@dataclasses.dataclass(frozen=True)
class Removable:
    """A folder that can go.

    Attributes:
        path: the folder.
        run: the run that it belongs to, or is.
        why: why nobody misses it.
        bytes: what it takes on the disk.
    """

    path: Path
    run: Path
    why: str
    bytes: int


def find(runs_dir: Path) -> list[Removable]:
    """Return what can go of the runs below a folder; what a living process works on is left out.

    Raises:
        UsageError: when the folder is not there.
    """
    if not runs_dir.is_dir():
        raise UsageError(f"There is no folder {runs_dir}. Give --runs-dir.")
    return [found for file in sorted(runs_dir.glob("*/*/recipe.json")) for found in _of_run(file.parent)]


def remove(found: Removable) -> None:
    """Remove a folder that `find` named; a link in its place is removed itself, not what it leads to.

    Raises:
        UsageError: when the system does not let it go, or a process has begun to work on its run.
    """
    if runs.Run(found.run).is_active():
        raise UsageError(f"Another process works on {found.run} now: {found.path} stays.")
    try:
        found.path.unlink() if found.path.is_symlink() else shutil.rmtree(found.path)
    except OSError as error:
        raise UsageError(f"{found.path} cannot be removed: {error.strerror}.") from error


def _of_run(folder: Path) -> Iterator[Removable]:
    try:
        read = record.read(folder)
        where = state.of(read).name
    except (UsageError, RunFailedError):  # somebody may still want to look at it
        return
    if folder.is_symlink() or read.run.is_active():  # a finished run may be trained on, or judged, just now
        return
    if where != "finished" and not read.run.model_file.exists() and not _has_checkpoint(folder):
        yield Removable(folder, folder, f"{where} before its first epoch ended", _size(folder))
        return
    if where == "finished" and _has_checkpoint(folder):
        why = "checkpoints of a finished run; without them it cannot be trained on"
        yield Removable(read.run.checkpoints, folder, why, _size(read.run.checkpoints))
    for left in sorted(folder.glob(f"{UNFINISHED}*")):
        yield Removable(left, folder, "left by a process that died", _size(left))


def _has_checkpoint(folder: Path) -> bool:
    return any((folder / "checkpoints").glob("[0-9]*"))


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
