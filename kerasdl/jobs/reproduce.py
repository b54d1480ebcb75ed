"""Repeats a finished run from its records, and compares the results."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl.data import from_text
from kerasdl.data.dataset import DataSpec
from kerasdl.errors import UsageError
from kerasdl.files import parsing
from kerasdl.jobs import train
from kerasdl.runs import agreement, receipt
from kerasdl.runs.folder import Run
from kerasdl.training import devices

if TYPE_CHECKING:
    from rich.console import Console

_log = logging.getLogger(__name__)

_UNLIKE = ("memory_gib",)  # it differs by what the system keeps for itself, and decides nothing


def check_finished(run: Run) -> None:
    """Raise a UsageError unless a run has ended with its evaluation."""
    stage = run.read_json("status.json").get("stage")
    if "test" in run.read_json("metrics.json") and stage in (None, "finished", "exporting"):
        return
    if run.is_active():
        raise UsageError(f"{run.path} is still being trained. Wait until it has finished.")
    if stage == "finished":
        raise UsageError(
            f"{run.path} has no test figures (--overfit-batches?). Give a run of a whole training."
        )
    raise UsageError(
        f"{run.path} never finished, so there is nothing to compare with. Give a finished run, or go on with "
        f"this one: {run.resume_command}"
    )


def differences_now(run: Run) -> list[str]:
    """Return differences in versions, hardware, settings and revision since a run was trained.

    TensorFlow begins here; what a strategy needs has to be set up before.
    """
    recorded = run.read_json("receipt.json")
    now = receipt.make(run.recipe(), {}, "", 0)
    found = []
    for part in ("versions", "hardware", "settings", "git_revision"):
        before, after = _flat(part, recorded.get(part)), _flat(part, now[part])
        found += [
            f"{name}: {before.get(name, 'none')} then, {after.get(name, 'none')} now"
            for name in {**before, **after}
            if before.get(name) != after.get(name) and name.rpartition(" ")[2] not in _UNLIKE
        ]
    return found


def check_data(run: Run, data: str | None):
    """Return the run's recipe with its data where it is now.

    Args:
        run: a finished run.
        data: what `--data` takes; where the data is now. Defaults to where it was.

    Raises:
        UsageError: when it is not the data that the run was trained on.
    """
    recipe, recorded = run.recipe(), run.data()
    source = recipe.data if data is None else recipe.data.moved_to(from_text(data, recipe.data))
    with parsing(run.path / "receipt.json", "Restore it."):
        spec = DataSpec.from_description(recorded)
    fingerprint = (source := source.like(spec)).load().fingerprint
    if fingerprint != recorded["fingerprint"]:
        raise UsageError(
            f"This is not the data that {run.path} was trained on (fingerprint {fingerprint[:12]}, not "
            f"{recorded['fingerprint'][:12]}). Give that data with --data, where it is now."
        )
    return dataclasses.replace(recipe, data=source)


def reproduce(
    run: Run, *, runs_dir: str | Path = "runs", data: str | None = None, console: "Console | None" = None
) -> agreement.Comparison:
    """Train a run's recipe again into a new run, and compare the two.

    Args:
        run: a finished run.
        runs_dir: where `<pipeline>/<n>/` is made.
        data: where the data is now. Defaults to where it was.
        console: where progress is drawn. Defaults to standard output.

    Raises:
        UsageError: for a run that never finished, or other data.
    """
    check_finished(run)
    devices.choose(run.recipe().strategy)  # before anything is computed: then devices cannot be divided
    recipe = check_data(run, data)
    differs = differences_now(run)
    for line in differs:
        _log.warning(f"It differs now: {line}")
    source = run.path / "recipe.py"
    result = train.train(
        recipe,
        runs_dir=runs_dir,
        export=False,
        recipe_source=source if source.is_file() else None,
        console=console,
    )
    return agreement.compare(run, result.run, differs)


def _flat(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {} if value is None else {name: str(value)}
    return {key: text for part, item in value.items() for key, text in _flat(f"{name} {part}", item).items()}
