"""The proof that a bundle is still the network that was exported."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasdl import shapes
from kerasdl.data.dataset import Dataset, DataSpec
from kerasdl.data.passes import test_batches
from kerasdl.data.source import Source
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export import bundle
from kerasdl.export.card import FILE_NAME, REPAIR, assets_of
from kerasdl.export.identity import check_identity
from kerasdl.files import damaged, parsing
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.predictor import InputSpec
from kerasdl.recipe.document import decode
from kerasdl.runs.cards import JudgedCard
from kerasdl.tasks.task import Task


def verify(
    path: Path, source: Source | None = None, *, expect: str | None = None
) -> tuple[list[dict[str, Any]], Task, str]:
    """Verify a bundle by hashes, embedded samples and, where it is available, the data.

    Args:
        path: the bundle.
        source: where the data is now. Defaults to where it was; without it the samples in the card serve.
        expect: SHA-256 that `export` printed, so that the card cannot be replaced together with the model.

    Returns:
        A row for each artefact, the bundle's task, and a sentence that says what it was compared on.

    Raises:
        UsageError: when `path` is not a bundle, or `source` is not the data it was exported with.
        RunFailedError: when a file has changed or an artefact gives other answers; each file is named.
    """
    card = bundle.read_card(path)
    if expect is not None:
        check_identity(path, card, expect)
    task, splits = recorded_data(path, card, source)
    with parsing(path / FILE_NAME, REPAIR):
        endpoints = recorded_endpoints(path, card, task)
    batches = None if splits is None else test_batches(splits)
    rows = bundle.verify_bundle(path, endpoints=endpoints, batches=batches)
    return rows, task, _checked(card, len(rows), splits) + _unchecked(bundle.unlisted_files(path, card))


def _checked(card: Mapping[str, Any], num_artefacts: int, splits: Dataset | None) -> str:
    """Say exactly what was compared with the export."""
    hashes = f"the hashes of {_count(len(card['files']), 'file')}"
    inputs = ["the embedded samples"] if card["samples"] is not None else []
    inputs += [] if splits is None else [f"all {len(splits.test):,} test examples"]
    absent = " (the data it was exported with is not here)" if splits is None else ""
    if not inputs:
        return f"{hashes} and no more: the bundle holds no samples, and its data is not here (--data)"
    asked = _count(num_artefacts, "exported file")
    return f"{hashes}, and the answers of {asked} to {' and '.join(inputs)}{absent}"


def _unchecked(names: Sequence[str]) -> str:
    if not names:
        return ""
    shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
    return f"; not checked, since card.json does not list {_count(len(names), 'file')}: {shown}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def recorded_endpoints(path: Path, card: Mapping[str, Any], task: Task) -> dict[str, Endpoint]:
    """Return the endpoints of a bundle's task by name, without a network to call."""
    spec = DataSpec.from_description(card["data"], assets_of(path, card))
    inputs = {one["name"]: one["inputs"] for one in card.get("endpoints", ())}
    found = {endpoint.name: endpoint for endpoint in task.endpoints(None, spec, card.get("calibration", {}))}
    return {  # those of an open length were compared at that of phones, in all files
        name: endpoint
        if endpoint.phone_length is not None
        else dataclasses.replace(endpoint, inputs_of=endpoint.inputs_for(_specs(inputs.get(name, {}))))
        for name, endpoint in found.items()
    }


def _specs(inputs: Mapping[str, Any]) -> dict[str, InputSpec]:
    """Return shape and dtype of recorded inputs by name."""
    return {name: (tuple(one["shape"]), one["dtype"]) for name, one in inputs.items()}


def recorded_data(
    path: Path, card: Mapping[str, Any], source: Source | None = None
) -> tuple[Task, Dataset | None]:
    """Return a bundle's task and its data, None where that is not on this machine.

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
        here = recorded if source is None else recorded.moved_to(source)
        splits = here.like(DataSpec.from_description(card["data"])).load()
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


def recorded_parts(path: Path, card: Mapping[str, Any]) -> tuple[Task, Source]:
    """Return a bundle's task and data source, also those of the user's recipe file.

    That file is run. Only one that the card lists, unchanged, is.

    Raises:
        UsageError: when the bundle lacks the file that it needs.
        NotTheSameError: when the file has changed.
        RunFailedError: when the card is damaged.
    """
    if found := shapes.problem(card, JudgedCard):
        raise damaged(path / FILE_NAME, found, REPAIR)
    with parsing(path / FILE_NAME, REPAIR):
        DataSpec.from_description(card["data"])  # what it describes is read further on, without this guard
    folder = None
    if bundle.RECIPE_FILE in card["files"]:
        changed = bundle.damaged_files(path, card)
        if bundle.RECIPE_FILE in changed:
            raise bundle.NotTheSameError(path, list(changed.values()))
        folder = path
    fields = card["recipe"]["fields"]
    task, data = decode(fields["task"], folder), decode(fields["data"], folder)
    if not (isinstance(task, Task) and isinstance(data, Source)):
        raise damaged(path / FILE_NAME, "its task or its data is of another type", REPAIR)
    return task, data
