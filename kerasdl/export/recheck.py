"""Proves later, from a bundle alone or with its data, that nothing in it has changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.errors import RunFailedError
from kerasdl.export import verify
from kerasdl.export.card import decode_array, encode_array, hash_file, read_card
from kerasdl.export.process import Worker
from kerasdl.export.verify import Artefact, Batches, Reference

# How far figures of the same file may lie from those of the export: processors round differently.
_FIGURE_TOLERANCE = 0.005


def embed_samples(
    samples: Mapping[str, Any],
    artefacts: Sequence[Artefact],
    folder: Path,
    reference: Reference,
    worker: Worker,
) -> dict[str, Any]:
    """Return samples as JSON with what Keras and each artefact answer, so that a later change shows.

    An artefact is later compared with its own answers: a quantized one differs from Keras by design, and on a
    few samples that says nothing.
    """
    inputs = verify.as_inputs(samples["features"], reference.inputs)
    calls = {
        artefact.file: verify.caller(artefact.open(folder, worker), reference.endpoint)
        for artefact in artefacts
        if reference.endpoint in artefact.endpoints
    }
    answers = {file: call(inputs) for file, call in {"keras": reference.call, **calls}.items()}
    return {
        "endpoint": reference.endpoint,
        "inputs": {name: encode_array(np.asarray(value)) for name, value in inputs.items()},
        "labels": encode_array(np.asarray(samples["labels"])),
        "outputs": {
            file: {name: encode_array(value) for name, value in outputs.items()}
            for file, outputs in answers.items()
        },
    }


def verify_bundle(path: str | Path, *, task: Any, batches: Batches | None = None) -> list[dict[str, Any]]:
    """Check a bundle's hashes, and run each artefact on its embedded samples and on the data, if given.

    Files whose hash is wrong are not opened: a damaged one can bring its runtime down.

    Args:
        path: the bundle's folder.
        task: has `compare`, `evaluate` and `tolerances`.
        batches: returns (features, labels) batches of the data that the export was verified with.

    Returns:
        The card's row of each artefact, with `repeat`: `task.compare` between its answers on the samples now
        and at export; with `batches` also with the figures of `task.evaluate` as they are now.

    Raises:
        UsageError: when the folder is no bundle.
        RunFailedError: when anything has changed; every file concerned is named.
    """
    path = Path(path)
    card = read_card(path)
    damaged = _damaged_files(path, card["files"])
    problems = list(damaged.values())
    rows = []
    with Worker() as worker:
        for recorded in card["artefacts"]:
            if "error" in recorded:
                continue
            artefact = Artefact(recorded["file"], recorded["kind"], (recorded["endpoint"],))
            if any(artefact.owns(file) for file in damaged):
                continue
            try:
                found = _recheck(artefact, recorded, path, card["samples"], task, batches, worker)
                rows.append({**recorded, **found})
            except RunFailedError as error:
                problems.append(f"{artefact.file}: {error}")
    if problems:
        raise RunFailedError("\n".join([f"{path} is not what was exported:", *problems, "Export it again."]))
    return rows


def _damaged_files(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    damaged = {}
    for name, recorded in files.items():
        if not (folder / name).is_file():
            damaged[name] = f"{name} is missing."
        elif hash_file(folder / name) != recorded["sha256"]:
            damaged[name] = f"{name} has changed: its SHA-256 is not that of the export."
    return damaged


def _recheck(
    artefact: Artefact,
    recorded: Mapping[str, Any],
    folder: Path,
    samples: Mapping[str, Any] | None,
    task: Any,
    batches: Batches | None,
    worker: Worker,
) -> dict[str, Any]:
    predictor = artefact.open(folder, worker)
    if "evaluation" not in recorded:  # only opened at export too
        return {}
    endpoint, found = recorded["endpoint"], {}
    if samples is not None:
        inputs, expected = _decode(samples["inputs"]), _decode(samples["outputs"][artefact.file])
        actual = verify.caller(predictor, endpoint)(inputs)
        verify.check_outputs(expected, actual)
        found["repeat"] = task.compare(expected, actual, decode_array(samples["labels"]))
        verify.check_tolerances(found["repeat"], task.tolerances(artefact.kind))
    if batches is not None:
        names = predictor.inputs[endpoint]
        evaluation = task.evaluate(*verify.run_over(verify.caller(predictor, endpoint), names, batches))
        _check_same(evaluation, recorded["evaluation"])
        found |= {name: value for name, value in evaluation.items() if name in recorded}
        found["evaluation"] = evaluation
    return found


def _decode(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name: decode_array(value) for name, value in arrays.items()}


def _check_same(now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    """Raise a RunFailedError unless figures are those of the export, up to rounding."""
    for name, value in then.items():
        if not isinstance(value, int | float):
            continue
        if not abs(now[name] - value) <= _FIGURE_TOLERANCE * max(1.0, abs(value)):
            raise RunFailedError(f"{name} is {now[name]:.4g} on this data, but was {value:.4g} at export")
