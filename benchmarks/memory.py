"""Peak memory of a training on an `.npz` file, as a multiple of the size of its arrays.

    python benchmarks/memory.py

Two trainings of `mlp` for 20 batches: on almost no images, which is what TensorFlow and the network take, and
on 384 MB of them. Measured with TensorFlow 2.21.0 on a Linux machine: 1.07 times; before arrays were shared
with TensorFlow, 3.45 times.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

_COUNT, _SHAPE = 100_000, (32, 32, 3)
_ARGUMENTS = ["--limit-train-batches", "20", "--epochs", "1", "--batch-size", "32", "--no-export"]


def write(path: Path, count: int) -> int:
    """Write training and a quarter as many test images; return their size in bytes."""
    images = np.random.default_rng(0).integers(0, 256, (count, *_SHAPE), dtype=np.uint8)
    labels = np.arange(count) % 10
    part = count // 4
    np.savez(path, x_train=images, y_train=labels, x_test=images[:part], y_test=labels[:part])
    return images.nbytes + images[:part].nbytes


def peak(path: Path, runs_dir: Path) -> int:
    """Return the highest resident memory of a training, in bytes."""
    command = [sys.executable, "-m", "kerasdl", "train", "mlp", "--data", str(path), *_ARGUMENTS]
    process = subprocess.Popen(
        [*command, "--runs-dir", str(runs_dir)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return usage.ru_maxrss * 1024


def main() -> None:
    """Print both peaks and the factor."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes = [write(folder / f"{count}.npz", count) for count in (400, _COUNT)]
        low, high = (peak(folder / f"{count}.npz", folder / "runs") for count in (400, _COUNT))
    factor = (high - low) / (sizes[1] - sizes[0])
    print(
        f"{low / 1e6:.0f} MB, with {sizes[1] / 1e6:.0f} MB of images {high / 1e6:.0f} MB: {factor:.2f} times"
    )


if __name__ == "__main__":
    main()
