"""The receipt of a run: command, versions, hardware and seeds, to judge and repeat it."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl import environment, machine
from kerasdl.private.tensorflow import has_mkl_kernels
from kerasdl.recipe import Recipe

if TYPE_CHECKING:
    import keras


def make(recipe: Recipe, data: Mapping[str, Any], devices: str, parameters: int) -> dict[str, Any]:
    """Return the receipt: command, versions, hardware, settings, seed and data."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": machine.versions(),
        "git_revision": _git_revision(),
        "hardware": machine.hardware(),
        "devices": devices,
        "settings": settings(),
        "seed": recipe.seed,
        "deterministic": recipe.deterministic,
        "pinned": _pinned(recipe.seed, recipe.deterministic),
        "data": data,
        "parameters": parameters,
    }


def settings() -> dict[str, Any]:
    """Return the settings that decide speed, as TensorFlow has them and not as they were asked for."""
    import tensorflow as tf

    return {
        "fast_cpu_kernels": has_mkl_kernels(),
        "tf_data_autotuner": False,  # `data/batches.py` turns it off
        "intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads() or "default",
        "inter_op_threads": tf.config.threading.get_inter_op_parallelism_threads() or "default",
        "environment": environment.describe(),
    }


def _pinned(seed: int, deterministic: bool) -> dict[str, str]:
    """Describe which parts of a run its repetition repeats exactly."""
    seeded = f"by seed {seed}"
    operations = "deterministic" if deterministic else "not pinned: GPUs may round otherwise each time"
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
    for weight in network.weights:
        array = np.ascontiguousarray(weight.numpy())
        if sys.byteorder == "big":
            array = array.byteswap()
        digest.update(f"{array.shape} {array.dtype.name}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _git_revision() -> str | None:
    """Return the revision of the working folder, with "+changes" when it has any; None outside git.

    A folder of somebody else's may hold a `.git` whose settings name programs. None of them is run: where
    files would have to go through such filters to be compared, the revision is told alone.
    """
    try:
        head = _git("rev-parse", "HEAD")
        scopes = _git("config", "--show-scope", "--get-regexp", r"^filter\..*\.(clean|process)$", fine=(0, 1))
        if any(not line.startswith(("system", "global")) for line in scopes.splitlines()):
            return head
        return head + ("+changes" if _git("status", "--porcelain", "--ignore-submodules=dirty") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str, fine: Sequence[int] = (0,)) -> str:
    # Without locks the index is not written, so that no hook runs either.
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments]
    # Nor is anything fetched: a repository may name a program that fetches what it lacks.
    environment = {**os.environ, "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    if ran.returncode not in fine:
        raise subprocess.CalledProcessError(ran.returncode, command)
    return ran.stdout.strip()
