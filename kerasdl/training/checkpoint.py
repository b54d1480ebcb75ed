"""The files of a checkpoint: everything that a resumed run needs to end as an uninterrupted one.

    checkpoints/00001234/      named by the number of updates
        variables.npz          weights, optimizers, moving averages, running metrics
        state.json             position, history, early stopping, ..., and the run's identity
        model.keras            the best network so far, where there is one
        reference.npz          what it answered in memory (`kerasdl.training.reference`)
        SHA256SUMS             of these files; `sha256sum -c` reads it

A checkpoint is written beside the others, flushed to the disk and then renamed; the one before stays until
the next one is there. (`keras.callbacks.BackupAndRestore` keeps weights, optimizer and epoch only, and
restarts an interrupted epoch; these checkpoints keep the same as those of Lightning.)
"""

import dataclasses
import json
import logging
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.files import UNFINISHED, flush_to_disk, hash_file, link_or_copy, parsing, read_json
from kerasdl.runs.documents import State
from kerasdl.training.devices import Devices

_log = logging.getLogger(__name__)

_SUMS = "SHA256SUMS"
_KEPT = 2
_METRICS = "metrics/"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose checksums are right.

    Attributes:
        path: the folder of the checkpoint.
        state: content of `state.json`.
    """

    path: Path
    state: Mapping[str, Any]

    @property
    def model_file(self) -> Path:
        """File of the best network so far; absent before the first epoch has ended."""
        return self.path / "model.keras"

    def restore(self, network: keras.Model) -> None:
        """Restore the variables of a network and of its optimizers.

        Args:
            network: network that is built and compiled as when it was saved, with its optimizers built.

        Raises:
            UsageError: when it or an optimizer has other variables; nothing is restored then.
        """
        values = self._values(metrics=False)
        variables = {key: variable for key, variable in _variables(network) if not key.startswith(_METRICS)}
        fitting = [
            key
            for key in values.keys() & variables.keys()
            if values[key][0].shape == tuple(variables[key].shape)
        ]
        if not len(fitting) == len(values) == len(variables):
            raise UsageError(
                f"{self.path} was written by another network or optimizer: of its {len(values)} variables "
                f"{len(fitting)} fit. Undo the changes, or train anew."
            )
        for key, variable in variables.items():
            _assign(network, variable, values[key])

    def restore_metrics(self, network: keras.Model) -> None:
        """Restore the running metrics, but for those without saved variables."""
        values = self._values(metrics=True)
        for key, variable in _variables(network):
            if key in values:
                _assign(network, variable, values[key])

    def _values(self, *, metrics: bool) -> dict[str, list[np.ndarray]]:
        """Read the values of the metrics or of all others, one for each replica where they differ."""
        found: dict[str, list[np.ndarray]] = {}
        path, repair = self.path / "variables.npz", f"Delete {self.path}, so that the one before it counts."
        with parsing(path, repair), np.load(path, allow_pickle=False) as saved:
            for name in sorted(name for name in saved.files if name.startswith(_METRICS) == metrics):
                found.setdefault(name.rpartition("/")[0], []).append(saved[name])
        return found


def write(
    folder: Path, number: int, network: keras.Model, state: Mapping[str, Any], best: Sequence[Path]
) -> None:
    """Write a checkpoint, and remove all but the last two.

    Args:
        folder: folder of all checkpoints of a run.
        number: number of updates done so far.
        network: network whose variables are saved, with those of its optimizers and metrics.
        state: further state, as JSON values.
        best: files of the best network; they may not exist yet.

    Raises:
        OSError: when the disk is full or the folder cannot be written; older checkpoints stay as they were.
    """
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as temporary:
        unfinished = Path(temporary) / f"{number:08}"
        unfinished.mkdir()
        with zipfile.ZipFile(unfinished / "variables.npz", "w") as archive:
            for key, value in _values(network):  # np.savez wants all of them in memory at once
                with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, value, allow_pickle=False)
        (unfinished / "state.json").write_text(json.dumps(state), encoding="utf-8")
        for file in best:
            if file.is_file():
                link_or_copy(file, unfinished / file.name)
        sums = "".join(f"{hash_file(file)}  {file.name}\n" for file in sorted(unfinished.iterdir()))
        (unfinished / _SUMS).write_text(sums)
        for path in (*unfinished.iterdir(), unfinished):
            flush_to_disk(path)
        target = folder / unfinished.name
        if target.exists():  # written before, and then not resumed from: it is damaged, or older settings'
            shutil.rmtree(target)
        unfinished.rename(target)
    flush_to_disk(folder)
    for old in _numbered(folder)[:-_KEPT]:
        shutil.rmtree(old)


def newest(folder: Path) -> Checkpoint | None:
    """Return the newest undamaged checkpoint, or None; warn of damaged ones.

    Raises:
        RunFailedError: when one cannot be read just now; that is no damage.
    """
    for path in reversed(_numbered(folder)):
        if damage := _damage(path):
            _log.warning(f"{path} is damaged ({damage}); it is left out.")
            continue
        state = read_json(
            path / "state.json", f"Delete {path}, so that the one before it counts.", shape=State
        )
        return Checkpoint(path, state)
    return None


def remove_after(folder: Path, number: int) -> None:
    """Remove what a resumed training will write again: newer (damaged) checkpoints and unfinished ones."""
    if not folder.is_dir():
        return
    later = [path for path in _numbered(folder) if int(path.name) > number]
    for path in (*later, *folder.glob(f"{UNFINISHED}*")):
        shutil.rmtree(path)


def _numbered(folder: Path) -> list[Path]:
    """Return the folders of checkpoints, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(
        (path for path in folder.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name)
    )


def _damage(path: Path) -> str | None:
    """Return why a checkpoint is damaged; None where all checksums are right."""
    try:
        lines = (path / _SUMS).read_text().splitlines()
        named = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        if not {"variables.npz", "state.json"} <= named.keys():
            return f"{_SUMS} is torn"
        own = {file.name for file in path.iterdir() if file.is_file() and not file.is_symlink()}
        if foreign := named.keys() - own:
            return f"{', '.join(sorted(foreign))} is no file in it"
        wrong = [name for name, digest in named.items() if hash_file(path / name) != digest]
    except (FileNotFoundError, ValueError) as error:
        return str(error)
    except OSError as error:
        raise RunFailedError(f"{path} cannot be read just now ({error}). Try again when it can.") from error
    return f"{', '.join(wrong)} changed" if wrong else None


def _variables(network: keras.Model) -> Iterator[tuple[str, keras.Variable]]:
    """Give every variable of network (seed generators included), optimizers and metrics, with a name."""
    groups = {"network": network.variables}
    groups |= {name: optimizer.variables for name, optimizer in network.optimizers.items()}
    groups["metrics"] = network.metrics_variables
    for group, variables in groups.items():
        for index, variable in enumerate(variables):
            yield f"{group}/{index:05}", variable


def _values(network: keras.Model) -> Iterator[tuple[str, np.ndarray]]:
    """Give the value of every variable; of those that differ by replica (running metrics), each value."""
    devices = Devices.of(network)
    for key, variable in _variables(network):
        copies = devices.local_results(variable.value)
        for replica, copy in enumerate(copies if _differs_by_replica(variable) else copies[:1]):
            value = copy.numpy()
            yield f"{key}/{replica:05}", value.view(np.uint16) if value.dtype == tf.bfloat16 else value


def _assign(network: keras.Model, variable: keras.Variable, values: list[np.ndarray]) -> None:
    values = [
        value.view(tf.bfloat16.as_numpy_dtype) if variable.dtype == "bfloat16" else value for value in values
    ]
    if not _differs_by_replica(variable):
        variable.assign(values[0])
        return
    copies = Devices.of(network).local_results(variable.value)
    if len(copies) != len(values):  # other devices now: their sum is what counts
        values = [sum(values), *(np.zeros_like(values[0]) for _ in copies[1:])]
    for copy, value in zip(copies, values, strict=True):
        copy.assign(value)


def _differs_by_replica(variable: keras.Variable) -> bool:
    return variable.synchronization == "on_read"
