"""The files that Keras Tuner keeps of a search: `oracle.json` and `trial_<id>/trial.json`."""

from pathlib import Path
from typing import Any

from kerasdl.files import damaged, read_json

_REPAIR = "Restore it, or start another search with --new."


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
    oracle = read_json(file, _REPAIR, needed=True)
    if not {"start_order", "end_order", "hyperparameters"} <= oracle.keys():
        raise damaged(file, "it lacks what Keras Tuner writes", _REPAIR)
    return oracle


def read_states(path: Path) -> dict[str, dict[str, Any]]:
    """Read the state of each trial that has started, by its id.

    Raises:
        RunFailedError: when a file is damaged or missing.
    """
    oracle = read_oracle(path)
    states = {
        key: read_json(path / f"trial_{key}" / "trial.json", _REPAIR, needed=True)
        for key in oracle.get("start_order", ())
    }
    for key, folder in folders(path).items():
        file = folder / "trial.json"
        if key not in states and file.is_file() and read_json(file, _REPAIR).get("status") != "RUNNING":
            raise damaged(path / "oracle.json", f"it does not know {folder.name}, which has ended", _REPAIR)
    return states
