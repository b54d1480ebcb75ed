"""The folder of a bundle's versions, which TensorFlow Serving may watch while they are made."""

import contextlib
import errno
import itertools
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export.card import FILE_NAME, read_card
from kerasdl.files import flush_to_disk, free_version, writing
from kerasdl.inference.endpoint import ALL_FORMATS

_log = logging.getLogger(__name__)

_UNFINISHED = ".exporting-"  # TensorFlow Serving looks at numbers only
_LOCK = "lock"  # held by the process that writes there, and released however that ends
_YOUNG = 3600.0  # seconds in which an unfinished folder without a lock is left alone
_SHOWN = 2  # differences of two bundles that a message names


def check_destination(root: Path, name: str) -> Path:
    """Make the folder of a network's versions, or raise before any work is done.

    Returns:
        `<root>/<name>`, in which folders can be made.

    Raises:
        UsageError: for a name that cannot be a folder's, and a folder that cannot be written.
        MachineError: when the disk is full.
    """
    _check_name(name)
    parent = root / name
    with writing(parent, "Use another --exported-dir."):
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix=_UNFINISHED):
            return parent


def _check_name(name: str) -> None:
    if not name or not name.isprintable() or Path(name).name != name or name.startswith("."):
        raise UsageError(f"{name!r} cannot be the name of a folder. Use letters, digits, - and _.")


@contextlib.contextmanager
def workspace(parent: Path) -> Iterator[Path]:
    """Yield a new hidden folder beside the versions; those of processes that are gone are removed."""
    for left in parent.glob(f"{_UNFINISHED}*"):
        if _is_abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(dir=parent, prefix=_UNFINISHED) as temporary,
        FileLock(Path(temporary) / _LOCK),
    ):
        yield Path(temporary)


def _is_abandoned(folder: Path) -> bool:
    """Tell whether no process writes to an unfinished folder."""
    try:
        if not (folder / _LOCK).is_file():  # just begun, or of an earlier version
            return time.time() - folder.stat().st_mtime > _YOUNG
        with FileLock(folder / _LOCK, blocking=False):
            return True
    except (Timeout, OSError):
        return False


def choose(
    root: Path, name: str, formats: Sequence[str], signature: Mapping[str, Any], *, new_signature: bool
) -> Path:
    """Return the folder for another version, so that each folder keeps what TensorFlow Serving relies on.

    A version of `<name>` holds a SavedModel, and answers like the one before it. What does not goes to the
    first of `<name>-2`, `<name>-3`, ... that it fits; without a SavedModel to `<name>-onnx` or the like.

    Args:
        root: folder of all bundles.
        name: name of the network.
        formats: formats of its files.
        signature: labels and endpoints, as the card has them.
        new_signature: make it a version of `<name>` although it answers otherwise.
    """
    _check_name(name)
    if "saved_model" not in formats:
        kinds = [kind for kind in ALL_FORMATS if kind in formats]
        return check_destination(root, "-".join([name, *kinds]))
    wanted, parent = _promised(signature), check_destination(root, name)
    changes = [] if new_signature else _changes(parent, wanted)
    if not changes:
        return parent
    others = (check_destination(root, f"{name}-{number}") for number in itertools.count(2))
    other = next(folder for folder in others if not _changes(folder, wanted))
    shown = [*changes[:_SHOWN], *([f"{len(changes) - _SHOWN} more"] if len(changes) > _SHOWN else [])]
    _log.warning(
        f"{parent} answers otherwise ({'; '.join(shown)}), so that this bundle goes to {other}. "
        f"--new-signature makes it a version of {parent}."
    )
    return other


def _newest_promise(parent: Path) -> dict[str, Any]:
    """Return what the newest version with a SavedModel and a readable card promises; empty without one."""
    versions = sorted((path for path in parent.iterdir() if path.name.isdecimal()), key=lambda p: int(p.name))
    for version in reversed(versions):
        if (version / "saved_model.pb").is_file() and (version / FILE_NAME).is_file():
            with contextlib.suppress(RunFailedError):
                return _promised(read_card(version))
    return {}


def _promised(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a caller of a SavedModel relies on, by its name: labels, inputs and outputs."""
    found = {} if card.get("labels") is None else {"labels": card["labels"]}
    for endpoint in card.get("endpoints") or ():
        if "saved_model" in endpoint.get("formats", ()):
            found |= {f"{part} of {endpoint['name']}": endpoint[part] for part in ("inputs", "outputs")}
    return json.loads(json.dumps(found))


def _changes(parent: Path, now: Mapping[str, Any]) -> list[str]:
    """Return in words each promise of the newest version that is not kept now; new ones do no harm."""
    return [
        f"{name}: {_short(value)} there, {_short(now.get(name))} here"
        for name, value in _newest_promise(parent).items()
        if now.get(name) != value
    ]


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {part['dtype']} {part['shape']}" for name, part in value.items())
    names = value or []
    return ", ".join(map(str, names[:5])) + (f", ... ({len(names)})" if len(names) > 5 else "") or "none"


def publish(folder: Path, parent: Path) -> Path:
    """Rename a finished folder to the next free integer; of two exporters at once each gets its own.

    Its files are on the disk first: some disks (NFS, quotas) say only then that they are full.
    """
    for path in (*folder.rglob("*"), folder):
        flush_to_disk(path)
    while True:
        try:
            published = folder.rename(free_version(parent))
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            continue
        flush_to_disk(parent)
        return published
