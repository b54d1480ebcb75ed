"""Opens from Python what there is: runs, bundles, exported files."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kerasdl import environment
from kerasdl.runs import places

if TYPE_CHECKING:
    from kerasdl.jobs.result import Result
    from kerasdl.jobs.target import Target


def load(path: str | os.PathLike[str], *, trust: bool = False) -> "Target":
    """Open a run folder, a bundle folder, or one exported file of a bundle, to predict with it.

    Args:
        path: the run, the bundle or the file.
        trust: whether to run the Python code and the SavedModel in it although somebody else made it, and to
            remember that.

    Returns:
        What predicts: `predict` takes files, texts and arrays; `labels` are its classes.

    Raises:
        UsageError: when it is none of these, or holds code that is not trusted.

    Example:
        >>> model = kerasdl.load("exported/lenet5/1")
        >>> model.predict("photo.jpg")[0]["class"]
        >>> model.predict(images)["class_ids"]
    """
    places.find(Path(path))
    environment.import_tensorflow()
    from kerasdl.jobs import open as opening

    return opening.load(path, trust=trust)


def open_run(
    run: str | os.PathLike[str], *, runs_dir: str | os.PathLike[str] = "runs", trust: bool = False
) -> "Result":
    """Open a run to look at its history, metrics, recipe and bundle; it may still be going on.

    Args:
        run: the folder of a run, or the name of a pipeline for its newest one.
        runs_dir: folder of the runs, where names are looked for.
        trust: whether to run the Python code in the folder although somebody else made it, and to remember
            that.

    Returns:
        As `train` does; it shows itself in a notebook.

    Raises:
        UsageError: when there is no such run; runs inside a folder are named.
        RunFailedError: when a file of it is damaged.

    Example:
        >>> run = kerasdl.open_run("runs/lenet5/1")
        >>> run.metrics["accuracy"]
        >>> run.history["val_accuracy"].plot()  # where pandas is
    """
    from kerasdl.runs import folder

    found = folder.find(run, runs_dir)
    environment.import_tensorflow()
    from kerasdl.jobs import result
    from kerasdl.recipe import trust as trusting

    with trusting.accepting(trust):
        return result.opened(found)
