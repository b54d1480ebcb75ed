"""Atomic writes, numbered folders, JSON files and hashes."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl import machine, shapes
from kerasdl.errors import MachineError, RunFailedError, UsageError

if TYPE_CHECKING:
    import numpy as np

_log = logging.getLogger(__name__)

TRAIN_AGAIN = "Train again."
_LARGEST_ARRAYS = 8 * 2**30  # bytes, unpacked: the files of a run are read whole
#: Begins the name of what is being written; one that is still there was left by a process that died.
UNFINISHED = ".writing-"


def next_version(parent: Path) -> Path:
    """Make and return the folder named by the next integer; two processes never get the same one."""
    while True:
        path = free_version(parent)
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            return path


def free_version(parent: Path) -> Path:
    """Return the path named by the next integer; it does not exist yet."""
    taken = [int(path.name) for path in parent.iterdir() if path.name.isdecimal()]
    return parent / str(max(taken, default=0) + 1)


@contextlib.contextmanager
def replacing(path: Path):
    """Give a temporary path beside `path` to write to; it takes the place of `path` only when whole."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=UNFINISHED) as folder:
        temporary = Path(folder) / path.name  # the same name: Keras judges a file by its suffix
        yield temporary
        flush_to_disk(temporary)
        temporary.replace(path)


@contextlib.contextmanager
def naming_full_disks(*places: Path, advice: str):
    """Raise a MachineError where the block fails because a disk takes no more.

    Args:
        *places: folders that the block writes to.
        advice: what to do, as sentences.
    """
    try:
        yield
    except Exception as error:
        if full := machine.full_disk(error, *places):
            raise MachineError(f"{full} {advice}") from error
        raise


@contextlib.contextmanager
def writing(path: Path, advice: str):
    """Raise a clear error where a path cannot be written to.

    Raises:
        MachineError: when the disk is full.
        UsageError: for other reasons.
    """
    try:
        with naming_full_disks(path, advice=f"Remove files. {advice}"):
            yield
    except OSError as error:
        raise UsageError(f"{path} cannot be written to: {error.strerror}. {advice}") from error


def flush_to_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's list of files, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def read_json(
    path: Path, repair: str = TRAIN_AGAIN, *, needed: bool = False, shape: Any = dict
) -> dict[str, Any]:
    """Read an object from a JSON file; empty where there is no file.

    Args:
        path: the file.
        repair: what to do when it is damaged, as a sentence.
        needed: whether a missing file is an error.
        shape: what its content has to be (`kerasdl.shapes`). Defaults to any object.

    Raises:
        RunFailedError: when the file is damaged, or needed and missing.
    """
    with parsing(path, repair):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if needed:
                raise damaged(path, "it is missing", repair) from None
            return {}
        if found := shapes.problem(content, shape):
            raise damaged(path, found, repair)
    return content


def read_arrays(path: Path, *needed: str, repair: str = TRAIN_AGAIN) -> dict[str, "np.ndarray"]:
    """Read all arrays of an `.npz` file, those that are needed first.

    Args:
        path: the file.
        *needed: names of arrays that have to be in it.
        repair: what to do when it is damaged, as a sentence.

    Raises:
        RunFailedError: when the file is damaged, or lacks one of them.
    """
    import numpy as np

    with parsing(path, repair):
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _LARGEST_ARRAYS:
            raise damaged(path, f"it would take {size / 2**30:,.0f} GiB of memory", repair)
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in dict.fromkeys((*needed, *file.files))}


@contextlib.contextmanager
def parsing(path: Path, repair: str = TRAIN_AGAIN, kind: type[Exception] = RunFailedError):
    """Raise the error of a damaged file where the block fails on its content, however that shows.

    Libraries that read files fail on damaged ones in ways without number, and so does whatever expects that
    the parts of a document belong together. Faults of the machine stay what they are.

    Args:
        path: the file whose content the block reads or works with.
        repair: what to do when it is damaged, as a sentence.
        kind: type of the error. Defaults to RunFailedError; for a file that the user gave, UsageError.
    """
    try:
        yield
    except (UsageError, RunFailedError):
        raise
    except MemoryError as error:
        raise damaged(path, "it takes more memory than there is", repair, kind) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        _log.debug("The content of %s does not fit.", path, exc_info=True)
        raise damaged(path, error, repair, kind) from error


def damaged(
    path: Path,
    reason: Exception | str,
    repair: str = TRAIN_AGAIN,
    kind: type[Exception] = RunFailedError,
) -> Exception:
    """Return the error that says why a file cannot be read, and what to do."""
    if isinstance(reason, Exception):
        lines = [line.strip() for line in str(reason).splitlines() if line.strip()]
        reason = f"{type(reason).__name__}{': ' + lines[0][:200] if lines else ''}"
    return kind(f"{path} is damaged ({reason}). {repair}")


def hash_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size in bytes and SHA-256 of every file below a folder, by relative path with slashes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": hash_file(path)}
        for path in paths
    }


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
