"""Takes a run through its stages: load, plan and build, fit, evaluate, export, report."""

import contextlib
import dataclasses
import functools
import gc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras.callbacks import LambdaCallback
from rich.console import Console

from kerasdl.data.dataset import Dataset, DataSpec
from kerasdl.export.destination import check_destination
from kerasdl.export.tflite import Converter
from kerasdl.inference import labels
from kerasdl.jobs import export, overfitting, recipe_data, run_page, verdicts
from kerasdl.jobs.evaluate import evaluate_network
from kerasdl.jobs.failures import explained
from kerasdl.jobs.result import Result
from kerasdl.jobs.trial import Trial
from kerasdl.recipe import Recipe
from kerasdl.report import terminal
from kerasdl.report.live import LivePage
from kerasdl.runs.folder import Run
from kerasdl.training import build, devices
from kerasdl.training.checkpoint import Checkpoint
from kerasdl.training.contract import check_network
from kerasdl.training.fit import fit
from kerasdl.training.interruption import Interruptions
from kerasdl.training.plan import DRY_RUN_STEPS, plan_run
from kerasdl.training.profiling.profile import Profile

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
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


@dataclasses.dataclass(kw_only=True)
class Stages:
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
        settle: returns the recipe with what depends on its data, such as a judge. Defaults to None.
    """

    recipe: Recipe
    options: Options
    runs_dir: Path
    start: Callable[[Recipe, str], tuple[Run, Checkpoint | None]]
    console: Console
    begun: bool = False
    dry_run: bool = False
    profile: bool = False
    trial: Trial | None = None
    read_as: DataSpec | None = None
    loaded: Dataset | None = None
    settle: Callable[[Recipe, Dataset], Recipe] | None = None

    def work(self) -> Result:
        """Do all that a run does."""
        with contextlib.ExitStack() as stack:
            interruptions = stack.enter_context(Interruptions())
            used = devices.begin(self.recipe)
            exports = self.options.export and self.recipe.overfit_batches is None
            converter = stack.enter_context(Converter()) if exports else None
            parts = used.num_replicas * self.recipe.gradient_accumulation_steps
            with explained(self.recipe.batch_size, parts, self.dry_run) as working:
                dataset = self._load(converter)
                if self.settle is not None and self.recipe.overfit_batches is None:
                    self.recipe = self.settle(self.recipe, dataset)
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
                    return overfitting.judge(run, plan.recipe, self.console)
                if self.trial is not None:
                    settings = self._export_settings()
                    found = self.trial.finish(run, dataset, converter, settings, network)
                    return Result(run, plan.recipe, *found)
                return self._finish(run, plan.recipe, network, dataset, converter)

    def _load(self, converter: Converter | None) -> Dataset:
        """Load the data, and check before training that a bundle can be published."""
        if self.loaded is not None:
            return self.loaded
        source = self.recipe.data if self.read_as is None else self.recipe.data.like(self.read_as)
        task = self.recipe.task
        dataset = recipe_data.load(source, task) if self.trial is None else self.trial.load(source, task)
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
    def _hooks(self, run: Run, converter: Converter | None, used: devices.Devices):
        """Yield callbacks that record steps, start the converter and write the page during training."""
        with contextlib.ExitStack() as stack:
            hooks = [stack.enter_context(Profile(run, self.console))] if self.profile else []
            if converter is not None and not self.profile:
                # Its imports take seconds. They pass while the network trains, but not before its first
                # steps, nor during steps that are recorded.
                hooks.append(LambdaCallback(on_train_batch_end=lambda batch, logs: converter.start()))
            if self.trial is None and used.is_chief:
                # At the begin of an epoch, since the history is written after these callbacks.
                page = LivePage(functools.partial(run_page.write, run))
                hooks.append(LambdaCallback(on_epoch_begin=page.update))
            yield hooks

    def _finish(
        self,
        run: Run,
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
            run_page.write(run)
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
