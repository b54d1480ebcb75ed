"""The files that Keras Tuner keeps of a search: `oracle.json` and `trial_<id>/trial.json`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from kerasdl.files import damaged, read_json
from kerasdl.private.keras_config import objects

#: What Keras Tuner makes of the parts of a space: hyperparameters, and conditions on them.
_OF_A_SPACE = ("Boolean", "Choice", "Fixed", "Float", "Int", "Parent")
REPAIR = "Restore it, or start another search with --new."


class HyperParameters(TypedDict):
    """`keras_tuner.HyperParameters.get_config()`."""

    space: list[dict[str, Any]]
    values: dict[str, str | float | bool | None]


class Oracle(TypedDict):
    """`oracle.json`, as far as it is read here."""

    hyperparameters: HyperParameters
    start_order: list[str]
    end_order: list[str]


class Observation(TypedDict):
    """The values of a metric at a step."""

    value: list[float]
    step: int


class Metric(TypedDict):
    """All values of a metric."""

    observations: list[Observation]


class Metrics(TypedDict):
    """The metrics of a trial by name."""

    metrics: dict[str, Metric]


class TrialState(TypedDict):
    """`trial.json`, as far as it is read here."""

    trial_id: str
    status: str
    message: NotRequired[str | None]
    best_step: NotRequired[int | None]
    metrics: Metrics
    hyperparameters: HyperParameters


def trial_file(path: Path, key: str) -> Path:
    """Return the file of a trial's state."""
    return path / f"trial_{key}" / "trial.json"


def folders(path: Path) -> dict[str, Path]:
    """Return the folder of each trial of a search by its id, also of those that never started."""
    return {folder.name.removeprefix("trial_"): folder for folder in path.glob("trial_*")}


def read_oracle(path: Path) -> dict[str, Any]:
    """Read the oracle's state; empty before it was written.

    Raises:
        RunFailedError: when it is damaged, or missing although there are trials.
    """
    file = path / "oracle.json"
    if not file.is_file() and not list(path.glob("trial_*/trial.json")):
        return {}
    return read_json(file, REPAIR, needed=True, shape=Oracle)


def _check_space(file: Path, document: Mapping[str, Any]) -> None:
    """Raise a RunFailedError unless Keras Tuner is to make of it nothing but hyperparameters."""
    for part in objects(document.get("hyperparameters")):
        if part["class_name"] not in _OF_A_SPACE:
            raise damaged(file, f"{part['class_name']!r} is not a kind of hyperparameter", REPAIR)


def read_states(path: Path) -> dict[str, dict[str, Any]]:
    """Read the state of each trial that has started, by its id.

    Raises:
        RunFailedError: when a file is damaged or missing.
    """
    oracle = read_oracle(path)
    _check_space(path / "oracle.json", oracle)
    states = {
        key: read_json(trial_file(path, key), REPAIR, needed=True, shape=TrialState)
        for key in oracle.get("start_order", ())
    }
    for key, state in states.items():
        if not key.isdecimal() or state["trial_id"] != key:
            raise damaged(trial_file(path, key), f"it is not the file of a trial {key!r}", REPAIR)
        _check_space(trial_file(path, key), state)
    for key, folder in folders(path).items():
        file = folder / "trial.json"
        if key not in states and file.is_file() and read_json(file, REPAIR).get("status") != "RUNNING":
            raise damaged(path / "oracle.json", f"it does not know {folder.name}, which has ended", REPAIR)
    return states
