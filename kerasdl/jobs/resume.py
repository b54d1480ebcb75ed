"""Resumes a run from its last checkpoint."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from kerasdl.data.dataset import DataSpec
from kerasdl.jobs import judge, overfitting, report, run_page
from kerasdl.jobs.result import Result
from kerasdl.jobs.stages import Options, Stages
from kerasdl.jobs.trial import Trial
from kerasdl.recipe import Recipe
from kerasdl.recipe import trust as trusting
from kerasdl.report import terminal
from kerasdl.runs import record
from kerasdl.runs.folder import Run, open_run
from kerasdl.training import resume as resuming

_log = logging.getLogger(__name__)


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

    Arguments, results and errors are those of `kerasdl.resume`; besides these it takes:

    Args:
        trial: differences of a trial of a search. Defaults to None.
        console: where progress is drawn. Defaults to standard output.
        **options: `export`, `exported_dir`, `embed_samples`, `new_signature`, where they change.
    """
    run = open_run(path)
    with trusting.accepting(trust), run_page.working_on(run):
        before = run.recipe()
        recipe = before if recipe is None else recipe
        console = console or terminal.open_console(soft_wrap=True)
        if run.is_finished() and resuming.same_work(before, recipe):
            _log.info(f"{run.path} is finished; there is nothing to do. To train on, give more --epochs.")
            return _finished(run, before, console)
        settled = _options(run, options)

        def start(resolved: Recipe, fingerprint: str):
            return run, resuming.open_checkpoint(run, resolved, fingerprint, force=force)

        if (changed := run.read_json("status.json").get("changed")) is not None:
            run.update_status(changed={**record.changed(before, recipe), **changed})
        recorded = run.data() if run.read_json("receipt.json").get("data") else None
        same_data = recipe.data.moved_to(before.data) == before.data
        return Stages(
            recipe=recipe,
            read_as=DataSpec.from_description(recorded) if recorded and same_data else None,
            options=settled,
            runs_dir=run.path.parent.parent,
            start=start,
            console=console,
            begun=any(run.checkpoints.glob("[0-9]*")),
            profile=profile,
            trial=trial,
            settle=None if trial else judge.settler(run.path.parent.parent, console),
        ).work()


def _options(run: Run, given: Mapping[str, Any]) -> Options:
    """Return the options that a run is resumed with: what is given, else what it was started with."""
    kept = {"exported_dir": "exported", "export": True, "embed_samples": True}
    kept |= run.read_json("status.json").get("options", {})
    if Path(kept["exported_dir"]).is_relative_to(Path.cwd()):
        kept["exported_dir"] = str(Path(kept["exported_dir"]).relative_to(Path.cwd()))
    elif "exported_dir" not in given and {**kept, **given}["export"]:
        _log.info(f"The bundle goes to {kept['exported_dir']}, as the run says; --exported-dir changes it.")
    options = {**kept, **given}
    return Options(**{**options, "exported_dir": str(options["exported_dir"])})


def _finished(run: Run, recipe: Recipe, console: Console) -> Result:
    """Return the result of a finished run, with its report where that is missing."""
    if not (run.path / report.FILE_NAME).is_file():
        run_page.write(run)
    if recipe.overfit_batches is not None:
        return overfitting.judge(run, recipe, console)
    return Result(run, recipe, run.read_json("metrics.json").get("test", {}))
