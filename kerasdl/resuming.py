"""Whether a run may go on: the same recipe, data and versions as its checkpoint, or a user who insists."""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

from kerasdl import checkpoints, receipt
from kerasdl.durations import to_seconds
from kerasdl.errors import UsageError
from kerasdl.recipe import Recipe
from kerasdl.run import Run
from kerasdl.serialization import encode

_log = logging.getLogger(__name__)

#: Settings that may change without another result, and parts of the data's place: its content is compared.
_FREE = ("checkpoint_every", "data.path", "data.name", "data.download")
#: Packages that a training computes with.
_PACKAGES = ("kerasdl", "tensorflow", "keras", "numpy")


def identity(run: Run, recipe: Recipe, fingerprint: str) -> dict[str, Any]:
    """Return what has to be the same for a run to go on; a checkpoint keeps it.

    Args:
        run: its copy of the recipe's file counts, where it has one.
        recipe: as it is run, all resolved.
        fingerprint: of the data.
    """
    source = run.path / "recipe.py"
    versions = receipt.versions()
    return {
        "recipe": encode(recipe),
        "recipe_file": hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else None,
        "fingerprint": fingerprint,
        "versions": {name: versions[name] for name in _PACKAGES if name in versions},
    }


def open_checkpoint(
    run: Run, recipe: Recipe, fingerprint: str, *, force: bool
) -> checkpoints.Checkpoint | None:
    """Return the newest whole checkpoint of a run that is to go on, and remove what comes after it.

    Args:
        run: locked by this process.
        recipe: as it is to be run, all resolved.
        fingerprint: of the data.
        force: go on although something differs.

    Returns:
        None when there is no checkpoint: the run begins anew.

    Raises:
        UsageError: when something differs, and what; or when the run has trained longer than it is asked to.
    """
    checkpoint = checkpoints.newest(run.checkpoints)
    if checkpoint is not None:
        different = differences(checkpoint.state["identity"], identity(run, recipe, fingerprint))
        if different and not force:
            raise UsageError(
                "\n".join(
                    [f"{run.path} cannot go on as it was:", *(f"- {line}" for line in different)]
                    + ["Undo that, or go on all the same with --force (the result is then another one)."]
                )
            )
        for line in different:
            _log.warning(f"Going on although it differs: {line}")
        done = checkpoint.state["position"]["epoch"]
        if recipe.epochs < done:
            raise UsageError(f"{run.path} has trained {done} epochs. Give --epochs {done} or more.")
    checkpoints.remove_after(run.checkpoints, -1 if checkpoint is None else int(checkpoint.path.name))
    return checkpoint


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say in words what differs between two results of `identity`; more epochs or time are no difference."""
    found = []
    before, after = flatten(then["recipe"]), flatten(now["recipe"])
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new and name not in _FREE and not _goes_further(name, old, new):
            found.append(f"{name} was {old}, now it is {new}")
    if then["recipe_file"] != now["recipe_file"]:
        found.append("recipe.py in the run has been edited")
    if then["fingerprint"] != now["fingerprint"]:
        found.append(f"other data (fingerprint {then['fingerprint'][:12]}, now {now['fingerprint'][:12]})")
    for name, version in then["versions"].items():
        if (new := now["versions"].get(name)) != version:
            found.append(f"{name} was {version}, now it is {new}")
    return found


def flatten(encoded: Any, name: str = "") -> dict[str, Any]:
    """Return "part.field" -> value of an encoded recipe, types of the parts included."""
    if isinstance(encoded, Mapping):
        if encoded.keys() == {"type", "fields"}:
            return {f"{name}.type".lstrip("."): encoded["type"], **flatten(encoded["fields"], name)}
        found: dict[str, Any] = {}
        for key, value in encoded.items():
            found |= flatten(value, f"{name}.{key}".lstrip("."))
        return found
    return {name: encoded}


def _goes_further(name: str, old: Any, new: Any) -> bool:
    if name == "epochs":
        return new > old
    if name == "max_time":
        return new is None or (old is not None and to_seconds(new) > to_seconds(old))
    return False
