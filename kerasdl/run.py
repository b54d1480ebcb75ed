"""The run folder: made once, never overwritten, every file written whole or not at all."""

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl import environment, modules
from kerasdl.data.splits import ArraySplit
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.recipe import Recipe, type_of
from kerasdl.serialization import from_json, to_json

if TYPE_CHECKING:
    import keras

_PACKAGES = (
    "kerasdl", "tensorflow", "keras", "numpy", "tensorflow-datasets", "tf2onnx", "onnx", "onnxruntime",
    "ai-edge-litert", "scikit-learn",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Run:
    """One folder of `runs/<pipeline>/<n>/`, and the names of the files in it."""

    path: Path

    @property
    def model_file(self) -> Path:
        """The best network by validation, float32; it takes raw examples."""
        return self.path / "model.keras"

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.json"

    def recipe(self) -> Recipe:
        """Read the recipe back, types of the user's own recipe file included."""
        return from_json(self.recipe_file.read_text(), folder=self.path)

    def network(self) -> "keras.Model":
        """Load the best network; classes of the user's recipe file are those of this run's copy of it.

        Raises:
            UsageError: when the run has none.
            RunFailedError: when its file is damaged.
        """
        import keras

        if not self.model_file.is_file():
            raise UsageError(f"{self.path} holds no model.keras: the run ended before its first epoch did.")
        own = modules.classes_beside(type_of(self.recipe().model))
        names = {keras.saving.get_registered_name(kind): kind for kind in own}
        try:
            with zipfile.ZipFile(self.model_file), keras.saving.custom_object_scope(names):
                return keras.saving.load_model(self.model_file)
        except zipfile.BadZipFile as error:
            raise RunFailedError(f"{self.model_file} is damaged ({error}). Train again.") from error

    def labels(self) -> tuple[str, ...]:
        """Read the class names."""
        return tuple((self.path / "labels.txt").read_text(encoding="utf-8").split("\n")[:-1])

    def write(self, name: str, content: str | Mapping[str, Any]) -> None:
        """Write a text file, or a mapping as JSON, atomically."""
        text = content if isinstance(content, str) else json.dumps(content, indent=2) + "\n"
        with replacing(self.path / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the run; empty where it was not written."""
        path = self.path / name
        return json.loads(path.read_text()) if path.is_file() else {}


def create(runs_dir: Path, recipe: Recipe, recipe_source: Path | None = None) -> Run:
    """Make the next free folder of a pipeline, with its recipe and a copy of the recipe's file.

    Raises:
        UsageError: when the folder cannot be made.
    """
    parent = runs_dir / recipe.name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        path = next_version(parent)
    except OSError as error:
        raise UsageError(f"No run can be written to {parent}: {error.strerror}. Use --runs-dir.") from error
    run = Run(path)
    source = _own_source(recipe)
    if source is None and recipe_source is not None and recipe_source.suffix == ".py":
        source = recipe_source.read_text(encoding="utf-8")
    if source is not None:
        run.write("recipe.py", source)
    run.write("recipe.json", to_json(recipe))
    return run


def _own_source(recipe: Recipe) -> str | None:
    """Return the text of the recipe file that defines types of this recipe; they have to come from one file.

    Raises:
        UsageError: when they come from several.
    """
    parts = (recipe.model, recipe.preprocessing, recipe.augmentation, recipe.data, recipe.task)
    kinds = {modules.recipe_source(type_of(part)): modules.recipe_file(type_of(part)) for part in parts}
    kinds.pop(None, None)
    if len(kinds) > 1:
        listed = " and ".join(sorted(map(str, kinds.values())))
        raise UsageError(f"The recipe's types come from several files: {listed}. Put them into one.")
    return next(iter(kinds), None)


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
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        temporary = Path(folder) / path.name  # the same name: Keras judges a file by its suffix
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)


def receipt(recipe: Recipe, data: Mapping[str, Any], devices: str, parameters: int) -> dict[str, Any]:
    """Return what is needed to judge and repeat a run: command, versions, hardware, seed, data."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "git_revision": _git_revision(),
        "hardware": hardware(),
        "devices": devices,
        "settings": settings(),
        "seed": recipe.seed,
        "deterministic": recipe.deterministic,
        "data": data,
        "parameters": parameters,
    }


def settings() -> dict[str, Any]:
    """Return what decides speed and is silent otherwise, as TensorFlow has it, not as it was asked for."""
    import tensorflow as tf
    from tensorflow.python.util import _pywrap_util_port

    from kerasdl.data import order

    split = ArraySplit(np.zeros((1, 1), np.uint8), np.zeros(1, np.int32))
    autotuned = order.evaluation_batches(split, batch_size=1).options().autotune.enabled
    return {
        "fast_cpu_kernels": bool(_pywrap_util_port.IsMklEnabled()),
        "tf_data_autotuner": autotuned is not False,
        "intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads() or "default",
        "inter_op_threads": tf.config.threading.get_inter_op_parallelism_threads() or "default",
        "environment": environment.describe(),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages a result depends on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
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
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git_revision() -> str | None:
    """Return the revision of the working folder, with "+changes" when it has any; None outside git."""
    git = ["git", "-C", str(Path.cwd())]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        status = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+changes" if status.stdout.strip() else "")
