"""Searches hyperparameters from Python."""

import dataclasses
import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from kerasdl import environment
from kerasdl.errors import UsageError
from kerasdl.python import recipes, showing
from kerasdl.recipe import Recipe, catalog
from kerasdl.recipe.values import check_value

if TYPE_CHECKING:
    from kerasdl.data.source import Source
    from kerasdl.search.record import SearchRecord


def tune(
    space: str | os.PathLike[str],
    *,
    recipe: Recipe | None = None,
    data: "str | os.PathLike[str] | Source | None" = None,
    max_trials: int | None = 20,
    objectives: str | Sequence[str] = (),
    constraints: str | Sequence[str] = (),
    tuner: Literal["bayesian", "random", "grid", "hyperband", "keras-bayesian"] = "bayesian",
    pruner: Literal["median", "halving", "none"] | None = None,
    retries: int = 1,
    searches_dir: str | os.PathLike[str] = "searches",
    new: bool = False,
    workers: int | None = None,
    gpus: Sequence[str] = (),
    progress: bool = True,
    **fields: Any,
) -> "SearchRecord":
    """Search hyperparameters, or resume the newest unfinished search with the same settings.

    Trials run in processes of their own: call it below `if __name__ == "__main__":` in a script.

    Args:
        space: name of a shipped space ("lenet5"), or path of a .py file with a function `space(hp, recipe)`
            and a RECIPE.
        recipe: recipe whose values are the defaults. Defaults to that of the space.
        data: source, or text that `--data` takes. Defaults to the recipe's own.
        max_trials: number of trials; None for the tuner's own number (hyperband, a grid). Defaults to 20.
        objectives: names of metrics, "max:NAME" or "min:NAME" where the direction is not known. Defaults to
            those of the recipe's task.
        constraints: limits on metrics, such as "tflite_kb<=100".
        tuner: "bayesian", "random", "grid", "hyperband" or "keras-bayesian". Defaults to "bayesian".
        pruner: "median", "halving" or "none". Defaults to the median for one objective known in every epoch.
        retries: number of times that a trial is restarted after its process crashed. Defaults to 1.
        searches_dir: folder of all searches.
        new: whether to start a new search even if an unfinished one with the same settings exists.
        workers: number of trials at the same time. Defaults to one, or one for each of `gpus`.
        gpus: GPUs to use, one trial on each.
        progress: whether to show progress, as in `train`.
        **fields: fields of the recipe, as in `train`: epochs=5, dropout=0.2, ...

    Returns:
        The trials; `best()` is the best one, `ranked()` all that count, `recipe()` the recipe of the best.

    Raises:
        UsageError: for a space, recipe or option that does not work.
        RunFailedError: when no trial completed, or none keeps to the constraints.
        Interrupted: after Ctrl-C or SIGTERM; the same call goes on.

    Example:
        >>> found = kerasdl.tune("lenet5", data="digits", epochs=5, max_trials=10)
        >>> kerasdl.train(found.recipe())
    """
    import multiprocessing  # half of the time of `import kerasdl`

    if multiprocessing.parent_process() is not None:
        raise UsageError(
            "kerasdl.tune was called in the process of a trial. In a script, call it below\n"
            '    if __name__ == "__main__":'
        )
    _check(max_trials=max_trials, tuner=tuner, pruner=pruner, retries=retries, workers=workers, new=new)
    found: list[Path] = []

    def load(name: str) -> tuple[Recipe, Path]:
        own, source, space_file = catalog.load_space(name)
        found[:] = [source, space_file]
        return own, source

    name = os.fspath(space)
    start, _ = recipes.loaded(name, data, False, fields, _OPTIONS, load, catalog.find_space)
    if recipe is not None:
        start, _ = recipes.loaded(recipe, data, False, fields, _OPTIONS)
    environment.import_tensorflow()
    from kerasdl.jobs import judge
    from kerasdl.search import session
    from kerasdl.search.definition import Search

    source, space_file = found
    search = Search(
        recipe=start,
        space=catalog.space_in(space_file),
        space_file=space_file,
        recipe_source=source,
        tuner=tuner,
        max_trials=max_trials,
        pruner=pruner,
        retries=retries,
        objectives=_names("objectives", objectives),
        constraints=_names("constraints", constraints),
        searches_dir=Path(searches_dir),
        new=new,
    )
    with showing.progress(progress) as shown:
        search = dataclasses.replace(search, recipe=judge.judged(search.recipe, console=shown.console))
        result = session.tune(search, session.make_slots(workers, gpus), shown.console)
        shown.leave(result.sentence())
    return result


#: Arguments of `tune` that are not of the recipe.
_OPTIONS = tuple(name for name in inspect.signature(tune).parameters if name not in ("space", "fields"))


def _check(**options: Any) -> None:
    """Raise a UsageError for an option of another type than `tune` says."""
    kinds = get_type_hints(tune, localns={"Source": object, "SearchRecord": object})
    for name, value in options.items():
        check_value(name, value, kinds[name])


def _names(option: str, given: str | Sequence[str]) -> tuple[str, ...]:
    """Return names that were given alone or in a list."""
    names = (given,) if isinstance(given, str) else tuple(given)
    check_value(option, names, tuple[str, ...])
    return names
