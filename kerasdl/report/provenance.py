"""Sections on the origin and results of a run: recipe, receipt, exported files."""

import contextlib
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.errors import RunFailedError
from kerasdl.files import read_json
from kerasdl.inference.endpoint import figure_of
from kerasdl.report.blocks import (
    Block,
    Code,
    Figure,
    Figures,
    Notice,
    Section,
    Table,
    Text,
)  # fmt: skip
from kerasdl.runs.cards import ShownCard
from kerasdl.runs.record import Record, flat
from kerasdl.runs.state import num_epochs

#: Settings that are always in sight: name -> title.
_MAIN = {
    "epochs": "Epochs", "batch_size": "Batch size", "optimizer": "Optimizer",
    "learning_rate": "Learning rate", "schedule": "Schedule", "precision": "Precision", "seed": "Seed",
}  # fmt: skip
_SETTING = {"setting": None, "value": None}


def hyperparameters(record: Record) -> Section:
    """Return the section on settings: those that differ from the pipeline's in sight, the rest folded."""
    settings, own = dict(flat(record.recipe)), record.run.path / "recipe.py"
    rest: list[Block] = [
        Table.of("Every setting, defaults resolved", _SETTING, [*settings.items()], folded=True),
        Code("recipe.json", json.dumps(record.recipe, indent=2)),
    ]
    if own.is_file():
        rest.append(Code("recipe.py", own.read_text(encoding="utf-8", errors="replace")))
    if record.is_imported:
        said = f"Nothing was trained here. `kerasdl train {record.run.path}` would begin with these settings."
        return Section("Settings of a training from here", [Text(said), *rest])
    main = [Figure(title, settings[name]) for name, title in _MAIN.items() if name in settings]
    differing: list[Block] = []
    if (changed := record.status.get("changed")) is not None:
        rows = [[n, public_text(settings.get(n)), public_text(before)] for n, before in changed.items()]
        forms = {"setting": None, "this run": None, "the pipeline": None}
        table = Table.of("Changed from the pipeline", forms, rows)
        differing = [table if rows else Text("Every setting is the pipeline's own.")]
    return Section("Hyperparameters", [Figures(main), *differing, *rest])


def overview(record: Record) -> Section:
    """Return the section on network, data and training time."""
    receipt = record.receipt
    data, weights = receipt.get("data", {}), receipt.get("parameters")
    network = short_type(record.recipe.get("model"))
    items = [
        Figure("Network", network, "" if weights is None else f"{weights:,} weights"),
        Figure("Data", short_type(record.recipe.get("data"), "path", "name"), _shape(data)),
    ]
    if counts := data.get("examples"):
        rest = ", ".join(f"{count:,} {name}" for name, count in counts.items() if name != "train")
        items.append(Figure("Training examples", f"{counts.get('train', 0):,}", rest))
    if record.is_imported:
        origin = receipt["imported"]
        said = Figure("Imported from", Path(origin["path"]).name, f"SHA-256 {origin['sha256'][:16]}")
        return Section("Overview", [Figures([*items, said])])
    best = record.metrics.get("best_epoch")
    of_all = f"{record.num_epochs} of {num_epochs(record)}"
    items.append(Figure("Epochs trained", of_all, f"best by validation: {best}" if best else ""))
    if record.seconds is not None:
        machine = receipt.get("hardware", {})
        own = f"{machine.get('processor', '')}, {machine.get('cores')} cores".strip(", ")
        said = ", ".join(dict.fromkeys(machine.get("gpus") or [])) or own
        items.append(Figure("Training time", duration(record.seconds), said))
    return Section("Overview", [Figures(items)])


def artefacts(record: Record, known: Mapping[str, tuple[str, str]]) -> Section | None:
    """Return the tables of exported files; None where nothing was exported.

    Args:
        record: record of the run.
        known: metrics that the task has for exported files: name -> (title, format).
    """
    blocks: list[Block] = []
    for name, hashes in record.receipt.get("artefacts", {}).items():
        blocks += _bundle(record, name, hashes, known)
    return Section("Exported files", blocks) if blocks else None


def _bundle(
    record: Record, name: str, hashes: Mapping[str, str], known: Mapping[str, tuple[str, str]]
) -> list[Block]:
    found = find_bundle(record, name)
    card = None if found is None else found[1]
    if card is None or any(card["files"].get(file, {}).get("sha256") != hashes[file] for file in hashes):
        what = "is no longer there" if card is None else "now holds other files than this run exported"
        rows = [[file, value[:16]] for file, value in hashes.items()]
        table = Table.of(f"Files that were exported to {name}", {"file": None, "SHA-256": None}, rows)
        return [Notice(f"The bundle {name} {what}: it was moved, deleted or replaced.", "warning"), table]
    own = {
        key: part
        for key, part in known.items()
        if any(_figure(row, key) is not None for row in card["artefacts"])
    }
    forms = {"file": None, "kind": None, "size (kB)": ",.1f", **dict(own.values()), "latency (ms)": ".3f",
             "SHA-256": None}  # fmt: skip
    rows, failed = [], []
    for row in card["artefacts"]:
        if "error" in row:
            kind = "warning" if row.get("refused") else "error"
            failed.append(Notice(f"{row.get('file')} could not be exported: {row['error']}", kind))
            continue
        size = row["bytes"] / 1e3 if "bytes" in row else None
        rows.append([row.get("file"), row.get("kind"), size, *(_figure(row, key) for key in own),
                     row.get("latency_ms"), row.get("sha256", "")[:16]])  # fmt: skip
    said = f"Each file was reopened in its own runtime and compared on {card['examples']:,} test examples."
    again = f"kerasdl verify {shlex.quote(name)}"
    check = Notice("To prove that they are still what was exported:", command=again)
    return [Text(said), Table.of(f"Bundle {name}", forms, rows, sortable=True), *failed, check]


def _figure(row: Mapping[str, Any], name: str) -> float | None:
    return value if is_number(value := figure_of(row, name)) else None


def is_number(value: Any) -> bool:
    """Tell whether a value of a document is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def find_bundle(record: Record, name: str) -> tuple[Path, dict[str, Any]] | None:
    """Return folder and card of a bundle, found from here or beside the folder of the runs; None without."""
    for path in (Path(name), *(folder / name for folder in record.run.path.resolve().parents[1:3])):
        with contextlib.suppress(OSError, RunFailedError):  # to the page it is as if it were not there
            return path, read_json(path / "card.json", needed=True, shape=ShownCard)
    return None


def receipt(record: Record) -> Section | None:
    """Return the section on versions, hardware and data; None without a receipt."""
    if not record.receipt:
        return None
    left_out = ("artefacts", "command", "data")
    kept = {name: value for name, value in record.receipt.items() if name not in left_out}
    kept["data"] = {"fingerprint": record.fingerprint, "classes": len(record.labels)}
    table = Table.of("Where and with what it ran", _SETTING, [*flat(kept)], folded=True)
    blocks: list[Block] = [table]
    if command := list(map(str, record.receipt.get("command", ()))):
        command[0] = command[0].replace("__main__.py", "kerasdl")
        blocks.insert(0, Notice("The command that started this run:", command=shlex.join(command)))
    return Section("Receipt", [*blocks, Code("receipt.json", json.dumps(record.receipt, indent=2))])


def public_text(value: str | None) -> str:
    """Return a setting as it is shown: classes of kerasdl by their names alone."""
    return "not set" if value is None else value.removeprefix("kerasdl>")


def short_type(part: Any, *fields: str) -> str:
    """Return the class name of an encoded part of a recipe, with the first of some fields that it has."""
    if not isinstance(part, Mapping):
        return "unknown"
    name = re.split(r"[.:>]", str(part.get("type", "unknown")))[-1]
    own = [str(part.get("fields", {})[field]) for field in fields if part.get("fields", {}).get(field)]
    return f"{name} {own[0].rstrip('/').rpartition('/')[2]}" if own else name


def duration(seconds: float) -> str:
    """Return a duration as text: 0.8 s, 47 s, 12 min 5 s, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {left} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"


def _shape(data: Mapping[str, Any]) -> str:
    features, names = data.get("features"), data.get("class_names")
    parts = []
    if features:
        inputs = DataSpec.from_description(data).inputs
        specs = {"": inputs} if isinstance(inputs, Spec) else inputs
        parts += [f"{name} {_sizes(spec.shape)} {spec.dtype}".strip() for name, spec in specs.items()]
    if names:
        parts.append(f"{len(names):,} classes")
    return ", ".join(parts)


def _sizes(shape: tuple[int | None, ...]) -> str:
    return " x ".join("any length" if size is None else str(size) for size in shape)
