"""Does Bayesian search pay on real MNIST? 30 trials on a tenth of the data, then the best one on all of it.

    TFDS_DATA_DIR=... python benchmarks/tuning_mnist.py search --folder /tmp/mnist --tuners random,bayesian
    TFDS_DATA_DIR=... python benchmarks/tuning_mnist.py retrain --folder /tmp/mnist
    python benchmarks/tuning_mnist.py table --folder /tmp/mnist

Searches go over `tuning/lenet5.py` with 5,400 training images (a tenth of the recipe's), the recipe's whole
validation split and 6 epochs; trial 0 is the recipe in both arms. The best trial of each search is then
trained on all 54,000 images for the recipe's 15 epochs. What is done is not done again.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

_SEEDS = (0, 1, 2, 3, 4)


def make_subset(file: Path) -> None:
    """Write a tenth of MNIST's training split, its validation split and its test split."""
    import kerasdl

    splits = kerasdl.load_recipe("lenet5").data.load()
    np.savez(
        file,
        x_train=splits.train.features[::10], y_train=splits.train.targets[::10],
        x_val=splits.validation.features, y_val=splits.validation.targets,
        x_test=splits.test.features, y_test=splits.test.targets,
    )  # fmt: skip


def search(folder: Path, tuners: list[str], num_trials: int) -> None:
    """Run the searches; those that were interrupted go on."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "mnist_tenth.npz"
    if not data.is_file():
        make_subset(data)
    for seed in _SEEDS:
        for tuner in tuners:
            if _record(folder, tuner, seed) is not None:
                continue
            _kerasdl(
                "tune", "lenet5", "--data", str(data), "--epochs", "6", "--tuner", tuner, "--seed", str(seed),
                "--max-trials", str(num_trials), "--searches-dir", str(folder / f"{tuner}-{seed}"),
            )  # fmt: skip


def retrain(folder: Path) -> None:
    """Train the best trial of each search, and the recipe, on all of MNIST."""
    for name in [f"{tuner}-{seed}" for tuner in ("bayesian", "random") for seed in _SEEDS]:
        best = folder / name / "lenet5" / "1"
        if (best / "best.json").is_file() and not _test_accuracy(folder, name):
            _kerasdl(
                "train", "lenet5", "--from-trial", f"{best}:best", "--data", "mnist", "--epochs", "15",
                "--no-export", "--runs-dir", str(folder / "runs" / name),
            )  # fmt: skip
    for seed in _SEEDS:
        if not _test_accuracy(folder, f"recipe-{seed}"):
            runs = str(folder / "runs" / f"recipe-{seed}")
            _kerasdl("train", "lenet5", "--no-export", "--seed", str(seed), "--runs-dir", runs)


def table(folder: Path) -> None:
    """Print what is there."""
    print("| | best validation accuracy of the search | test accuracy, trained on all |\n|---|---|---|")
    for arm in ("bayesian", "random", "recipe"):
        found = [_record(folder, arm, seed) for seed in _SEEDS]
        bests = [document["best"] for document in found if document is not None]
        tests = [accuracy for seed in _SEEDS if (accuracy := _test_accuracy(folder, f"{arm}-{seed}"))]
        print(f"| {arm} | {_spread(bests)} | {_spread(tests)} |")


def _record(folder: Path, tuner: str, seed: int) -> dict | None:
    from kerasdl.search import record

    path = folder / f"{tuner}-{seed}" / "lenet5" / "1"
    if not (path / "search.json").is_file():
        return None
    found = record.read(path)
    return {"best": found.best().figures["val_accuracy"]} if found.finished else None


def _test_accuracy(folder: Path, name: str) -> float | None:
    file = folder / "runs" / name / "lenet5" / "1" / "metrics.json"
    return json.loads(file.read_text()).get("test", {}).get("accuracy") if file.is_file() else None


def _spread(values: list[float]) -> str:
    """Return mean, 95 % interval of the mean (Student's t) and the values, in percent."""
    from scipy.stats import t

    if len(values) < 2:
        return ", ".join(f"{100 * value:.2f}" for value in values)
    mean = statistics.mean(values)
    half = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    listed = ", ".join(f"{100 * value:.2f}" for value in values)
    return f"{100 * mean:.2f} +- {100 * half:.2f} ({listed})"


def _kerasdl(*arguments: str) -> None:
    print("kerasdl", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "kerasdl", *arguments], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("search", "retrain", "table"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--tuners", default="bayesian,random")
    parser.add_argument("--trials", type=int, default=30)
    given = parser.parse_args()
    if given.what == "search":
        search(given.folder, given.tuners.split(","), given.trials)
    else:
        {"retrain": retrain, "table": table}[given.what](given.folder)
