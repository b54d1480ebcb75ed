"""A training that kills itself at a chosen moment: the program that `test_resume.py` starts.

    python -m tests.killed_run FOLDER STRATEGY MOMENT [--export]

MOMENT is never, step:N (at the N-th step that this process does), write:N (at its N-th flush of a file to
the disk, before the file gets its name), rename:N (just after the N-th file or folder got its name),
seconds:X (from the start of the training on), or export:X (seconds after the export began). The first
process trains into FOLDER/runs, each further one goes on with the run that is there.
"""

import os
import signal
import sys
import threading
from pathlib import Path

import kerasdl

kerasdl.environment.import_tensorflow()

from rich.console import Console  # noqa: E402

from kerasdl.data.images.affine import RandomAffine  # noqa: E402
from kerasdl.data.images.digits import Digits  # noqa: E402
from kerasdl.jobs import train  # noqa: E402
from kerasdl.jobs.resume import resume  # noqa: E402
from kerasdl.preprocessing.image import ImagePreprocessing  # noqa: E402
from kerasdl.recipe import Config, Recipe  # noqa: E402
from kerasdl.runs import folder as runs  # noqa: E402
from kerasdl.tasks.classification.task import Classification  # noqa: E402
from kerasdl.training import loop  # noqa: E402
from kerasdl.training.callbacks.position import Position  # noqa: E402
from tests.cases import Normalized  # noqa: E402


def recipe(strategy: str) -> Recipe:
    """Everything on that has a state: dropout, batch normalisation, averages, plateau, early stopping."""
    return Recipe(
        name="tiny",
        model=Config(Normalized, dropout=0.3),
        data=Digits(),
        task=Classification(),
        preprocessing=Config(ImagePreprocessing),
        augmentation=RandomAffine(shift=0.1),
        epochs=14,
        batch_size=64,
        optimizer="adam",
        learning_rate=0.1,
        schedule="plateau",
        schedule_epochs=2,
        schedule_factor=0.3,
        early_stopping=5,
        ema_momentum=0.9,
        limit_train_batches=19,
        checkpoint_every="5",
        strategy=strategy,
        deterministic=True,
    )


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def counted(function, count, *, before: bool):
    """Let `function` end the process at its `count`-th call."""
    calls = 0

    def call(*arguments, **keywords):
        nonlocal calls
        calls += 1
        if before and calls == count:
            die()
        result = function(*arguments, **keywords)
        if calls == count:
            die()
        return result

    return call


def arm(moment: str) -> None:
    """Arrange for this process to die at a moment."""
    kind, _, number = moment.partition(":")
    if kind != "never":
        loop.CALL_SECONDS = 0.0  # a step a call: many moments to die at, and the division into calls differs
    if kind == "step":
        Position.on_train_batch_end = counted(Position.on_train_batch_end, int(number), before=True)
    elif kind == "write":
        os.fsync = counted(os.fsync, int(number), before=True)
    elif kind == "rename":
        Path.replace = counted(Path.replace, int(number), before=False)
        Path.rename = Path.replace
    elif kind in ("seconds", "export"):
        stage = "training" if kind == "seconds" else "exporting"
        update = runs.Run.update_status

        def update_and_wind_up(self, **fields):
            update(self, **fields)
            if fields.get("stage") == stage:
                timer = threading.Timer(float(number), die)
                timer.daemon = True
                timer.start()

        runs.Run.update_status = update_and_wind_up


def main(folder: str, strategy: str, moment: str, *rest: str) -> None:
    root, console = Path(folder), Console(quiet=True)
    arm(moment)
    if (root / "runs/tiny/1/recipe.json").is_file():
        resume(root / "runs/tiny/1", console=console)
    else:
        train.train(
            recipe(strategy),
            runs_dir=root / "runs",
            exported_dir=root / "exported",
            export="--export" in rest,
            console=console,
        )
    assert runs.Run(root / "runs/tiny/1").is_finished()


if __name__ == "__main__":
    main(*sys.argv[1:])
