"""`kerasdl check`: versions, devices, settings, and a short training that proves the installation."""

import dataclasses
import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl import machine
from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.source import Source
from kerasdl.data.splits import ArraySplit
from kerasdl.report import terminal
from kerasdl.runs import receipt

_NEEDED = (
    "tensorflow", "keras", "keras_tuner", "tensorflow_datasets", "importlib_resources", "tensorboard",
    "sklearn", "scipy", "tf2onnx", "onnx", "onnxruntime", "ai_edge_litert",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stripes(Source):
    """Synthetic 28x28 images of two classes, horizontal and vertical stripes in noise."""

    # Examples in all.
    num_examples: int = 1024

    def load(self) -> Dataset:
        """Draw the images, the same each time."""
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 2, self.num_examples).astype(np.int32)
        stripes = (np.arange(28) // 3 % 2)[None, :, None] * 160
        images = np.where(labels[:, None, None] == 0, stripes, stripes.transpose(0, 2, 1))
        images = (images + rng.integers(0, 95, (self.num_examples, 28, 28))).astype(np.uint8)[..., None]
        parts = np.split(np.arange(self.num_examples), [self.num_examples // 2, self.num_examples * 3 // 4])
        train, validation, test = (ArraySplit(images[part], labels[part]) for part in parts)
        return Dataset(
            train,
            validation,
            test,
            DataSpec(Spec((28, 28, 1), "uint8"), Spec((), "int32", ("rows", "columns"))),
            "stripes",
        )


def check() -> dict[str, Any]:
    """Return versions, devices, settings, what is missing, and whether a short training learned."""
    accuracy = _train()
    return {
        "versions": machine.versions(),
        "hardware": machine.hardware(),
        "settings": receipt.settings(),
        "missing": [name for name in _NEEDED if importlib.util.find_spec(name) is None],
        "test_accuracy": accuracy,
        "trained": accuracy > 0.95,
    }


def _train() -> float:
    from kerasdl.jobs.train import train
    from kerasdl.recipe import catalog, replace

    recipe, _ = catalog.load("lenet5")
    recipe = replace(recipe, data=Stripes(), epochs=3, warmup_epochs=0, batch_size=32)
    with tempfile.TemporaryDirectory(prefix="kerasdl-check-") as folder:
        quiet = terminal.open_console(file=(Path(folder) / "log").open("w"))
        return train(recipe, runs_dir=Path(folder) / "runs", export=False, console=quiet).metrics["accuracy"]
