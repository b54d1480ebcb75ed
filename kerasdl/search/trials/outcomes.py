"""The end of a trial, as its run's files tell it."""

import dataclasses
from pathlib import Path

from kerasdl.errors import RunFailedError
from kerasdl.files import read_json
from kerasdl.inference.endpoint import figure_of
from kerasdl.runs import record
from kerasdl.runs.folder import Run
from kerasdl.search.objectives import SHORT

#: File of a run with the outcome of its trial.
FILE_NAME = "trial.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a trial.

    Attributes:
        status: "completed", "pruned", "failed" (it would fail again), "crashed", "interrupted"; and, where
            all trials would end the same way, "misused" (no data) or "halted" (a full disk).
        reason: why it did not complete.
        step: epoch whose network its run kept, from 1 on.
        figures: metrics of that network, those of exported files included (`int8_accuracy`, `int8_kb`).
    """

    status: str
    reason: str = ""
    step: int = 0
    figures: dict[str, float] = dataclasses.field(default_factory=dict)


def recorded(run: Run) -> Outcome | None:
    """Return the outcome of a run that ended after its search was killed."""
    kept = run.read_json(FILE_NAME)
    return Outcome(**kept) if kept else None


def read(run: Run, exported: Path | None, columns: set[str]) -> Outcome:
    """Read the outcome of a run from its files: it may have ended before an interruption.

    Args:
        run: the run of the trial.
        exported: folder of its bundle; None where nothing is exported.
        columns: names of the figures of files that count.
    """
    from kerasdl.training.callbacks.stops import PRUNED

    ended = record.read(run.path)
    best = ended.metrics["best_epoch"]
    figures = {name: value for name, value in ended.history[best - 1].items() if value is not None}
    figures["weights"] = float(ended.receipt["parameters"])
    del figures["epoch"], figures["seconds"]
    stopped = str(ended.status.get("stopped"))
    if stopped.startswith(PRUNED):
        reason = stopped.removeprefix(f"{PRUNED}: ")
        return Outcome(status="pruned", reason=reason, step=best, figures=figures)
    measured = {} if exported is None else _of_artefacts(exported, columns)
    return Outcome(status="completed", step=best, figures={**figures, **measured})


def _of_artefacts(exported: Path, columns: set[str]) -> dict[str, float]:
    """Return the metrics of a trial's exported files: `int8_accuracy`, `int8_kb`, `onnx_latency_ms`, ..."""
    cards = sorted(exported.glob("*/*/card.json"), key=lambda path: int(path.parent.name))
    figures: dict[str, float] = {}
    for row in read_json(cards[-1])["artefacts"]:
        if "error" in row:
            raise RunFailedError(f"{row['file']} could not be exported: {row['error']}")
        found = {key: figure_of(row, key) for key in columns}
        numbers = {key: value for key, value in found.items() if isinstance(value, (int, float))}
        numbers["kb"] = row["bytes"] / 1e3
        figures |= {f"{row['kind']}_{key}": float(value) for key, value in numbers.items()}
    return figures | {short: figures[name] for short, name in SHORT.items() if name in figures}
