"""From a run to a verified bundle, and the later proof that a bundle is still the same network."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasdl import run as runs
from kerasdl.data import order
from kerasdl.data.splits import Split, Splits
from kerasdl.errors import UsageError
from kerasdl.export import bundle
from kerasdl.export.spec import ALL_FORMATS, ExportSpec
from kerasdl.export.tflite import Converter
from kerasdl.recipe import Recipe
from kerasdl.serialization import decode, encode

TFLITE_MODES = ("float32", "float16", "dynamic", "int8")

_BATCH_SIZE = 256
_NUM_CALIBRATION = 256
_NUM_EMBEDDED = 8


def export_run(
    run: runs.Run,
    splits: Splits,
    *,
    exported_dir: str | Path,
    converter: Converter,
    formats: Sequence[str] = ALL_FORMATS,
    tflite_modes: Sequence[str] = TFLITE_MODES,
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
    network = keras.saving.load_model(run.model_file)
    spec = ExportSpec(
        name=recipe.name,
        model=network,
        endpoints=recipe.task.endpoints(network, splits.features),
        labels=splits.class_names,
        calibration=calibration(recipe, network, splits),
    )
    written = bundle.write_bundle(
        spec,
        task=recipe.task,
        root=Path(exported_dir),
        batches=test_batches(splits, limit),
        formats=tuple(formats),
        tflite_modes=tuple(tflite_modes),
        dynamic_batch=dynamic_batch,
        info={
            "recipe": encode(_without_paths(recipe)),
            "data": describe_data(splits),
            "metrics": run.read_json("metrics.json"),
        },
        samples=_samples(splits) if embed_samples else None,
        converter=converter,
    )
    hashes = {name: file["sha256"] for name, file in bundle.read_card(written.path)["files"].items()}
    receipt = run.read_json("receipt.json")
    run.write(
        "receipt.json", {**receipt, "artefacts": {**receipt.get("artefacts", {}), str(written.path): hashes}}
    )
    return written


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
    card = bundle.read_card(path)
    task, recorded = decode(card["recipe"]["fields"]["task"]), decode(card["recipe"]["fields"]["data"])
    try:
        splits = (source or recorded).load()
    except UsageError:
        if source is not None:
            raise
        splits = None  # the data is not on this machine; the card holds samples for this
    if splits is not None and splits.fingerprint != card["data"]["fingerprint"]:
        if source is not None:
            raise UsageError(
                f"This is not the data that {path} was exported with (fingerprint {splits.fingerprint[:12]}, "
                f"not {card['data']['fingerprint'][:12]}). Give that data, or no --data."
            )
        splits = None
    rows = bundle.verify_bundle(path, task=task, batches=None if splits is None else test_batches(splits))
    if splits is None:
        return rows, task, "hashes and embedded samples (the data it was exported with is not here)"
    return rows, task, f"hashes, embedded samples and all {len(splits.test):,} test examples"


def describe_data(splits: Splits) -> dict[str, Any]:
    """Return what a receipt and a card say of the data."""
    return {
        "fingerprint": splits.fingerprint,
        "features": dataclasses.asdict(splits.features),
        "class_names": list(splits.class_names),
        "examples": {name: len(getattr(splits, name)) for name in ("train", "validation", "test")},
    }


def test_batches(splits: Splits, limit: int | None = None):
    """Return a function that gives the test split anew, as numpy (features, labels) batches."""
    batches = order.evaluation_batches(splits.test, batch_size=_BATCH_SIZE)
    if limit is not None:
        batches = batches.take(limit)
    return batches.as_numpy_iterator


def calibration(recipe: Recipe, network: keras.Model, splits: Splits) -> dict[str, np.ndarray]:
    """Return shuffled raw training examples, as the input of the first endpoint."""
    (name,) = recipe.task.endpoints(network, splits.features)[0].inputs
    features, _ = _shuffled(splits.train, _NUM_CALIBRATION)
    return {name: features}


def _samples(splits: Splits) -> dict[str, np.ndarray]:
    features, labels = _shuffled(splits.test, _NUM_EMBEDDED)
    return {"features": features, "labels": labels}


def _shuffled(split: Split, count: int) -> tuple[np.ndarray, np.ndarray]:
    batches = order.training_batches(split, batch_size=min(count, len(split)), seed=0)
    return next(batches.as_numpy_iterator())


def _without_paths(recipe: Recipe) -> Recipe:
    """Keep only the last part of the data's path: a card tells nothing of the machine that made it."""
    path = getattr(recipe.data, "path", None)
    return recipe if path is None else dataclasses.replace(
        recipe, data=dataclasses.replace(recipe.data, path=Path(path).name)
    )  # fmt: skip
