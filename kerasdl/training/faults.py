"""Clear messages for faults of the machine: full disks, missing files, out of memory.

The error texts are those of TensorFlow 2.21, Keras 3.15 and h5py 3 (`tests/test_faults.py` provokes them).
Any other error is a bug and keeps its traceback.
"""

import contextlib
import errno
import os
import re
from datetime import datetime
from pathlib import Path

from kerasdl import machine
from kerasdl.errors import MachineError, RunFailedError, UsageError
from kerasdl.runs.folder import Run

_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
_UNREADABLE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EIO, errno.ESTALE)
_NO_MEMORY_TEXT = (
    "OOM when allocating", "std::bad_alloc", "Out of memory while trying to allocate", "out of memory",
    "CUDA_ERROR_OUT_OF_MEMORY", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED",
    "Dst tensor is not initialized",  # TensorFlow's words where a copy to a GPU finds no room
)  # fmt: skip
#: TensorFlow's file errors end a line of their own: "/data/a/14.jpg; No such file or directory".
_FILE_LINE = re.compile(r"^(?:.*\}\} )?(/[^\n]*?|[^\s;][^\n;]*?); (No such file or directory|Is a directory|"
                        r"Not a directory|Permission denied|Operation not permitted|Read-only file system|"
                        r"Input/output error|Stale file handle)", re.MULTILINE)  # fmt: skip
_DECODING = re.compile(
    r"Invalid (JPEG|PNG|GIF|BMP)|Unknown image file format|node \S*[Dd]ecode\w*|corrupted record|"
    r"truncated record"
)
_PIPELINE = ("IteratorGetNext", "DataLossError", "ReadFile", "truncated record", "corrupted record")
_MAX_NAMED = 5
_MAX_LOOKED_AT = 200_000


def explain(error: BaseException, run: Run | None, batch_size: int, parts: int) -> RunFailedError | None:
    """Return the error to raise for a fault of machine or data; None for others.

    Args:
        error: the error that was raised, with those that caused it.
        run: the run folder; None before there is one.
        batch_size: number of examples in an update.
        parts: number of equal parts of a batch: replicas x gradient accumulation steps.
    """
    if isinstance(error, (UsageError, RunFailedError)):
        return None  # says it already
    if any(map(_is_no_memory, machine.causes(error))):
        advice, flags = _smaller(batch_size, parts, _accumulation(run))
        what = f"There is not enough memory for a batch of {batch_size}."
        return RunFailedError(f"{what} {advice} {kept(run, flags)}")
    message = of_machine(error, run, "Remove files or use another --runs-dir.")
    return message and MachineError(f"{message} {kept(run)}")


def of_machine(error: BaseException, run: Run | None = None, advice: str = "Remove files.") -> str | None:
    """Return a sentence on the fault of the machine or of files behind an error; None for others.

    Args:
        error: the error that was raised, with those that caused it.
        run: the run folder. Defaults to None: there is none.
        advice: what to do about a full disk.
    """
    if full := machine.full_disk(error, *([] if run is None else [run.path])):
        return f"{full} {advice}"
    for raised in machine.causes(error):
        if message := _damaged_data(raised, run) or _unwritable(raised, run):
            return message
    return "There is not enough memory." if any(map(_is_no_memory, machine.causes(error))) else None


def _is_no_memory(error: BaseException) -> bool:
    """MemoryError of Python and NumPy, ResourceExhaustedError of TensorFlow, texts of allocators and GPUs."""
    known = isinstance(error, MemoryError) or _has_errno(error, (errno.ENOMEM,))
    return known or any(words in str(error) for words in _NO_MEMORY_TEXT)


def _smaller(batch_size: int, parts: int, accumulation: int) -> tuple[str, str]:
    """Return advice on settings that need less memory, and the flags of the best one."""
    share = batch_size // parts  # examples that are worked on at once
    more = next((factor for factor in range(2, share + 1) if share % factor == 0), None)
    if more is None:
        return "There is one example to a part already: use a smaller network or smaller examples.", ""
    half = max(batch_size // 2 // parts * parts, parts)
    flags = f"--gradient-accumulation-steps {accumulation * more}"
    return f"Use {flags}, which gives the same update in less memory, or --batch-size {half}.", flags


def _accumulation(run: Run | None) -> int:
    return _read(run, "recipe.json").get("fields", {}).get("gradient_accumulation_steps", 1)


def _read(run: Run | None, name: str) -> dict:
    """Read a file of the run; empty where that does not work either: the disk may be what is broken."""
    with contextlib.suppress(OSError, RunFailedError):
        return {} if run is None else run.read_json(name)
    return {}


def _damaged_data(error: BaseException, run: Run | None) -> str | None:
    """Data that was there when it was checked, and is not any more: files gone, cut short, overwritten."""
    text = str(error)
    missing = _has_errno(error, (errno.ENOENT,)) or type(error).__name__ == "NotFoundError"
    if missing and run is not None and not run.path.is_dir():
        return f"The folder of the run, {run.path}, was removed while it was trained."
    if isinstance(error, FileNotFoundError) and error.filename is None and _is_nowhere():
        return "The current folder was removed. Change to one that exists."
    if isinstance(error, OSError):
        if error.errno not in _UNREADABLE or error.filename is None:
            return None
        return f"{os.fsdecode(error.filename)} cannot be read any more ({error.strerror}). Put it back."
    if not _is_tensorflow(error) or not any(words in text for words in _PIPELINE):
        return None
    if found := _FILE_LINE.search(text):
        return f"{found[1]} cannot be read any more ({found[2]}). Put it back."
    if not _DECODING.search(text):
        return None
    stated = re.search(r"([^\n]+)\n\s*\[\[\{\{node", text)  # graphs name the node on the next line
    reason = (stated or _DECODING.search(text)).group(stated is not None)
    reason = re.sub(r"^Error in user-defined function .*? with iterator: \S+: ", "", reason)
    return f"A file of the data cannot be decoded any more ({reason.rstrip('.')}). {_changed(run)}"


def _is_nowhere() -> bool:
    try:
        return not Path.cwd().exists()
    except FileNotFoundError:
        return True


def _changed(run: Run | None) -> str:
    """Name the files of the data that changed after the run began; TensorFlow does not say which it read."""
    data = _read(run, "recipe.json").get("fields", {}).get("data", {})
    folder = data.get("fields", {}).get("path") if isinstance(data, dict) else None
    started = _read(run, "receipt.json").get("started")
    if folder is None or started is None:
        return "Repair the data."
    begun, changed = datetime.fromisoformat(started).timestamp(), []
    for number, path in enumerate(Path(folder).expanduser().rglob("*")):
        if number == _MAX_LOOKED_AT or len(changed) > _MAX_NAMED:
            break
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_mtime >= begun:
                changed.append(str(path))
    if not changed:
        return f"Repair the data in {folder}; a new training checks all of it and names the file."
    more = ", ..." if len(changed) > _MAX_NAMED else ""
    return f"Changed since the run began: {', '.join(sorted(changed)[:_MAX_NAMED])}{more}. Repair the data."


def _unwritable(error: BaseException, run: Run | None) -> str | None:
    found = _FILE_LINE.search(str(error)) if type(error).__name__ == "PermissionDeniedError" else None
    if found is None and not _has_errno(error, _UNWRITABLE):
        return None
    why = found[2] if found else error.strerror
    return (
        f"{found[1] if found else _place(error, run)} cannot be read or written ({why}). Fix its permissions."
    )


def _place(error: BaseException, run: Run | None) -> str:
    name = error.filename if isinstance(error, OSError) else None
    return os.fsdecode(name) if name else str(run.path if run else Path.cwd())


def _has_errno(error: BaseException, numbers: tuple[int, ...]) -> bool:
    return isinstance(error, OSError) and error.errno in numbers


def _is_tensorflow(error: BaseException) -> bool:
    return any(kind.__module__.startswith("tensorflow.") for kind in type(error).__mro__)


def kept(run: Run | None, flags: str = "") -> str:
    """Return what is kept, and how to go on; `flags` change how the run is trained."""
    if run is None or not run.path.is_dir():
        return "Nothing is kept."
    with contextlib.suppress(OSError):
        steps = [int(path.name) for path in (run.path / "checkpoints").iterdir() if path.name.isdecimal()]
        if steps:
            command = f"{run.resume_command} {flags} --force" if flags else run.resume_command
            return f"What was trained up to step {max(steps):,} is kept: go on with {command}"
    best = f"; {run.model_file} holds the best weights so far" if run.model_file.is_file() else ""
    return f"There is no checkpoint to go on from{best}."
