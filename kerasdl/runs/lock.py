"""The lock of a run folder: it is the process's, not a file's existence, and ends with its owner."""

import contextlib
import os
import shutil
from pathlib import Path

from kerasdl.errors import UsageError
from kerasdl.files import UNFINISHED
from kerasdl.runs import links

_LOCK = ".lock"
_OWNER = ".owner"  # the number of the process that holds the lock


def is_held(folder: Path) -> bool:
    """Tell whether a living process holds the lock of a folder."""
    from filelock import FileLock, Timeout

    links.check_link(folder / _LOCK)
    if not (folder / _LOCK).is_file():
        return False
    try:
        with FileLock(folder / _LOCK, blocking=False):
            return False
    except Timeout:
        return True
    except OSError:  # somebody else's folder, which this process may only read
        import psutil

        return psutil.pid_exists(int(_owner(folder) or -1))


@contextlib.contextmanager
def held(folder: Path):
    """Hold the lock of a folder; what an owner that died left unfinished is removed.

    Raises:
        UsageError: when another process holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / _LOCK, timeout=0.2)  # longer than `is_held` holds it
    try:
        lock.acquire(poll_interval=0.02)
    except Timeout:
        raise UsageError(
            f"Another process works on {folder}: process {_owner(folder) or '?'}. Wait until it ends, "
            "or stop it."
        ) from None
    except OSError as error:
        raise UsageError(f"{folder} cannot be written to: {error.strerror}.") from error
    try:
        for unfinished in folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(unfinished) if unfinished.is_dir() else unfinished.unlink()
        (folder / _OWNER).write_text(str(os.getpid()))
        yield
    finally:
        with contextlib.suppress(OSError):  # the folder may be gone
            (folder / _OWNER).unlink()
        lock.release()


def _owner(folder: Path) -> str:
    """Return the process that holds the lock, as a number; empty where that is not known."""
    with contextlib.suppress(OSError):
        return (folder / _OWNER).read_text()
    return ""
