"""Judges whether a network learned a few batches by heart."""

from rich.console import Console

from kerasdl.errors import RunFailedError
from kerasdl.jobs.result import Result
from kerasdl.recipe import Recipe
from kerasdl.runs.folder import Run


def judge(run: Run, recipe: Recipe, console: Console) -> Result:
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
