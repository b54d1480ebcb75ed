"""From a run to a verified bundle."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data import batches, passes
from kerasdl.data.dataset import Dataset, Split, Tree
from kerasdl.export import bundle
from kerasdl.export.modes import MODES
from kerasdl.export.spec import ExportSpec
from kerasdl.export.tflite import Converter
from kerasdl.inference import labels
from kerasdl.inference.endpoint import Endpoint
from kerasdl.jobs.evaluate import evaluate_network, fitted_of
from kerasdl.network.imported import Imported
from kerasdl.network.network import Network
from kerasdl.preprocessing.preprocessing import Preprocessing
from kerasdl.recipe import Recipe
from kerasdl.recipe.document import encode
from kerasdl.runs import folder as runs
from kerasdl.training import reference

if TYPE_CHECKING:
    import keras

_NUM_REPRESENTATIVE = 256
#: Of networks that were not made for it, any file but the SavedModel may be too far from the network.
_EXPENDABLE = (*MODES, "onnx")
_NUM_EMBEDDED = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(bundle.Files):
    """Settings of an export: the files that are asked for, where they go, and how they are verified.

    Attributes:
        exported_dir: folder of all bundles; `<name>/<version>/` is made in it.
        embed_samples: keep a few test examples in the card.
        limit: batches of the test split to verify with; None for all.
    """

    exported_dir: str | Path
    embed_samples: bool = True
    limit: int | None = None


def export_run(
    run: runs.Run,
    dataset: Dataset,
    converter: Converter,
    settings: Settings,
    network: "keras.Model | None" = None,
) -> bundle.Bundle:
    """Export a run's best network, verify each file, and publish the bundle.

    Args:
        run: a run with a `model.keras`.
        dataset: the data it was trained on.
        converter: child process that converts to TFLite.
        settings: what to write.
        network: the run's best network where it is open already. Defaults to None: it is read.

    Raises:
        RunFailedError: when the network is not the one that was trained, or a file differs from it by more
            than its tolerance.
    """
    recipe, fitted = run.recipe(), fitted_of(run)
    if network is None:
        network = reference.open_network(run)
    endpoints = recipe.task.endpoints(network, dataset.spec, fitted)
    layer = network.preprocessing if isinstance(network, Network) else None
    spec = ExportSpec(
        name=recipe.name,
        model=network,
        endpoints=endpoints,
        labels=dataset.spec.class_names,
        representative=representative(endpoints, dataset),
        assets=assets(dataset, network),
        **({"expendable": _EXPENDABLE} if isinstance(network, Imported) else {}),
        resources=tuple(part for owner in (layer, network) for part in _resources(owner)),
    )
    encoded = encode(_without_machine(recipe))
    written = bundle.write_bundle(
        spec,
        root=Path(settings.exported_dir),
        batches=passes.test_batches(dataset, settings.limit),
        files=settings,
        info={
            "recipe": encoded,
            "data": dataset.describe(),
            "run": "/".join(run.path.resolve().parts[-2:]),
            "metrics": _without_tables(run.read_json("metrics.json")),
            **({"calibration": fitted} if fitted else {}),
        },
        samples=_samples(dataset) if settings.embed_samples else None,
        recipe_file=run.path / bundle.RECIPE_FILE if _has_own_types(encoded) else None,
        converter=converter,
    )
    hashes = {name: file["sha256"] for name, file in bundle.read_card(written.path)["files"].items()}
    receipt = run.read_json("receipt.json")
    run.write(
        "receipt.json", {**receipt, "artefacts": {**receipt.get("artefacts", {}), str(written.path): hashes}}
    )
    return written


def calibrate_run(run: runs.Run, dataset: Dataset) -> dict[str, Any]:
    """Calibrate a run that was trained without calibration, and evaluate it again.

    Args:
        run: a run with a `model.keras`; it gets a `calibration.json`, which all that opens the run uses.
        dataset: the data it was trained on.

    Returns:
        The figures of the test split.

    Raises:
        UsageError: when this kind of problem has nothing to calibrate.
    """
    return evaluate_network(run, reference.open_network(run), run.recipe().task.calibrated(), dataset)


def assets(dataset: Dataset, network: "keras.Model") -> dict[str, str]:
    """Return the text files of data and preprocessing that belong into a bundle, by name.

    Raises:
        UsageError: when a class name contains a line end.
    """
    layer = network.preprocessing if isinstance(network, Network) else None
    return {**labels.assets(dataset.spec), **(layer.assets() if isinstance(layer, Preprocessing) else {})}


def representative(endpoints: Sequence[Endpoint], dataset: Dataset) -> dict[str, dict[str, np.ndarray]]:
    """Return shuffled raw training examples as inputs of each endpoint that TFLite files have."""
    features, _ = _shuffled(dataset.train, _NUM_REPRESENTATIVE)
    return {
        endpoint.name: endpoint.inputs_of(features, 0)
        for endpoint in endpoints
        if "tflite" in endpoint.formats
    }


def _resources(owner: "keras.Layer | None") -> list[Any]:
    """Return the parts with tables that are not weights."""
    return owner.resources() if isinstance(owner, Preprocessing | Imported) else []


def _without_machine(recipe: Recipe) -> Recipe:
    """Return a recipe without what belongs to one machine."""
    parts = {"data": recipe.data.without_machine(), "task": recipe.task.without_machine()}
    if recipe.model.target is Imported:  # its own run, which the card names already
        parts |= {"model": recipe.model.replace(file=""), "weights": None, "freeze": "none"}
        parts |= {"fine_tune_epochs": 0, "fine_tune_learning_rate": None}
    return dataclasses.replace(recipe, **parts)


def _without_tables(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out tables among the metrics: with many classes they are large."""
    figures = {
        name: value
        for name, value in metrics.get("test", {}).items()
        if not (isinstance(value, list) and any(isinstance(part, list | dict) for part in value))
    }
    return {**metrics, "test": figures} if "test" in metrics else dict(metrics)


def _samples(dataset: Dataset) -> dict[str, Tree]:
    features, targets = _shuffled(dataset.test, _NUM_EMBEDDED)
    return {"features": features, "targets": targets}


def _shuffled(split: Split, count: int) -> tuple[Tree, Tree]:
    dataset = batches.training_batches(split, batch_size=min(count, len(split)), seed=0)
    return next(dataset.as_numpy_iterator())[:2]


def _has_own_types(encoded: Mapping[str, Any]) -> bool:
    """Tell whether the task or the data is of a type that the user's recipe file defines."""
    own = f'"type": "{bundle.RECIPE_FILE}:'
    return any(own in json.dumps(encoded["fields"][part]) for part in ("task", "data"))
