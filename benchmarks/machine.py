"""What a table was measured on: processor, versions, and the rate of its matrix products.

python benchmarks/machine.py numpy float32  # GFLOP/s of 2048x2048; also tensorflow, torch, bfloat16
"""

import datetime
import importlib.metadata
import importlib.util
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

SIZE = 2048
_REPEATS = 12
#: Share of the machine that others may use beside an arm before its figures are not to be believed.
QUIET = 0.05


def describe() -> dict[str, str]:
    """Return processor, versions and date, to print above a table."""
    names = {
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    } if Path("/proc/cpuinfo").is_file() else {platform.processor()}  # fmt: skip
    versions = [f"Python {platform.python_version()}"]
    for package in ("tensorflow", "keras", "torch"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": f"{', '.join(sorted(names))}, {len(os.sched_getaffinity(0))} cores",
        "system": platform.platform(),
        "versions": ", ".join(versions),
        "date": datetime.date.today().isoformat(),
    }


def run(command: Sequence, variables: Mapping[str, str]) -> tuple[subprocess.CompletedProcess, float]:
    """Run a program; return what it did, and the share of the machine that others used meanwhile, 0 to 1.

    Two frameworks do not suffer alike from a busy machine (PyTorch's threads wait for each other at every
    operator), so that a ratio from one says nothing.
    """

    def busy() -> tuple[float, float, float]:
        times, own = psutil.cpu_times(), resource.getrusage(resource.RUSAGE_CHILDREN)
        idle = times.idle + getattr(times, "iowait", 0.0)
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # counted as user too
        return sum(times) - guests - idle, own.ru_utime + own.ru_stime, time.perf_counter()

    before = busy()
    done = subprocess.run([str(part) for part in command], env=variables, capture_output=True, text=True)
    used, own, wall = (after - first for after, first in zip(busy(), before, strict=True))
    return done, max(0.0, used - own) / (wall * psutil.cpu_count())


def flags() -> set[str]:
    """Return what the processor can do, in the kernel's words: avx512_bf16, avx512_vnni, amx_bf16, ..."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return {word for line in lines if line.startswith("flags") for word in line.partition(":")[2].split()}


def matrix_rates(variables: Mapping[str, str], precision: str = "float32") -> list[float]:
    """Measure matrix products with every library that is there, each in its own process, in GFLOP/s.

    Args:
        variables: environment of the processes.
        precision: "float32" or "bfloat16", which NumPy does not have.
    """
    libraries = ["numpy", "tensorflow"] if precision == "float32" else ["tensorflow"]
    libraries += ["torch"] if importlib.util.find_spec("torch") else []
    results = [run([sys.executable, __file__, library, precision], variables)[0] for library in libraries]
    return [float(result.stdout) for result in results]


def _matrix_product(library: str, precision: str):
    """Return a function that multiplies two matrices with a library, and waits for the result."""
    if library == "numpy":
        import numpy as np

        left = np.random.default_rng(0).standard_normal((SIZE, SIZE), np.float32)
        return lambda: left @ left
    if library == "tensorflow":
        import tensorflow as tf

        left = tf.cast(tf.random.normal((SIZE, SIZE)), precision)
        return lambda: tf.matmul(left, left)
    import torch

    left = torch.randn(SIZE, SIZE).to(getattr(torch, precision))
    return lambda: left @ left


def matrix_rate(library: str, precision: str = "float32") -> float:
    """Return the best rate of a product of 2048x2048 matrices in GFLOP/s."""
    multiply, seconds = _matrix_product(library, precision), []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - began)
    return 2 * SIZE**3 / min(seconds) / 1e9


if __name__ == "__main__":
    print(matrix_rate(*sys.argv[1:]))
