"""Trains and resumes from Python: names, paths or recipes, with fields as keywords."""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kerasdl import environment
from kerasdl.python import recipes, showing
from kerasdl.recipe import Recipe, keywords
from kerasdl.recipe import trust as trusting
from kerasdl.recipe.keywords import UNSET
from kerasdl.runs import folder as runs

if TYPE_CHECKING:
    from rich.console import Console

    from kerasdl.data.source import Source
    from kerasdl.jobs.result import Result

#: Arguments of `train` that are not of the recipe.
_OPTIONS = (
    "data", "runs_dir", "exported_dir", "export", "dry_run", "embed_samples", "new_signature", "profile",
    "progress", "trust",
)  # fmt: skip


def train(
    recipe: str | os.PathLike[str] | Recipe,
    *,
    data: "str | os.PathLike[str] | Source | None" = None,
    epochs: int = UNSET,
    batch_size: int = UNSET,
    learning_rate: float = UNSET,
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = UNSET,
    weights: str | os.PathLike[str] | None = UNSET,
    freeze: Literal["none", "backbone"] | int = UNSET,
    early_stopping: int | None = UNSET,
    max_time: str | None = UNSET,
    seed: int = UNSET,
    runs_dir: str | os.PathLike[str] = "runs",
    exported_dir: str | os.PathLike[str] = "exported",
    export: bool = True,
    dry_run: bool = False,
    embed_samples: bool = True,
    new_signature: bool = False,
    profile: bool = False,
    progress: bool = True,
    trust: bool = False,
    recipe_source: Path | None = None,
    console: "Console | None" = None,
    **fields: Any,
) -> "Result":
    """Train, evaluate on the test split, export and verify.

    Args:
        recipe: name in `kerasdl list`, path of a .py file, a recipe.json or a run, or a Recipe.
        data: source, or text that `--data` takes ("digits", a folder, an .npz file, the name of a set).
            Defaults to the recipe's own.
        epochs: passes over the training data.
        batch_size: examples per update, over all replicas together.
        learning_rate: peak learning rate of the schedule.
        optimizer: optimizer; what belongs to another one gives way, with a note.
        weights: initial weights: a run, a .keras, .weights.h5 or published .h5 file, or "imagenet".
        freeze: layers to freeze: "none", "backbone" (all but the head), or the first N with weights.
        early_stopping: epochs without a better validation score after which training stops; None for never.
        max_time: training time after which the run stops, evaluates and exports: "90s", "10m"; None for none.
        seed: seed of initial weights, data order, augmentation and dropout.
        runs_dir: folder where `<pipeline>/<n>/` is made.
        exported_dir: folder where `<pipeline>/<version>/` is made.
        export: whether to export; without it the run ends with the evaluation.
        dry_run: whether two batches pass every stage, in a temporary folder that is gone afterwards.
        embed_samples: whether to keep a few test examples in the bundle, to verify it where the data is not.
        new_signature: whether the bundle is a version of `<pipeline>` although that answers otherwise so far.
        profile: whether to record some steps and say where their time goes.
        progress: whether to show progress, on standard error; in a notebook as one line that is rewritten.
        trust: whether to run the Python code beside a recipe.json although somebody else made it.
        recipe_source: file the recipe came from, of which the run keeps a copy. Defaults to what is known.
        console: Rich console where progress is drawn instead.
        **fields: other fields of the recipe (`help(kerasdl.Recipe)`), and arguments of its network,
            preprocessing, augmentation, data and task, as flags have them: schedule="cosine", dropout=0.2.

    Returns:
        The run, its test metrics and history, and the bundle; it shows itself in a notebook.

    Raises:
        UsageError: for an unknown name, a wrong value, or a recipe that cannot be run as it is.
        RunFailedError: when training diverges, an artefact is not the same network, or the disk or memory is
            full.
        Interrupted: after Ctrl-C or SIGTERM; `resume` goes on.

    Example:
        >>> result = kerasdl.train("lenet5", data="digits", epochs=5, dropout=0.2)
        >>> result.metrics["accuracy"], result.bundle.path
    """
    fields |= keywords.given({
        "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "optimizer": optimizer,
        "weights": weights, "freeze": freeze, "early_stopping": early_stopping, "max_time": max_time,
        "seed": seed,
    })  # fmt: skip
    with showing.progress(progress, console) as shown:
        found, source = recipes.loaded(recipe, data, trust, fields, _OPTIONS)
        if (
            source is not None
            and found.min_steps_per_epoch == 0
            and not {"batch_size", "learning_rate"} & {*fields}
        ):
            # Fewer examples than a batch are no mistake of who did not say how large that is.
            found = dataclasses.replace(found, min_steps_per_epoch=fields.get("min_steps_per_epoch", 1))
        from kerasdl.jobs import train as job

        result = job.train(
            found,
            runs_dir=runs_dir,
            exported_dir=exported_dir,
            export=export,
            dry_run=dry_run,
            embed_samples=embed_samples,
            new_signature=new_signature,
            profile=profile,
            recipe_source=recipe_source or source,
            console=shown.console,
        )
        shown.leave("Dry run passed: every stage works." if dry_run else result.sentence())
    return result


def resume(
    path: str | os.PathLike[str],
    *,
    recipe: Recipe | None = None,
    data: "str | os.PathLike[str] | Source | None" = None,
    epochs: int = UNSET,
    max_time: str | None = UNSET,
    force: bool = False,
    profile: bool = False,
    trust: bool = False,
    progress: bool = True,
    console: "Console | None" = None,
    **fields: Any,
) -> "Result":
    """Resume an interrupted run from its last checkpoint; it ends as if uninterrupted.

    Args:
        path: the run folder.
        recipe: the run's recipe with changes: more `epochs`, another `max_time`, the data at another place;
            anything else only with `force`. Defaults to the run's own.
        data: where the data is now, if it has moved.
        epochs: epochs in all, more than before.
        max_time: training time after which the run stops: "90s", "10m"; None for none.
        force: whether to resume although the recipe, the data or the versions differ.
        profile: whether to record some steps, as in `train`.
        trust: whether to run the Python code in the folder although somebody else made it.
        progress: whether to show progress, as in `train`.
        console: Rich console where progress is drawn instead.
        **fields: other fields of the recipe, as in `train`; and `export`, `exported_dir`, `embed_samples` and
            `new_signature` of `train`, where they change.

    Returns:
        As `train` does; of a finished run what it has.

    Raises:
        UsageError: when the folder is no run, another process works on it, or something differs.
        RunFailedError: as `train` does.
        Interrupted: as `train` does.

    Example:
        >>> result = kerasdl.resume("runs/lenet5/1", epochs=20)
    """
    fields |= keywords.given({"epochs": epochs, "max_time": max_time})
    names = ("export", "exported_dir", "embed_samples", "new_signature")
    options = {name: fields.pop(name) for name in names if name in fields}
    run = runs.open_run(path)
    environment.import_tensorflow()
    from kerasdl.data import from_text
    from kerasdl.jobs import resume as job
    from kerasdl.jobs.result import opened

    if fields or data is not None:
        with trusting.accepting(trust):
            recipe = keywords.apply(run.recipe() if recipe is None else recipe, fields, (*names, "force"))
        if data is not None:
            place = from_text(os.fspath(data), recipe.data) if isinstance(data, (str, os.PathLike)) else data
            recipe = dataclasses.replace(recipe, data=recipe.data.moved_to(place))
    with showing.progress(progress, console) as shown:
        result = job.resume(
            path,
            recipe=recipe,
            force=force,
            profile=profile,
            trust=trust,
            console=shown.console,
            **options,
        )
        if result.bundle is None:
            result = dataclasses.replace(result, bundle=opened(run).bundle)
        shown.leave(result.sentence())
    return result
