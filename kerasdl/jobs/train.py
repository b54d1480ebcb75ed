"""Trains a recipe: from data to run folder, metrics and verified bundle. Every run goes this one way."""

import contextlib
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from kerasdl.errors import UsageError
from kerasdl.jobs import judge, recipe_data, run_page
from kerasdl.jobs.result import Result
from kerasdl.jobs.stages import Options, Stages
from kerasdl.jobs.trial import Trial
from kerasdl.recipe import Recipe, catalog
from kerasdl.report import terminal
from kerasdl.runs import folder as runs
from kerasdl.runs import record


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

    Arguments, results and errors are those of `kerasdl.train`; besides these it takes:

    Args:
        trial: differences of a trial of a search. Defaults to None.
        console: where progress is drawn. Defaults to standard output.
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
        options = Options(
            exported_dir=str(exported_dir),
            export=export,
            embed_samples=embed_samples,
            new_signature=new_signature,
        )

        def start(resolved: Recipe, fingerprint: str):
            status = options.status() | _changes(recipe, recipe_source)
            run = runs.create(Path(runs_dir), resolved, recipe_source, **status)
            stack.enter_context(run_page.working_on(run))
            return run, None

        console = console or terminal.open_console(soft_wrap=True)
        return Stages(
            recipe=recipe_data.sized(recipe),
            options=options,
            runs_dir=Path(runs_dir),
            start=start,
            console=console,
            dry_run=dry_run,
            profile=profile,
            trial=trial,
            settle=None if trial else judge.settler(Path(runs_dir), console, dry_run),
        ).work()


def _changes(recipe: Recipe, source: Path | None) -> dict[str, Any]:
    """Return as a field of the status what a recipe changes of its pipeline's; nothing where it has none."""
    try:
        pipeline, _ = catalog.load(recipe.name if source is None else str(source))
    except UsageError:
        return {}
    return {"changed": record.changed(pipeline, recipe)}
