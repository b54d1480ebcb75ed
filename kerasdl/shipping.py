"""From a run to a verified bundle, and the later proof that a bundle is still the same network."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl import run as runs
from kerasdl.data import order
from kerasdl.data.evaluation import split_batches, test_batches
from kerasdl.data.splits import Split, Splits
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.evaluate import calibration as calibrating
from kerasdl.evaluate import evaluate_run
from kerasdl.export import bundle
from kerasdl.export.runtime import EndpointPredictor
from kerasdl.export.spec import ALL_FORMATS, Endpoint, ExportSpec
from kerasdl.export.tflite import DEFAULT_MODES, Converter
from kerasdl.recipe import Recipe
from kerasdl.serialization import decode, encode

_NUM_CALIBRATION = 256
_NUM_EMBEDDED = 8


def export_run(
    run: runs.Run,
    splits: Splits,
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
    endpoints = recipe.task.endpoints(network, splits.features, fitted)
    spec = ExportSpec(
        name=recipe.name,
        model=network,
        endpoints=endpoints,
        labels=splits.class_names,
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
            "data": describe_data(splits),
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


def calibrate_run(run: runs.Run, splits: Splits) -> dict[str, Any]:
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
    endpoints = task.endpoints(network, splits.features, fitted)
    predictor = EndpointPredictor(run.path, endpoints, splits.class_names)
    return evaluate_run(run, predictor, task, test_batches(splits), splits.class_names, fitted)


def verify(path: Path, source: Any = None) -> tuple[list[dict[str, Any]], Any, str]:
    """Prove that a bundle is still what was exported: hashes, embedded samples, and the data where it is.

    Args:
        path: the bundle.
        source: where the data is now. Defaults to where it was; without it the samples in the card serve.

    Returns:
        A row for each artefact, the bundle's task, and a sentence that says what it was compared on.

    Raises:
        UsageError: when `path` is no bundle, or `source` is not the data it was exported with.
        RunFailedError: when a file has changed or an artefact gives other answers; each file is named.
    """
    task, splits = recorded_data(path, bundle.read_card(path), source)
    rows = bundle.verify_bundle(path, task=task, batches=None if splits is None else test_batches(splits))
    if splits is None:
        return rows, task, "hashes and embedded samples (the data it was exported with is not here)"
    return rows, task, f"hashes, embedded samples and all {len(splits.test):,} test examples"


def recorded_data(path: Path, card: Mapping[str, Any], source: Any = None) -> tuple[Any, Splits | None]:
    """Return a bundle's task, and the data it was exported with: None where that is not on this machine.

    Args:
        path: the bundle.
        card: its card.
        source: where the data is now. Defaults to where it was.

    Raises:
        UsageError: when `source` is not that data, or the bundle lacks a file that it needs.
        RunFailedError: when the bundle is damaged.
    """
    task, recorded = recorded_parts(path, card)
    try:
        splits = (recorded if source is None else same_source(recorded, source)).load()
    except (UsageError, RunFailedError):
        if source is not None:
            raise
        return task, None
    if splits.fingerprint == card["data"]["fingerprint"]:
        return task, splits
    if source is None:
        return task, None
    raise UsageError(
        f"This is not the data that {path} was exported with (fingerprint {splits.fingerprint[:12]}, "
        f"not {card['data']['fingerprint'][:12]}). Give that data, or no --data."
    )


def recorded_parts(path: Path, card: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return a bundle's task and data source; classes of the user's own from its copy of their recipe file.

    That file is run. Only one that the card lists, unchanged, is.

    Raises:
        UsageError: when the bundle lacks the file that it needs.
        NotTheSameError: when the file has changed.
        RunFailedError: when the card is damaged.
    """
    if not {"recipe", "data"} <= set(card):
        raise RunFailedError(f"{path / 'card.json'} is damaged: it lacks recipe or data. Export it again.")
    folder = None
    if bundle.RECIPE_FILE in card["files"]:
        damaged = bundle.damaged_files(path, card)
        if bundle.RECIPE_FILE in damaged:
            raise bundle.NotTheSameError(path, list(damaged.values()))
        folder = path
    fields = card["recipe"]["fields"]
    return decode(fields["task"], folder), decode(fields["data"], folder)


def same_source(recorded: Any, given: Any) -> Any:
    """Return the source that was recorded, at the place that is given now.

    So fractions, seeds and sizes are those of the training. A source of another type is taken as it is given.
    """
    if type(recorded) is not type(given):
        return given
    place = {name: getattr(given, name) for name in ("path", "name") if hasattr(given, name)}
    return dataclasses.replace(recorded, **place)


def describe_data(splits: Splits) -> dict[str, Any]:
    """Return what a receipt and a card say of the data."""
    return {
        "fingerprint": splits.fingerprint,
        "features": dataclasses.asdict(splits.features),
        "class_names": list(splits.class_names),
        "examples": {name: len(getattr(splits, name)) for name in ("train", "validation", "test")},
    }


def calibration(task: Any, endpoints: Sequence[Endpoint], splits: Splits) -> dict[str, dict[str, np.ndarray]]:
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


def _samples(splits: Splits) -> dict[str, np.ndarray]:
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
