"""Trains a recipe: from data to run folder, metrics and verified bundle. Every run goes this one way."""

import contextlib
import dataclasses
import functools
import gc
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras.callbacks import LambdaCallback
from rich.console import Console

from kerasdl.data.dataset import Dataset, DataSpec
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export.bundle import check_destination
from kerasdl.export.tflite import Converter
from kerasdl.inference import labels
from kerasdl.jobs import export, judge, report, verdicts
from kerasdl.jobs.evaluate import evaluate_network
from kerasdl.jobs.failures import explained
from kerasdl.jobs.result import Result
from kerasdl.jobs.trial import Trial
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Recipe, catalog
from kerasdl.recipe import trust as trusting
from kerasdl.report import terminal
from kerasdl.report.live import LivePage
from kerasdl.runs import folder as runs
from kerasdl.runs import record
from kerasdl.training import build, devices
from kerasdl.training import resume as resuming
from kerasdl.training.checkpoint import Checkpoint
from kerasdl.training.contract import check_network
from kerasdl.training.fit import fit
from kerasdl.training.interruption import Interruptions
from kerasdl.training.plan import DRY_RUN_STEPS, plan_run
from kerasdl.training.profiling.profile import Profile

if TYPE_CHECKING:
    import keras

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Options:
    """Options of a run besides training, stored for resuming."""

    exported_dir: str
    export: bool
    embed_samples: bool
    new_signature: bool = False

    def status(self) -> dict[str, Any]:
        """Return the fields of `status.json`, with an absolute path for resuming elsewhere."""
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
    new_signature: bool = False,
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
        new_signature: make the bundle a version of `<pipeline>` although that answers otherwise so far.
        profile: record some steps and say where their time goes (`kerasdl.training.profiling.profile`).
        recipe_source: file the recipe came from; the run keeps a copy.
        trial: differences of a trial of a search. Defaults to None.
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
        options = _Options(
            exported_dir=str(exported_dir),
            export=export,
            embed_samples=embed_samples,
            new_signature=new_signature,
        )

        def start(resolved: Recipe, fingerprint: str):
            status = options.status() | _changes(recipe, recipe_source)
            run = runs.create(Path(runs_dir), resolved, recipe_source, **status)
            stack.enter_context(_working_on(run))
            return run, None

        console = console or terminal.open_console(soft_wrap=True)
        return _Stages(
            recipe=sized(recipe),
            options=options,
            runs_dir=Path(runs_dir),
            start=start,
            console=console,
            dry_run=dry_run,
            profile=profile,
            trial=trial,
        ).work()


def resume(
    path: str | Path,
    *,
    recipe: Recipe | None = None,
    force: bool = False,
    profile: bool = False,
    trust: bool = False,
    trial: Trial | None = None,
    console: Console | None = None,
    **options: Any,
) -> Result:
    """Resume an interrupted run from its last checkpoint; it ends as if uninterrupted.

    Args:
        path: the run folder.
        recipe: the run's recipe with changes: more `epochs`, another `max_time`, the data at another place;
            anything else only with `force`. Defaults to the run's own.
        force: resume although the recipe, the data or the versions differ.
        profile: record some steps, as in `train`.
        trust: run the Python code in the folder although somebody else made it, and remember that.
        trial: differences of a trial of a search, as in `train`.
        console: where progress is drawn. Defaults to standard output.
        **options: `export`, `exported_dir`, `embed_samples`, `new_signature` of `train`, where they change.

    Returns:
        As `train` does; of a finished run what it has.

    Raises:
        UsageError: when the folder is no run, another process works on it, or something differs.
        RunFailedError: as `train` does.
        Interrupted: as `train` does.
    """
    run = runs.open_run(path)
    with trusting.accepting(trust), _working_on(run):
        before = run.recipe()
        recipe = before if recipe is None else recipe
        if run.is_finished() and resuming.same_work(before, recipe):
            _log.info(f"{run.path} is finished; there is nothing to do. To train on, give more --epochs.")
            return _finished(run, before, console)
        kept = {"exported_dir": "exported", "export": True, "embed_samples": True}
        kept |= run.read_json("status.json").get("options", {})
        if Path(kept["exported_dir"]).is_relative_to(Path.cwd()):
            kept["exported_dir"] = str(Path(kept["exported_dir"]).relative_to(Path.cwd()))
        elif "exported_dir" not in options and {**kept, **options}["export"]:
            _log.info(
                f"The bundle goes to {kept['exported_dir']}, as the run says; --exported-dir changes it."
            )

        def start(resolved: Recipe, fingerprint: str):
            return run, resuming.open_checkpoint(run, resolved, fingerprint, force=force)

        if "exported_dir" in options:
            options["exported_dir"] = str(options["exported_dir"])
        if (changed := run.read_json("status.json").get("changed")) is not None:
            run.update_status(changed={**record.changed(before, recipe), **changed})
        recorded = run.data() if run.read_json("receipt.json").get("data") else None
        same_data = recipe.data.moved_to(before.data) == before.data
        return _Stages(
            recipe=recipe,
            read_as=DataSpec.from_description(recorded) if recorded and same_data else None,
            options=_Options(**{**kept, **options}),
            runs_dir=run.path.parent.parent,
            start=start,
            console=console or terminal.open_console(soft_wrap=True),
            begun=any(run.checkpoints.glob("[0-9]*")),
            profile=profile,
            trial=trial,
        ).work()


@dataclasses.dataclass(kw_only=True)
class _Stages:
    """The stages of a run, in the order of the methods.

    Attributes:
        recipe: what to train, as it was given.
        options: what to do besides training.
        runs_dir: folder of the runs of all pipelines.
        start: makes or opens the run folder; takes the resolved recipe and the fingerprint of the data, and
            returns the run and the checkpoint to continue from.
        console: where progress is drawn.
        begun: whether the run has a checkpoint; the file that its weights came from may be gone then.
        dry_run: whether two batches of each stage are enough.
        profile: whether to record some steps.
        trial: differences of a trial of a search. Defaults to None.
        read_as: specification of the examples that a resumed run was trained on.
        loaded: the data, where it is there already.
    """

    recipe: Recipe
    options: _Options
    runs_dir: Path
    start: Callable[[Recipe, str], tuple[runs.Run, Checkpoint | None]]
    console: Console
    begun: bool = False
    dry_run: bool = False
    profile: bool = False
    trial: Trial | None = None
    read_as: DataSpec | None = None
    loaded: Dataset | None = None

    def work(self) -> Result:
        """Do all that a run does."""
        with contextlib.ExitStack() as stack:
            interruptions = stack.enter_context(Interruptions())
            used = devices.begin(self.recipe)
            exports = self.options.export and self.recipe.overfit_batches is None
            converter = stack.enter_context(Converter()) if exports else None
            with explained(self.recipe, used, self.dry_run) as working:
                dataset = self._load(converter)
                if self.trial is None and self.recipe.overfit_batches is None:
                    train = functools.partial(
                        _train_judge, dataset, self.runs_dir, self.console, self.dry_run
                    )
                    self.recipe = judge.settled(self.recipe, dataset, self.runs_dir, train)
                with terminal.status("Building and checking the network"):
                    plan, run, checkpoint, pair = self._prepare(dataset, used)
                working.on(run)
                run.update_status(**self.options.status(), error=None)
                with interruptions.deferred(), self._hooks(run, converter, used) as hooks:
                    network = fit(plan, run, checkpoint, pair, interruptions, self.console, hooks)
                del pair
                gc.collect()  # the memory of the trained network is free from here on
                if plan.recipe.overfit_batches is not None:
                    run.update_status(stage="finished")
                    return _judge_overfitting(run, plan.recipe, self.console)
                if self.trial is not None:
                    settings = self._export_settings()
                    found = self.trial.finish(run, dataset, converter, settings, network)
                    return Result(run, plan.recipe, *found)
                return self._finish(run, plan.recipe, network, dataset, converter)

    def _load(self, converter: Converter | None) -> Dataset:
        """Load the data, and check before training that a bundle can be published."""
        recipe = self.recipe
        if self.loaded is not None:
            return self.loaded
        if self.read_as is not None:
            recipe = dataclasses.replace(recipe, data=recipe.data.like(self.read_as))
        dataset = load_data(recipe) if self.trial is None else self.trial.load(recipe)
        if converter is not None:
            check_destination(Path(self.options.exported_dir), self.recipe.name)
            labels.assets(dataset.spec)
        return dataset

    def _prepare(self, dataset: Dataset, used: devices.Devices):
        """Plan the run, build its networks, then open its folder."""
        observe = None if self.trial is None else self.trial.observe
        options = {"dry_run": self.dry_run, "observe": observe}
        plan = plan_run(self.recipe, dataset, used, has_begun=self.begun, **options)
        exports = self.options.export and plan.recipe.overfit_batches is None
        check = None if self.begun else functools.partial(check_network, plan, exports=exports)
        pair = build.make_pair(plan, check)
        run, checkpoint = self.start(plan.recipe, dataset.fingerprint)
        if self.begun and checkpoint is None:  # all are damaged, and the user insists
            plan = plan_run(self.recipe, dataset, used, **options)
            pair = build.make_pair(plan)
        return plan, run, checkpoint, pair

    @contextlib.contextmanager
    def _hooks(self, run: runs.Run, converter: Converter | None, used: devices.Devices):
        """Yield callbacks that record steps, start the converter and write the page during training."""
        with contextlib.ExitStack() as stack:
            hooks = [stack.enter_context(Profile(run, self.console))] if self.profile else []
            if converter is not None and not self.profile:
                # Its imports take seconds. They pass while the network trains, but not before its first
                # steps, nor during steps that are recorded.
                hooks.append(LambdaCallback(on_train_batch_end=lambda batch, logs: converter.start()))
            if self.trial is None and used.is_chief:
                # At the begin of an epoch, since the history is written after these callbacks.
                page = LivePage(functools.partial(_write_report, run))
                hooks.append(LambdaCallback(on_epoch_begin=page.update))
            yield hooks

    def _finish(
        self,
        run: runs.Run,
        recipe: Recipe,
        network: "keras.Model",
        dataset: Dataset,
        converter: Converter | None,
    ) -> Result:
        """Evaluate, export and report."""
        run.update_status(stage="evaluating")
        with terminal.status("Evaluating"):
            metrics = evaluate_network(run, network, recipe.task, dataset, self._limit())
        # A file or a pipe has no width at which to begin a new line.
        shown: dict[str, Any] = {"highlight": False, "soft_wrap": not self.console.is_terminal}
        for text in (verdicts.kept_epoch(run, recipe), recipe.task.summary(metrics)):
            self.console.print(text, **shown)
        for text in verdicts.told(verdicts.judge(run, recipe, metrics)):
            self.console.print(text, style="yellow", **shown)
        bundle = None
        if converter is not None:
            run.update_status(stage="exporting")
            with terminal.status("Exporting"):
                bundle = export.export_run(run, dataset, converter, self._export_settings(), network)
        run.update_status(stage="finished")
        with terminal.status("Writing the report"):
            _write_report(run)
        return Result(run, recipe, metrics, bundle)

    def _export_settings(self) -> export.Settings:
        options = self.options
        return export.Settings(
            exported_dir=options.exported_dir,
            embed_samples=options.embed_samples,
            limit=self._limit(),
            new_signature=options.new_signature,
        )

    def _limit(self) -> int | None:
        return DRY_RUN_STEPS if self.dry_run else None


def judged(recipe: Recipe, runs_dir: str | Path = "runs", console: Console | None = None) -> Recipe:
    """Return the recipe of a search, whose task has its judge where trials aim at what a judge tells.

    Args:
        recipe: the recipe of runs to come.
        runs_dir: folder of the runs of all pipelines.
        console: where is said which run it is. Defaults to standard output.
    """
    if not recipe.task.wants_judge or recipe.task.objectives == ("val_loss",):
        return recipe
    dataset, console = load_data(sized(recipe)), console or terminal.open_console(soft_wrap=True)
    train = functools.partial(_train_judge, dataset, Path(runs_dir), console, False)
    return judge.settled(recipe, dataset, Path(runs_dir), train)


def _train_judge(
    dataset: Dataset, runs_dir: Path, console: Console, dry_run: bool, recipe: Recipe
) -> runs.Run:
    """Train the run that others are judged with, on data that is loaded already."""
    if dry_run:
        recipe = dataclasses.replace(recipe, epochs=1)
    options = _Options(exported_dir="exported", export=False, embed_samples=False)

    def start(resolved: Recipe, fingerprint: str):
        run = runs.create(runs_dir, resolved, **options.status())
        stack.enter_context(run.locked())
        return run, None

    with contextlib.ExitStack() as stack:
        stages = _Stages(
            recipe=recipe,
            options=options,
            runs_dir=runs_dir,
            start=start,
            console=terminal.open_console(quiet=True),
            dry_run=dry_run,
            loaded=dataset,
        )
        found = stages.work()
        said = found.recipe.task.summary(found.metrics) if found.metrics else ""
        console.print(f"Judge   {found.run.path}  {said}".rstrip(), highlight=False)
        return found.run


def _changes(recipe: Recipe, source: Path | None) -> dict[str, Any]:
    """Return as a field of the status what a recipe changes of its pipeline's; nothing where it has none."""
    try:
        pipeline, _ = catalog.load(recipe.name if source is None else str(source))
    except UsageError:
        return {}
    return {"changed": record.changed(pipeline, recipe)}


def sized(recipe: Recipe) -> Recipe:
    """Return a recipe whose data gives what its network and task take: images of a size, without classes."""
    if not recipe.task.needs_classes:
        recipe = dataclasses.replace(recipe, data=recipe.data.without_classes())
    config = recipe.preprocessing
    if config is None or not issubclass(config.target, ImagePreprocessing):
        return recipe
    wanted = config.values.get("size"), config.values.get("channels")
    return dataclasses.replace(recipe, data=recipe.data.sized_for(*wanted))


def load_data(recipe: Recipe) -> Dataset:
    """Load a recipe's data, and log its notes."""
    _log.info(f"Loading the data ({type(recipe.data).__name__}) ...")
    with terminal.status("Loading the data"):
        splits = recipe.data.load()
    for note in splits.notes:
        _log.warning(note)
    return splits


@contextlib.contextmanager
def _working_on(run: runs.Run):
    """Lock a run. A page of it that says that work goes on is written again when it has ended."""
    locked = False
    try:
        with run.locked():
            locked = True
            yield
    finally:
        if locked and (run.path / report.FILE_NAME).is_file() and not run.is_finished():
            _write_report(run)


def _write_report(run: runs.Run) -> None:
    """Write the report; an error there does not fail the run."""
    try:
        report.write_report(run)
    except Exception as error:
        known = isinstance(error, (UsageError, RunFailedError))
        _log.warning(f"No report was written: {error}", exc_info=not known)


def _finished(run: runs.Run, recipe: Recipe, console: Console | None) -> Result:
    """Return the result of a finished run, with its report where that is missing."""
    if not (run.path / report.FILE_NAME).is_file():
        _write_report(run)
    if recipe.overfit_batches is not None:
        return _judge_overfitting(run, recipe, console or terminal.open_console(soft_wrap=True))
    return Result(run, recipe, run.read_json("metrics.json").get("test", {}))


def _judge_overfitting(run: runs.Run, recipe: Recipe, console: Console) -> Result:
    """Print whether the network learned its few batches by heart.

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
