"""Says how training went, and what should be known of its result before it is shipped."""

import ast
import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl import environment
from kerasdl.network.imported import Imported
from kerasdl.recipe import Recipe
from kerasdl.runs import record
from kerasdl.runs.folder import Run
from kerasdl.tasks.task import Task, Verdict

_FEW_UPDATES = 200
_ENOUGH_UPDATES = 1_000
_ONLY = "Only"
_COLLAPSE = 0.2  # of what had been reached


def kept_epoch(run: Run, recipe: Recipe) -> str:
    """Say which epoch's network a run kept, and why training ended before its last epoch where it did."""
    read = record.read(run.path)
    best, epochs = read.metrics["best_epoch"], read.metrics["epochs"]
    figures = {**read.history[best - 1]} if 0 < best <= len(read.history) else {}
    aims = recipe.task.objectives_of(recipe.model.target)
    shown = [name for name in (*aims, "val_loss") if figures.get(name) is not None]
    told = ", ".join(f"{name} {figures[name]:.4f}" for name in dict.fromkeys(shown))
    text = f"Kept the network of epoch {best} of {epochs}{f' ({told})' if told else ''}."
    if stopped := run.read_json("status.json").get("stopped"):
        text += f" Training ended before epoch {recipe.total_epochs}: {stopped}."
    return text


def judge(run: Run, recipe: Recipe, figures: dict[str, Any]) -> list[dict[str, str]]:
    """Return what should be known of a run's result, and keep it in its `metrics.json`.

    Commands name no places of this machine, since cards bring them along.

    Args:
        run: a run whose network was evaluated.
        recipe: its recipe, resolved.
        figures: those of the test split.

    Returns:
        `text` and `command`, to be completed by the other flags of the run, of each verdict.
    """
    verdicts = (*recipe.task.verdicts(figures), *_of_training(run, recipe.task, recipe.learning_rate))
    command = f"kerasdl train {_what(run, recipe)} ..."
    found = [
        {"text": verdict.text, "command": f"{command} {_flags(verdict, recipe)}"}
        for verdict in _agreed(verdicts, run)
    ]
    kept = {"verdicts": found} if found else {}
    metrics = {name: value for name, value in run.read_json("metrics.json").items() if name != "verdicts"}
    run.write("metrics.json", {**metrics, **kept})
    return found


def told(found: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield a sentence for each verdict of `judge`, and what to try once: in the words of the caller."""
    for place, verdict in enumerate(found):
        later = {other["command"] for other in found[place + 1 :]}
        said = verdict["command"] if environment.is_command else _call(verdict["command"])
        yield verdict["text"] + ("" if verdict["command"] in later else f" Try: {said}")


def _call(command: str) -> str:
    """Return a command of `kerasdl train` as a call from Python."""
    what, _, flags = command.removeprefix("kerasdl train ").partition(" ... ")
    name, _, value = flags.removeprefix("--").partition(" ")
    with contextlib.suppress(ValueError, SyntaxError):  # a word stays what it is
        value = ast.literal_eval(value) if value else True
    return f"kerasdl.train({what!r}, ..., {name.replace('-', '_')}={value!r})".replace("'", '"')


def _agreed(found: Sequence[Verdict], run: Run) -> list[Verdict]:
    """Return verdicts that do not contradict each other: too few updates explain all others."""
    updates, epochs = run.read_json("status.json").get("step", 0), len(record.read(run.path).history)
    few = [verdict for verdict in found if verdict.text.startswith(_ONLY)]
    if not few and found and 0 < updates < _FEW_UPDATES and epochs == 1:
        few = [_too_few(updates, epochs, "too few to judge the network by")]
    if not few:
        return list(found)
    others = (dataclasses.replace(verdict, flags=few[0].flags) for verdict in found if verdict not in few)
    return [few[0], *others]


def _too_few(updates: int, epochs: int, why: str) -> Verdict:
    wanted = max(5 * epochs, -(-epochs * _ENOUGH_UPDATES // updates))
    made = "one update" if updates == 1 else f"{updates} updates"
    return Verdict(text=f"{_ONLY} {made} of the weights, {why}.", flags=f"--epochs {wanted}")


def _what(run: Run, recipe: Recipe) -> str:
    """Return what `kerasdl train` is given: the pipeline or its file, or the run of an imported network."""
    typed = run.read_json("receipt.json").get("command", [])
    if typed[1:2] == ["train"] and typed[2:] and typed[2].endswith(".py"):
        return f"./{Path(typed[2]).name}"
    if recipe.model.target is not Imported or not recipe.weights:
        return recipe.name
    return "/".join(("runs", *Path(recipe.weights).parts[-2:]))


def _flags(verdict: Verdict, recipe: Recipe) -> str:
    """Return the flags that a verdict offers, or more epochs where the run had them already."""
    flag, _, value = verdict.flags.partition(" ")
    had = getattr(recipe, flag.removeprefix("--").replace("-", "_"), None)
    return f"--epochs {2 * recipe.total_epochs}" if str(had) == value else verdict.flags


def _of_training(run: Run, task: Task, learning_rate: float) -> list[Verdict]:
    """Return what the history says: weights that never changed, too few updates, a collapse."""
    read = record.read(run.path)
    history = read.history
    updates = run.read_json("status.json").get("step", 0)
    try:
        scores = [float(np.atleast_1d(task.score(row))[0]) for row in history]
    except (KeyError, TypeError, IndexError):  # it ranks by figures that are not there
        scores = []
    found = task.verdicts_of_training(history)
    if untrained := read.metrics.get("untrained"):
        found.append(
            Verdict(
                text=f"Training never changed these weights: {', '.join(untrained[:5])}"
                f"{f' and {len(untrained) - 5} more' if len(untrained) > 5 else ''}: an operation "
                "blocks their gradient, or an output has no loss.",
                flags="--overfit-batches 1",
            )
        )
    if not scores:
        return found
    best = max(range(len(scores)), key=scores.__getitem__)
    if updates < _FEW_UPDATES and best >= len(scores) - 2 and len(scores) > 1 and scores[-1] > scores[0]:
        found.append(_too_few(max(1, updates), len(scores), "and the network was still getting better"))
    lost = [
        epoch
        for epoch in range(best + 1, len(scores))
        if scores[epoch] <= scores[0]
        and (history[epoch].get("val_loss") or 0) >= (history[best].get("val_loss") or 0)
        and scores[best] - scores[epoch] > _COLLAPSE * abs(scores[best])
    ]
    if lost:
        found.append(
            Verdict(
                text=f"Training collapsed at epoch {lost[0] + 1}: it lost what it had learned. The network "
                f"of epoch {best + 1}, before that, was kept.",
                flags=f"--learning-rate {learning_rate / 4:g}",
            )
        )
    return found
