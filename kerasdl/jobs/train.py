"""From a recipe to a run folder, and on to a verified bundle. There is exactly one way a run happens."""

import contextlib
import dataclasses
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras.callbacks import LambdaCallback
from rich.console import Console

from kerasdl.data.dataset import Dataset
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export.bundle import check_destination
from kerasdl.export.tflite import Converter
from kerasdl.inference import labels
from kerasdl.jobs import export, report
from kerasdl.jobs.evaluate import evaluate_network
from kerasdl.jobs.trial import Trial
from kerasdl.recipe import Recipe
from kerasdl.runs import folder as runs
from kerasdl.training import build, devices, faults
from kerasdl.training import resume as resuming
from kerasdl.training.fit import fit
from kerasdl.training.interruption import Interrupted, Interruptions
from kerasdl.training.plan import DRY_RUN_STEPS, plan_run
from kerasdl.training.profiling.profile import Profile

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Result:
    """What `train` leaves behind: the run, its recipe and figures, and the bundle where one was exported."""

    run: runs.Run
    recipe: Recipe
    metrics: dict[str, Any]
    bundle: Any = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Options:
    """What a run is to do besides training; it is kept with the run, for when it goes on."""

    exported_dir: str
    export: bool
    embed_samples: bool

    def status(self) -> dict[str, Any]:
        """Return what `status.json` keeps; a run may go on from another folder."""
        kept = dataclasses.asdict(self)
        return {
            "stage": "training",
            "options": {**kept, "exported_dir": str(Path(self.exported_dir).absolute())},
        }


def train(
    recipe: Recipe,
    *,
    runs_dir: str | Path = "runs",
    exported_dir: str | Path = "exported",
    export: bool = True,
    dry_run: bool = False,
    embed_samples: bool = True,
    profile: bool = False,
    recipe_source: Path | None = None,
    trial: Trial | None = None,
    console: Console | None = None,
) -> Result:
    """Train, evaluate on the test split, export and verify.

    Args:
        recipe: what to train, on what, and how.
        runs_dir: where `<pipeline>/<n>/` is made.
        exported_dir: where `<pipeline>/<version>/` is made.
        export: also export; without it the run ends with the evaluation.
        dry_run: two batches through every stage, in a temporary folder that is gone afterwards.
        embed_samples: keep a few test examples in the bundle, to verify it where the data is not.
        profile: record some steps and say where their time goes (`kerasdl.training.profiling.profile`).
        recipe_source: file the recipe came from; the run keeps a copy.
        trial: what is different because the run is a trial of a search.
        console: where progress is drawn. Defaults to standard output.

    Returns:
        The run folder, the test figures and the bundle.

    Raises:
        UsageError: for a recipe that cannot be run as it is.
        RunFailedError: when training diverges, an artefact is not the same network, or the disk or memory is
            full.
        Interrupted: after Ctrl-C or SIGTERM; `resume` goes on.
    """
    if not recipe.name:
        raise UsageError("The recipe has no name, so its run has no folder. Use Recipe(name=..., ...).")
    with contextlib.ExitStack() as stack:
        if dry_run:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kerasdl-dry-run-")))
            runs_dir, exported_dir = folder / "runs", folder / "exported"
            fine_tune_epochs = min(recipe.fine_tune_epochs, 1)
            recipe = dataclasses.replace(
                recipe, epochs=1, fine_tune_epochs=fine_tune_epochs, min_steps=0, warmup_epochs=0
            )
        options = _Options(exported_dir=str(exported_dir), export=export, embed_samples=embed_samples)

        def start(resolved: Recipe, fingerprint: str):
            run = runs.create(Path(runs_dir), resolved, recipe_source, **options.status())
            stack.enter_context(run.locked())
            return run, None

        console = console or Console(soft_wrap=True)
        return _work(recipe, options, start, console, dry_run=dry_run, profile=profile, trial=trial)


def resume(
    path: str | Path,
    *,
    recipe: Recipe | None = None,
    force: bool = False,
    profile: bool = False,
    trial: Trial | None = None,
    console: Console | None = None,
    **options: Any,
) -> Result:
    """Go on with a run that was interrupted, from its last checkpoint to what it would have become.

    Args:
        path: the run folder.
        recipe: the run's recipe with changes: more `epochs`, another `max_time`, the data at another place;
            anything else only with `force`. Defaults to the run's own.
        force: go on although the recipe, the data or the versions differ.
        profile: as that of `train`.
        trial: as that of `train`.
        console: where progress is drawn. Defaults to standard output.
        **options: `export`, `exported_dir` and `embed_samples` of `train`, where they are to change.

    Returns:
        As `train` does; of a finished run what it has.

    Raises:
        UsageError: when the folder is no run, another process works on it, or something differs.
        RunFailedError: as `train` does.
        Interrupted: as `train` does.
    """
    run = runs.open_run(path)
    with run.locked():
        before = run.recipe()
        recipe = before if recipe is None else recipe
        if run.is_finished() and resuming.same_work(before, recipe):
            _log.info(f"{run.path} is finished; there is nothing to do. To train on, give more --epochs.")
            return _finished(run, before, console)
        kept = {"exported_dir": "exported", "export": True, "embed_samples": True}
        kept |= run.read_json("status.json").get("options", {})
        if Path(kept["exported_dir"]).is_relative_to(Path.cwd()):
            kept["exported_dir"] = str(Path(kept["exported_dir"]).relative_to(Path.cwd()))

        def start(resolved: Recipe, fingerprint: str):
            return run, resuming.open_checkpoint(run, resolved, fingerprint, force=force)

        if "exported_dir" in options:
            options["exported_dir"] = str(options["exported_dir"])
        options = _Options(**{**kept, **options})
        console = console or Console(soft_wrap=True)
        begun = any(run.checkpoints.glob("[0-9]*"))
        return _work(recipe, options, start, console, begun=begun, profile=profile, trial=trial)


def _work(
    recipe: Recipe,
    options: _Options,
    start: Callable,
    console: Console,
    *,
    begun: bool = False,
    dry_run: bool = False,
    profile: bool = False,
    trial: Trial | None = None,
) -> Result:
    """Do all that a run does, stage by stage.

    `start` gives the run folder and the checkpoint. What has `begun` has one: its weights are there, and the
    file that they came from need not be any more.
    """
    with contextlib.ExitStack() as stack:
        interruptions = stack.enter_context(Interruptions())
        used = devices.begin(recipe)
        converter = None
        hooks = []
        if options.export and recipe.overfit_batches is None:
            converter = stack.enter_context(Converter())
            # Its imports take seconds. They pass while the network trains, but not before its first steps,
            # nor during steps that are recorded.
            if not profile:
                hooks.append(LambdaCallback(on_train_batch_end=lambda batch, logs: converter.start()))
        with _explained(recipe, used, dry_run) as working:
            splits = load_data(recipe) if trial is None else trial.load(recipe)
            if converter is not None:  # what cannot be published is said before hours of training, not after
                check_destination(Path(options.exported_dir), recipe.name)
                labels.assets(splits.spec)
            observe = None if trial is None else trial.observe
            plan = plan_run(recipe, splits, used, dry_run=dry_run, has_begun=begun, observe=observe)
            # Before the folder is made: what cannot be built leaves no run.
            pair = build.make_pair(plan)
            run, checkpoint = start(plan.recipe, splits.fingerprint)
            if begun and checkpoint is None:  # all are damaged, and the user insists
                plan = plan_run(recipe, splits, used, dry_run=dry_run, observe=observe)
                pair = build.make_pair(plan)
            recipe = plan.recipe
            working.on(run)
            run.update_status(**options.status(), error=None)
            with interruptions.deferred(), contextlib.ExitStack() as watching:
                if profile:
                    hooks.insert(0, watching.enter_context(Profile(run, console)))
                network = fit(plan, run, checkpoint, pair, interruptions, console, hooks)
            del pair  # the memory of the trained network is free from here on
            if recipe.overfit_batches is not None:
                run.update_status(stage="finished")
                return _judge_overfitting(run, recipe, console)
            if trial is not None:
                folder, samples = options.exported_dir, options.embed_samples
                figures, bundle = trial.finish(
                    run, splits, converter, exported_dir=folder, embed_samples=samples
                )
                return Result(run, recipe, figures, bundle)
            limit = DRY_RUN_STEPS if dry_run else None
            run.update_status(stage="evaluating")
            metrics = evaluate_network(run, network, recipe.task, splits, limit)
            console.print(recipe.task.summary(metrics), highlight=False)
            bundle = None
            if converter is not None:
                run.update_status(stage="exporting")
                settings = export.Settings(
                    exported_dir=options.exported_dir, embed_samples=options.embed_samples, limit=limit
                )
                bundle = export.export_run(run, splits, converter, settings, network)
            run.update_status(stage="finished")
            _write_report(run)
            return Result(run, recipe, metrics, bundle)


class _Working:
    """What is worked on, as far as it is known yet."""

    run: runs.Run | None = None

    def on(self, run: runs.Run) -> None:
        """Name the run, once it has a folder."""
        self.run = run

    def note(self, error: str) -> None:
        """Note in the run why it ended early."""
        if self.run is not None:
            with contextlib.suppress(OSError):  # the disk may be full, the folder gone
                self.run.update_status(error=error)


@contextlib.contextmanager
def _explained(recipe: Recipe, used: devices.Devices, dry_run: bool):
    """Say of what ends a run early what is kept and how to go on, and note it in the run."""
    working = _Working()
    try:
        yield working
    except Interrupted as error:
        again = "" if working.run is None or dry_run else f" Go on with\n  {working.run.resume_command}"
        raise Interrupted(f"{error}{again}", error.signum) from None
    except (UsageError, RunFailedError) as error:
        working.note(str(error))
        raise
    except Exception as error:
        parts = used.num_replicas * recipe.gradient_accumulation_steps
        explained = faults.explain(error, working.run, recipe.batch_size, parts)
        working.note(str(explained or f"{type(error).__name__}: {error}"))
        if explained is None:
            raise
        raise explained from error


def load_data(recipe: Recipe) -> Dataset:
    """Load a recipe's data and say what there is to say of it."""
    _log.info(f"Loading the data ({type(recipe.data).__name__}) ...")
    splits = recipe.data.load()
    for note in splits.notes:
        _log.warning(note)
    return splits


def _write_report(run: runs.Run) -> None:
    """Write the page of the run; whatever may be wrong with it, the run itself is done."""
    try:
        report.write_report(run)
    except Exception as error:
        _log.warning(f"No report was written: {error}", exc_info=not isinstance(error, (UsageError, OSError)))


def _finished(run: runs.Run, recipe: Recipe, console: Console | None) -> Result:
    """Return what a finished run has; of its work at most the page can be missing."""
    if not (run.path / report.FILE_NAME).is_file():
        _write_report(run)
    if recipe.overfit_batches is not None:
        return _judge_overfitting(run, recipe, console or Console(soft_wrap=True))
    return Result(run, recipe, run.read_json("metrics.json").get("test", {}))


def _judge_overfitting(run: runs.Run, recipe: Recipe, console: Console) -> Result:
    """Say whether the network could learn the few batches that it was given again and again.

    Raises:
        RunFailedError: when it could not.
    """
    count = recipe.overfit_batches
    status = run.read_json("status.json")
    batches = "one batch" if count == 1 else f"{count} batches"
    if status["stopped"] == "learned":
        console.print(f"The network learned its {batches} by heart in {status['step']} steps, as it should.")
        return Result(run, recipe, {})
    raise RunFailedError(
        f"The network could not learn {batches} by heart in {status['step']} steps ({run.path}/history.csv "
        "tells how it went). Look for labels that do not belong to their examples, a layer that blocks the "
        "gradient, a missing nonlinearity, or try another --learning-rate (kerasdl lr-find suggests one)."
    )
