"""Opens whatever a command is given: a run, a bundle, or one exported file."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data import dataset, from_text
from kerasdl.data.dataset import Dataset, Spec, read_spec
from kerasdl.errors import UsageError
from kerasdl.export.card import read_card
from kerasdl.files import hash_file
from kerasdl.inference import runtimes
from kerasdl.jobs import verify
from kerasdl.runs.folder import Run
from kerasdl.tasks.classification import temperature

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Target:
    """Something that predicts, with the recipe parts needed to judge it.

    Attributes:
        path: what was opened.
        kind: "keras" (a run), "saved_model", "tflite" or "onnx".
        open: makes what answers; a run's network is read only when it is asked.
        labels: class names in the order of the outputs.
        data: the source it was trained on; its folder may not exist on this machine.
        task: its task.
        features: spec of one raw example.
        fingerprint: of the data it was trained on.
        calibration: what was fitted to the network after training, and is part of the predictor.
    """

    path: Path
    kind: str
    open: Callable[[], runtimes.Predictor]
    labels: tuple[str, ...]
    data: Any
    task: Any
    features: Spec
    fingerprint: str
    temperature: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def predictor(self) -> runtimes.Predictor:
        """What answers."""
        return self.open()

    def predict(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name (`probabilities`, `class_ids`) of raw examples.

        Args:
            features: (batch_size, *self.features.shape), for images uint8 0..255.

        Raises:
            UsageError: for examples of another shape.
        """
        return self.predictor.predict(features)

    def predict_files(self, files: list[Path]) -> list[dict[str, Any]]:
        """Return the task's answer for each file, in order.

        Raises:
            UsageError: when a file is missing or the task cannot read it.
        """
        features = np.stack([self.task.read_file(file, self.features) for file in files])
        answers = self.task.describe(self.predict(features), self.labels)
        return [{"file": str(file), **answer} for file, answer in zip(files, answers, strict=True)]

    def load_data(self, text: str | None = None, *, same: bool = False) -> Dataset:
        """Load the data this was trained on, or other data of its kind.

        Args:
            text: what `--data` takes; where the data is now. Defaults to where it was.
            same: refuse other data than that of the training.

        Raises:
            UsageError: when it cannot be loaded, or has other examples or classes.
        """
        if text is None and self.kind != "keras" and hasattr(self.data, "path"):
            raise UsageError(
                f"{self.path} was trained on {self.data.path!r}; where that is, an exported file does not "
                "tell. Say it with --data."
            )
        source = self.data if text is None else dataset.same_source(self.data, from_text(text))
        splits = source.load()
        self._check_splits(splits)
        if same and splits.fingerprint != self.fingerprint:
            raise UsageError(
                f"This is not the data that {self.path} was trained on (fingerprint "
                f"{splits.fingerprint[:12]}, not {self.fingerprint[:12]}): it has changed since. Train again."
            )
        return splits

    def _check_splits(self, splits: Dataset) -> None:
        if splits.spec.inputs != self.features:
            raise UsageError(
                f"{self.path} takes examples of shape {self.features.shape}, but this data has "
                f"{splits.spec.inputs.shape}. Give data like that it was trained on."
            )
        if splits.spec.class_names != self.labels:
            raise UsageError(
                f"{self.path} knows the classes {_few(self.labels)}, but this data has "
                f"{_few(splits.spec.class_names)}. Give data with the same classes."
            )


def load(path: str | Path) -> Target:
    """Open a run folder, a bundle folder, or one exported file of a bundle.

    Raises:
        UsageError: when it is none of these.

    Example:
        >>> kerasdl.load("exported/lenet5/1").predict(images)["class_ids"]
    """
    path = Path(path)
    where = find(path)
    return _load_run(where) if isinstance(where, Run) else _load_artefact(path, where)


def find(path: Path) -> Run | Path:
    """Tell a run from a bundle: return the run, or the folder of the bundle that a path is, or lies in.

    Raises:
        UsageError: when it is neither.
    """
    if not path.exists():
        raise UsageError(f"There is no {path}. Give a run, a bundle or an exported file.")
    if path.is_dir() and (path / "recipe.json").is_file():
        return Run(path)
    bundle = path if path.is_dir() else path.parent
    if not (bundle / "card.json").is_file():
        raise UsageError(
            f"{path} is neither a run (with recipe.json) nor a bundle nor a file in one (with card.json). "
            "Give a folder like runs/lenet5/1 or exported/lenet5/1, or a .tflite or .onnx file in the latter."
        )
    return bundle


def _load_run(run: Run) -> Target:
    recipe, recorded, labels = run.recipe(), run.read_json("receipt.json")["data"], run.labels()
    features = read_spec(recorded["features"])
    fitted = temperature.of_run(run)

    def open_network():
        endpoints = recipe.task.endpoints(run.network(), features, fitted)
        return runtimes.EndpointPredictor(run.path, endpoints, labels)

    return Target(
        run.path,
        "keras",
        open_network,
        labels,
        recipe.data,
        recipe.task,
        features,
        recorded["fingerprint"],
        fitted,
    )


def _load_artefact(path: Path, bundle: Path) -> Target:
    card = read_card(bundle)
    for name in (path.name,) if path.is_file() else ("saved_model.pb",):
        if name in card["files"] and hash_file(bundle / name) != card["files"][name]["sha256"]:
            _log.warning(
                f"{bundle / name} has changed since it was exported: kerasdl verify {bundle} tells more."
            )
    predictor = runtimes.open_artifact(path)
    task, data = verify.recorded_parts(bundle, card)
    recorded = card["data"]
    return Target(
        path,
        predictor.kind,
        lambda: predictor,
        tuple(predictor.labels),
        data,
        task,
        read_spec(recorded["features"]),
        recorded["fingerprint"],
        card.get("calibration", {}),
    )


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f", ... ({len(names)})" if len(names) > 5 else "")
