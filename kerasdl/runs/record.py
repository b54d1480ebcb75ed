"""Reads the files of a run folder as plain values, without Keras and data."""

import csv
import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.files import TRAIN_AGAIN, damaged, parsing, read_arrays
from kerasdl.recipe import Recipe
from kerasdl.recipe.document import encode, leaves
from kerasdl.runs.folder import Run, open_run


@dataclasses.dataclass(frozen=True)
class Record:
    """The content of a run's files; files that were not written are empty.

    Attributes:
        run: the folder.
        recipe: fields of the resolved recipe, encoded.
        receipt: versions, hardware, data, exported files.
        status: stage, position and error of the run.
        metrics: best epoch and test metrics.
        history: a row for each ended epoch, None for values that are not finite.
        labels: class names.
    """

    run: Run
    recipe: dict[str, Any]
    receipt: dict[str, Any]
    status: dict[str, Any]
    metrics: dict[str, Any]
    history: list[dict[str, float | None]]
    labels: tuple[str, ...]

    @property
    def name(self) -> str:
        """`<pipeline>/<n>`, as the folder is named."""
        path = self.run.path.resolve()
        return f"{path.parent.name}/{path.name}"

    @property
    def test(self) -> dict[str, Any]:
        """Metrics on the test split; empty before there are any."""
        return self.metrics.get("test") or {}

    @property
    def is_imported(self) -> bool:
        """Whether the network was trained elsewhere and brought here by `kerasdl import`."""
        return bool(self.receipt.get("imported"))

    @property
    def num_epochs(self) -> int:
        """Number of epochs that have ended."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    @property
    def seconds(self) -> float | None:
        """Seconds of training, over all resumes."""
        if self.status.get("elapsed_seconds") is not None:
            return self.status["elapsed_seconds"]
        return sum(row.get("seconds") or 0 for row in self.history) if self.history else None

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint of the data."""
        return self.receipt.get("data", {}).get("fingerprint")

    def arrays(self, name: str, *needed: str, repair: str = TRAIN_AGAIN) -> dict[str, np.ndarray] | None:
        """Read an .npz file of the run; None where it was not written.

        Args:
            name: of the file.
            *needed: names of arrays that have to be in it.
            repair: what to do when it is damaged.

        Raises:
            RunFailedError: when it is damaged.
        """
        path = self.run.path / name
        return read_arrays(path, *needed, repair=repair) if path.is_file() else None


def read(path: str | Path) -> Record:
    """Read a run folder.

    Raises:
        UsageError: when the path is not a run folder; those inside it are named.
        RunFailedError: when a file is damaged.
    """
    run = open_run(path)
    document = run.read_json("recipe.json")
    return Record(
        run=run,
        recipe=document.get("fields", document),
        receipt=run.read_json("receipt.json"),
        status=run.read_json("status.json"),
        metrics=run.read_json("metrics.json"),
        history=_history(run.path / "history.csv"),
        labels=run.labels() if (run.path / "labels.txt").is_file() else (),
    )


def flat(document: Any) -> Iterator[tuple[str, str]]:
    """Give the values in a JSON document as texts, by their path: ("model.dropout", "0.2")."""
    return ((name, _text(value)) for name, value in leaves(document))


def changed(before: Recipe, after: Recipe) -> dict[str, str | None]:
    """Return the settings in which a recipe differs from another: name -> its value there; None for none.

    Of a part that is of another class, the class alone.
    """
    old, new = (dict(flat(encode(recipe))) for recipe in (before, after))
    found: dict[str, str | None] = {}
    for name in dict.fromkeys((*new, *old)):
        if old.get(name) != new.get(name) and name.partition(".")[0] not in found and name != "name":
            found[name] = old.get(name)
    return found


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(json.dumps(part) if isinstance(part, (dict, list)) else str(part) for part in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if isinstance(value, Mapping) or value is None else str(value)


def rows_of(path: Path) -> list[dict[str, str]]:
    """Read the rows of a `history.csv` as texts; empty where there is none.

    Raises:
        RunFailedError: when it is damaged.
    """
    if not path.is_file():
        return []
    with parsing(path), path.open(newline="", encoding="utf-8") as file:
        rows = [{name: text for name, text in row.items() if name} for row in csv.DictReader(file)]
        if any(not math.isfinite(float(row.get("epoch") or "nan")) for row in rows):
            raise damaged(path, "a row has no number of its epoch")
    return rows


def _history(path: Path) -> list[dict[str, float | None]]:
    with parsing(path):
        return [{name: _finite(text) for name, text in row.items()} for row in rows_of(path)]


def _finite(text: str | None) -> float | None:
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None
