"""What checkpoints and logging cost, as a share of a LeNet-5 training (its steps are the shortest).

    python benchmarks/recording.py [--data mnist] [--epochs 5] [--checkpoint-every auto]

Every call of every callback is timed within one training of the recipe as it ships; the share is that of the
whole `fit`, validation included. On a CPU nothing runs beside the callbacks: their time is what they cost.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from kerasdl import environment

environment.import_tensorflow()

from rich.console import Console  # noqa: E402

import kerasdl  # noqa: E402
from kerasdl.jobs import stages, train  # noqa: E402
from kerasdl.training import checkpoint, fit  # noqa: E402
from kerasdl.training.callbacks import best, checkpoint_writer, history, position, progress_bar, stops  # noqa: E402

_METHODS = (
    "on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_epoch_end",
    "on_train_end",
)  # fmt: skip
_TIMED = {
    "checkpoints": (checkpoint_writer.CheckpointWriter,),
    "best weights (model.keras)": (best.Best,),
    "history.csv": (history.History,),
    "TensorBoard": (history.TensorBoard,),
    "status.json": (history.Status,),
    "progress bar": (progress_bar.ProgressBar,),
    "position, divergence": (position.Position, stops.Divergence),
}
_seconds: dict[str, float] = defaultdict(float)
_validation = {"seconds": 0.0}  # between on_test_begin and on_test_end
LIMIT = 0.03


def timed(name, function):
    def call(*arguments, **keywords):
        began = time.perf_counter()
        try:
            return function(*arguments, **keywords)
        finally:
            _seconds[name] += time.perf_counter() - began

    return call


def _validate(seconds: float) -> None:
    _validation["seconds"] += seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--checkpoint-every", default="auto")
    values = parser.parse_args()
    for name, kinds in _TIMED.items():
        for kind in kinds:
            for method in _METHODS:
                if method in vars(kind):
                    setattr(kind, method, timed(name, vars(kind)[method]))
    position.Position.on_test_begin = lambda *_: _validate(-time.perf_counter())
    position.Position.on_test_end = lambda *_: _validate(time.perf_counter())
    checkpoint.write = timed("written", checkpoint.write)
    counted, written = checkpoint.write, []
    checkpoint.write = lambda *arguments: written.append(1) or counted(*arguments)
    stages.fit = timed("fit", fit.fit)
    recipe = kerasdl.load_recipe(
        "lenet5", data=values.data, epochs=values.epochs, checkpoint_every=values.checkpoint_every
    )
    with tempfile.TemporaryDirectory() as folder:
        train.train(recipe, runs_dir=Path(folder), export=False, console=Console(force_terminal=True))
    whole = _seconds.pop("fit")
    one = _seconds.pop("written") / max(len(written), 1)
    print(f"\n{'':<28}{'seconds':>9}{'share':>9}   of {whole:.1f} s")
    for name, seconds in sorted(_seconds.items(), key=lambda pair: -pair[1]):
        print(f"{name:<28}{seconds:>9.3f}{seconds / whole:>9.2%}")
    spent = sum(_seconds.values())
    print(f"{'together':<28}{spent:>9.3f}{spent / whole:>9.2%}")
    print(f"{len(written)} checkpoints, {one * 1e3:.0f} ms each")
    validation = _validation["seconds"]
    longer = spent / (whole - spent - validation)
    print(
        f"{'met' if longer <= LIMIT else 'NOT MET'}: with progress bar, TensorBoard, checkpoints and logging "
        f"training takes {longer:.2%} longer than without, validation's {validation:.1f} s aside; at most "
        f"{LIMIT:.0%} is required"
    )


if __name__ == "__main__":
    main()
