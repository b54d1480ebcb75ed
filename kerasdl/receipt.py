"""The receipt of a run: what is needed to judge it and to repeat it."""

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl import environment
from kerasdl.data.splits import ArraySplit
from kerasdl.recipe import Recipe

if TYPE_CHECKING:
    import keras

_PACKAGES = (
    "kerasdl", "tensorflow", "keras", "numpy", "tensorflow-datasets", "tf2onnx", "onnx", "onnxruntime",
    "ai-edge-litert", "scikit-learn",
)  # fmt: skip


def make(recipe: Recipe, data: Mapping[str, Any], devices: str, parameters: int) -> dict[str, Any]:
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
        "pinned": _pinned(recipe),
        "data": data,
        "parameters": parameters,
    }


def _pinned(recipe: Recipe) -> dict[str, str]:
    """Return what is the same in a repetition, and what may not be."""
    seeded = f"by seed {recipe.seed}"
    operations = "deterministic" if recipe.deterministic else "not pinned: GPUs may round otherwise each time"
    return {
        "initial weights": seeded,
        "data order": f"{seeded} and step",
        "augmentation and dropout": f"{seeded}, step and place in the batch",
        "operations": operations,
    }


def hash_weights(network: "keras.Model") -> str:
    """Return the SHA-256 of a network's weights, as 64 hexadecimal digits.

    It goes over shape, dtype and little-endian bytes of every weight in the network's own order: names,
    paths and dates have no part in it, so that equal weights have equal hashes wherever they are.
    """
    digest = hashlib.sha256()
    for weight in network.get_weights():
        array = np.ascontiguousarray(weight)
        if sys.byteorder == "big":
            array = array.byteswap()
        digest.update(f"{array.shape} {array.dtype.name}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


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
