"""The results of a search: best recipe, Pareto front, page, TensorBoard's HParams."""

import logging
from typing import Any

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.recipe.document import encode, to_json
from kerasdl.runs.folder import Run
from kerasdl.search import record
from kerasdl.search.keras_tuner.tuner import recipe_of_trial
from kerasdl.search.record import SearchRecord
from kerasdl.search.show import page

_log = logging.getLogger(__name__)

BEST = "best.json"
PARETO = "pareto.json"


def write(folder: Run) -> SearchRecord:
    """Write the best recipe, the Pareto front, the page and TensorBoard's HParams."""
    found = record.read(folder.path)
    write_best(folder, found)
    if len(found.objectives) > 1:
        front = [
            {
                "trial": trial.number,
                "objectives": {aim.name: trial.figures[aim.name] for aim in found.objectives},
                "values": trial.values,
                "recipe": encode(recipe_of_trial(folder.path, trial.number)),
            }
            for trial in found.pareto_front()
        ]
        directions = {aim.name: aim.direction for aim in found.objectives}
        folder.write(PARETO, {"directions": directions, "front": front})
    write_page(found)
    return found


def write_page(found: SearchRecord, *, live: bool = False) -> None:
    """Write the page and, when the search has ended, TensorBoard's HParams."""
    try:
        from kerasdl.search.show import tensorboard

        page.write(found, live=live)
        if not live:
            tensorboard.write(found)
    except Exception as error:  # a page that fails must not fail the search
        known = isinstance(error, (UsageError, RunFailedError, OSError))
        _log.warning(f"No report was written: {error}", exc_info=not known)


def write_best(folder: Run, found: SearchRecord) -> None:
    """Write the recipe of the best trial, as `kerasdl train` takes it."""
    best = found.best()
    if best is not None:
        folder.write(BEST, to_json(recipe_of_trial(folder.path, best.number)))


def judge(found: SearchRecord, oracle: Any) -> SearchRecord:
    """Return the record of a search that has a best trial.

    Raises:
        RunFailedError: when it has none.
    """
    if found.best() is not None:
        return found
    failed = [trial for trial in found.trials if trial.status == "failed"]
    if failed and len(failed) == len(found.trials):
        stopped = " The search stopped early because of that." if oracle.has_failed() else ""
        raise RunFailedError(
            f"No trial of {found.path} completed.{stopped} The last one failed: {failed[-1].reason}"
        )
    limits = " and ".join(map(str, found.constraints))
    raise RunFailedError(
        f"No trial of {found.path} satisfies {limits}. Raise --max-trials, or change the limit."
        if limits
        else f"No trial of {found.path} was trained to its end. Raise --max-trials, or use --pruner none."
    )
