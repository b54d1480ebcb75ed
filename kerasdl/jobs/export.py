"""From a run to a verified bundle, and the later proof that a bundle is still the same network."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data import order
from kerasdl.data.dataset import Dataset, Split
from kerasdl.data.passes import split_batches, test_batches
from kerasdl.errors import UsageError
from kerasdl.export import bundle
from kerasdl.export.spec import ExportSpec
from kerasdl.export.tflite import DEFAULT_MODES, Converter
from kerasdl.inference.endpoint import ALL_FORMATS, Endpoint
from kerasdl.inference.runtimes import EndpointPredictor
from kerasdl.jobs.evaluate import evaluate_run
from kerasdl.recipe import Recipe
from kerasdl.recipe.document import encode
from kerasdl.runs import folder as runs
from kerasdl.tasks.classification import temperature as calibrating

_NUM_CALIBRATION = 256
_NUM_EMBEDDED = 8


def export_run(
    run: runs.Run,
    splits: Dataset,
    *,
    exported_dir: str | Path,
    converter: Converter,
    formats: Sequence[str] = ALL_FORMATS,
    tflite_modes: Sequence[str] = DEFAULT_MODES,
    dynamic_batch: bool = False,
    embed_samples: bool = True,
    limit: int | None = None,
) -> bundle.Bundle:
    """Write a run's best network in every format, verify each file, and publish them as one bundle.

    Args:
        run: a run with a `model.keras`.
        splits: the data it was trained on.
        exported_dir: `<name>/<version>/` is made here.
        converter: child process that converts to TFLite.
        formats: some of "saved_model", "tflite", "onnx".
        tflite_modes: some of "float32", "float16", "dynamic", "int8", "int16x8".
        dynamic_batch: let TFLite files take any batch size; without it they take one example.
        embed_samples: keep a few test examples in the card.
        limit: batches of the test split to verify with; None for all.

    Raises:
        RunFailedError: when an artefact differs from the Keras network by more than its tolerance.
    """
    recipe = run.recipe()
    network = run.network()
    fitted = calibrating.of_run(run)
    endpoints = recipe.task.endpoints(network, splits.spec.inputs, fitted)
    spec = ExportSpec(
        name=recipe.name,
        model=network,
        endpoints=endpoints,
        labels=splits.spec.class_names,
        calibration=calibration(recipe.task, endpoints, splits),
    )
    encoded = encode(_without_machine(recipe))
    written = bundle.write_bundle(
        spec,
        task=recipe.task,
        root=Path(exported_dir),
        batches=test_batches(splits, limit),
        formats=tuple(formats),
        tflite_modes=tuple(tflite_modes),
        dynamic_batch=dynamic_batch,
        info={
            "recipe": encoded,
            "data": splits.describe(),
            "metrics": _without_tables(run.read_json("metrics.json")),
            **({"calibration": fitted} if fitted else {}),
        },
        samples=_samples(splits) if embed_samples else None,
        recipe_file=run.path / bundle.RECIPE_FILE if _has_own_types(encoded) else None,
        converter=converter,
    )
    hashes = {name: file["sha256"] for name, file in bundle.read_card(written.path)["files"].items()}
    receipt = run.read_json("receipt.json")
    run.write(
        "receipt.json", {**receipt, "artefacts": {**receipt.get("artefacts", {}), str(written.path): hashes}}
    )
    return written


def calibrate_run(run: runs.Run, splits: Dataset) -> dict[str, Any]:
    """Calibrate a run that was trained without, and evaluate it again: its figures are now others.

    Args:
        run: a run with a `model.keras`; it gets a `calibration.json`, which all that opens the run uses.
        splits: the data it was trained on.

    Returns:
        The figures of the test split.

    Raises:
        UsageError: when this kind of problem has nothing to calibrate.
    """
    task, network = run.recipe().task, run.network()
    if not hasattr(task, "fit_calibration"):
        raise UsageError(f"{type(task).__name__} has nothing to calibrate. Leave --calibrate out.")
    fitted = calibrating.calibrate(run, network, task, split_batches(splits.validation))
    endpoints = task.endpoints(network, splits.spec.inputs, fitted)
    predictor = EndpointPredictor(run.path, endpoints, splits.spec.class_names)
    return evaluate_run(run, predictor, task, test_batches(splits), splits.spec.class_names, fitted)


def calibration(
    task: Any, endpoints: Sequence[Endpoint], splits: Dataset
) -> dict[str, dict[str, np.ndarray]]:
    """Return shuffled raw training examples as inputs of each endpoint that TFLite files have."""
    features, _ = _shuffled(splits.train, _NUM_CALIBRATION)
    names = [endpoint.name for endpoint in endpoints if "tflite" in endpoint.formats]
    return {name: task.inputs(name, features, 0) for name in names}


def _without_tables(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the tables among the figures: with many classes they are large, and the run has them."""
    figures = {
        name: value
        for name, value in metrics.get("test", {}).items()
        if not (isinstance(value, list) and any(isinstance(part, list | dict) for part in value))
    }
    return {**metrics, "test": figures} if "test" in metrics else dict(metrics)


def _samples(splits: Dataset) -> dict[str, np.ndarray]:
    features, labels = _shuffled(splits.test, _NUM_EMBEDDED)
    return {"features": features, "labels": labels}


def _shuffled(split: Split, count: int) -> tuple[np.ndarray, np.ndarray]:
    batches = order.training_batches(split, batch_size=min(count, len(split)), seed=0)
    return next(batches.as_numpy_iterator())


def _without_machine(recipe: Recipe) -> Recipe:
    """Keep only the last part of the data's path, and no wish to download: a card is for any machine."""
    changes: dict[str, Any] = {}
    if getattr(recipe.data, "path", None) is not None:
        changes["path"] = Path(recipe.data.path).name
    if hasattr(recipe.data, "download"):
        changes["download"] = False
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, **changes))


def _has_own_types(encoded: Mapping[str, Any]) -> bool:
    """Tell whether the task or the data is of a type that the user's recipe file defines."""
    own = f'"type": "{bundle.RECIPE_FILE}:'
    return any(own in json.dumps(encoded["fields"][part]) for part in ("task", "data"))
