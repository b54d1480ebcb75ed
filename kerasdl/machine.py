"""The machine and its software: versions, processor, GPUs, full disks."""

import contextlib
import errno
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PACKAGES = (
    "kerasdl", "tensorflow", "keras", "numpy", "tensorflow-datasets", "tf2onnx", "onnx", "onnxruntime",
    "ai-edge-litert", "scikit-learn",
)  # fmt: skip
#: Errors of a disk that takes no more: the words for them in the texts of libraries.
_FULL = {
    errno.ENOSPC: "No space left on device",
    errno.EDQUOT: "Disk quota exceeded",
    errno.EFBIG: "File too large",
}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages a result depends on."""
    from importlib import metadata  # slow to import, and --help asks for no version

    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def hardware() -> dict[str, Any]:
    """Return processor, cores, memory and GPUs."""
    import psutil
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpus": [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus],
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    found = re.search(r"^model name\s*:(.*)$", cpuinfo(), re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def processor_flags(cpuinfo: str) -> set[str]:
    """Return the flags (x86) or features (ARM) of the first processor in the text of /proc/cpuinfo."""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)
    return set(found[1].split()) if found else set()


def cpuinfo() -> str:
    """Return what Linux says of the processors, nothing elsewhere."""
    file = Path("/proc/cpuinfo")
    return file.read_text() if file.is_file() else ""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those behind it, as a traceback shows them."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def full_disk(error: BaseException, *places: Path) -> str | None:
    """Return a sentence on the disk that takes no more, where that is the cause of an error.

    Python, Keras and h5py raise an OSError with a number, TensorFlow, ONNX and our worker processes one of
    their own with the same words in its text.

    Args:
        error: the error, with those that caused it.
        *places: folders that were written to.
    """
    for raised in causes(error):
        number = raised.errno if isinstance(raised, OSError) else None
        found = next((key for key, words in _FULL.items() if key == number or words in str(raised)), None)
        if found is None:
            continue
        free, path = _fullest(raised, places)
        what = _named(raised) or path
        if found == errno.EDQUOT:
            return f"Your quota on the disk of {what} is used up. Ask for more."
        if found == errno.EFBIG:
            return f"A file may not grow any more on the disk of {what} (ulimit -f, or a limit of the disk)."
        return f"The disk of {path} is full ({free / 2**20:,.1f} MB free)."
    return None


def _fullest(error: BaseException, places: tuple[Path, ...]) -> tuple[int, Path]:
    """Return the free bytes and the path of the fullest disk among places that may have been written."""
    if named := _named(error):
        places = (named.parent,)
    else:
        with contextlib.suppress(OSError):  # where it is full, no temporary folder may be found
            places = (*places, Path(tempfile.gettempdir()))
        with contextlib.suppress(FileNotFoundError):  # the current folder was removed
            places = (*places, Path.cwd())
    return min(((shutil.disk_usage(_existing(path)).free, path) for path in places), key=lambda pair: pair[0])


def _named(error: BaseException) -> Path | None:
    """Return the file that an error names."""
    return Path(os.fsdecode(error.filename)) if isinstance(error, OSError) and error.filename else None


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.absolute().parents) if place.exists())
