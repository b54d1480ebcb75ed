"""Whether a run may be resumed: with the recipe, data and versions of its checkpoint, or with --force."""

import logging
from collections.abc import Mapping, Set
from typing import Any

from kerasdl import machine
from kerasdl.errors import UsageError
from kerasdl.recipe import Recipe
from kerasdl.recipe.document import encode, leaves
from kerasdl.recipe.own_files import OwnFiles
from kerasdl.recipe.time_spans import to_seconds
from kerasdl.runs.folder import Run
from kerasdl.training import checkpoint as checkpoints

_log = logging.getLogger(__name__)

#: Settings that do not change the result, and places: of the data, whose content is compared, of a judge.
_FREE = ("checkpoint_every", "data.path", "data.name", "data.download", "task.judge")
#: File of a run with its `identity` at the beginning.
IDENTITY = "identity.json"
#: Packages that a training computes with.
_PACKAGES = ("kerasdl", "tensorflow", "keras", "numpy")


def identity(run: Run, recipe: Recipe, fingerprint: str) -> dict[str, Any]:
    """Return recipe, data and versions that a resumed run must share with its checkpoint.

    Args:
        run: the run folder, whose copy of the recipe file counts.
        recipe: the resolved recipe.
        fingerprint: the fingerprint of the data.
    """
    source = run.path / "recipe.py"
    versions = machine.versions()
    return {
        "recipe": encode(recipe),
        "recipe_file": OwnFiles(source).digest if source.is_file() else None,
        "fingerprint": fingerprint,
        "versions": {name: versions[name] for name in _PACKAGES if name in versions},
    }


def open_checkpoint(
    run: Run, recipe: Recipe, fingerprint: str, *, force: bool
) -> checkpoints.Checkpoint | None:
    """Return the newest undamaged checkpoint of a run to resume, changing nothing.

    Args:
        run: the run folder, locked by this process.
        recipe: the resolved recipe to train.
        fingerprint: the fingerprint of the data.
        force: resume although something differs.

    Returns:
        None when there is no checkpoint, so that the run starts over.

    Raises:
        UsageError: when something differs; when the run has trained longer than it is asked to; or when it
            has trained, but has no undamaged checkpoint.
    """
    checkpoint = checkpoints.newest(run.checkpoints)
    now = identity(run, recipe, fingerprint)
    then = run.read_json(IDENTITY) if checkpoint is None else checkpoint.state["identity"]
    done = 0 if checkpoint is None else checkpoint.state["position"]["epoch"]
    if recipe.total_epochs < done:
        least = done - recipe.fine_tune_epochs
        raise UsageError(f"{run.path} has trained {done} epochs. Give --epochs {least} or more.")
    different = differences(then, now) if then else []
    if different and not force:
        raise UsageError(
            "\n".join(
                [f"{run.path} cannot go on as it was:", *(f"- {line}" for line in different)]
                + ["Undo that, or go on all the same with --force (the result is then another one)."]
            )
        )
    for line in different:
        _log.warning(f"Going on although it differs: {line}")
    if checkpoint is None:
        _check_nothing_is_lost(run, force)
        _log.warning(f"{run.path} has no checkpoint: it begins anew.")
        return None
    changed, position = changes(then, now), checkpoint.state["position"]
    if "max_time" in changed and recipe.max_time and to_seconds(recipe.max_time) <= position["seconds"]:
        raise UsageError(
            f"{run.path} has trained for {position['seconds']:.0f} seconds. Give a longer --max-time, or "
            "none."
        )
    if checkpoint.state.get("phase", 0) and "epochs" in changed:
        raise UsageError(
            f"{run.path} fine-tunes already: the epochs before that are over. Give more --fine-tune-epochs."
        )
    _check_something_is_left(run, changed.keys(), position["stopped"])
    return checkpoint


def stopper(stopped: str | None) -> str | None:
    """Return the setting that ended training, from `Position.stopped`; None where none did."""
    causes = {"early stopping": "early_stopping", "max time": "max_time"}
    return next((name for words, name in causes.items() if (stopped or "").startswith(words)), None)


def _check_something_is_left(run: Run, changed: Set[str], stopped: str | None) -> None:
    """Refuse changes after which an ended run would end again at once."""
    name = stopper(stopped)
    if name is not None and name not in changed and {"epochs", "fine_tune_epochs"} & changed:
        raise UsageError(
            f"{run.path} has ended by {stopped}. More epochs change nothing: give a larger "
            f"--{name.replace('_', '-')}, or none."
        )
    if run.is_finished() and changed == {"max_time"} and name != "max_time":
        raise UsageError(
            f"{run.path} has not ended by a time limit, so that another one changes nothing. To train on, "
            "give more --epochs."
        )


def _check_nothing_is_lost(run: Run, force: bool) -> None:
    """Refuse to start over a run that has been trained beyond its first checkpoint."""
    has_trained = run.is_finished() or "epochs" in run.read_json("metrics.json")
    if (has_trained or any(run.checkpoints.glob("[0-9]*"))) and not force:
        raise UsageError(
            f"{run.path} has been trained, but no whole checkpoint is left to go on from. With --force it "
            "begins anew, and what is there is lost."
        )


def same_work(before: Recipe, after: Recipe) -> bool:
    """Tell whether a finished run of one recipe is also one of the other."""
    return not changes({"recipe": encode(before)}, {"recipe": encode(after)})


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Return a sentence for each setting that differs between two identities, by name."""
    before, after = dict(leaves(then["recipe"])), dict(leaves(now["recipe"]))
    return {
        name: f"{name} was {before.get(name)}, now it is {after.get(name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) and name not in _FREE
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each difference of two identities, but for longer training."""
    before, after = dict(leaves(then["recipe"])), dict(leaves(now["recipe"]))
    found = [
        text
        for name, text in changes(then, now).items()
        if not _is_free(name, before.get(name), after.get(name))
    ]
    if then["recipe_file"] != now["recipe_file"]:
        found.append("recipe.py in the run, or a file that it imports, has been edited")
    if then["fingerprint"] != now["fingerprint"]:
        found.append(f"other data (fingerprint {then['fingerprint'][:12]}, now {now['fingerprint'][:12]})")
    for name, version in then["versions"].items():
        if (new := now["versions"].get(name)) != version:
            found.append(f"{name} was {version}, now it is {new}")
    return found


def _is_free(name: str, old: Any, new: Any) -> bool:
    """Tell whether a setting may change so: longer training, or another time limit."""
    if name == "max_time":
        return True  # any: `open_checkpoint` refuses what is over already
    if not isinstance(old, int | None):  # of a damaged document
        return False
    if name in ("epochs", "fine_tune_epochs"):
        return new > (old or 0)
    return name == "early_stopping" and (new is None or (old is not None and new > old))
