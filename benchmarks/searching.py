"""What a search costs beside its trainings: time of each trial, memory of the parent, and what workers bring.

    python benchmarks/searching.py overhead [--trials 50]
    python benchmarks/searching.py workers
    python benchmarks/searching.py processes

* overhead: random search over LeNet-5 on digits, one epoch a trial; for each trial the time that is not
  training, and the resident memory of the parent after the first and the last trials.
* workers: trials that sleep for ten seconds, with one and with two workers.
* processes: a trial in a process forked after the imports, and in a fresh one.
"""

import argparse
import csv
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from rich.console import Console

import kerasdl
from kerasdl import environment
from kerasdl.recipe import catalog, replace

_SLEEPING = '''
import time

from kerasdl import Classification, load_recipe, replace


class Sleeping(Classification):
    """Sleeps once in every training."""

    def loss(self):
        time.sleep(10)
        return super().loss()


RECIPE = replace(load_recipe("lenet5", data="digits", epochs=1), task=Sleeping(), name="sleeping")


def space(hp, recipe):
    return replace(recipe, learning_rate=hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3))
'''


def search_of(recipe, space_file: Path, root: str, max_trials: int):
    """Return a random search."""
    from kerasdl.search.definition import Search

    return Search(
        recipe=recipe,
        space=catalog.space_in(space_file),
        space_file=space_file,
        recipe_source=space_file,
        tuner="random",
        max_trials=max_trials,
        pruner="none",
        searches_dir=Path(root),
    )


def overhead(num_trials: int) -> None:
    """Print the time of each trial that is no training, and the memory of this process."""
    from kerasdl.search import session
    from kerasdl.search.trials import workers as loop

    recipe, _, space_file = catalog.load_space("lenet5")
    recipe = replace(recipe, data=kerasdl.load_recipe("lenet5", data="digits").data, epochs=1)
    memory, ends = [], [time.perf_counter()]
    ended = loop.Workers._run

    def run(self, trial, slot):
        ended(self, trial, slot)
        memory.append(psutil.Process().memory_info().rss / 2**20)
        ends.append(time.perf_counter())

    loop.Workers._run = run
    with tempfile.TemporaryDirectory() as root:
        found = session.tune(search_of(recipe, space_file, root, num_trials), console=Console(quiet=True))
        trained = [_training_seconds(trial.run) for trial in found.trials]
    rest = [after - before - seconds for before, after, seconds in zip(ends, ends[1:], trained, strict=False)]
    print(f"{len(found.trials)} trials; the time of a trial that is no training, in s:")
    print(
        f"  first {rest[0]:.2f}; others: median {statistics.median(rest[1:]):.2f}, most {max(rest[1:]):.2f}"
    )
    print(f"  training itself: median {statistics.median(trained):.2f}")
    print(
        f"memory of the parent in MB: {memory[0]:.0f} after the first trial, {memory[-1]:.0f} after the "
        f"last, {max(memory):.0f} at most"
    )


def _training_seconds(run: Path) -> float:
    with (run / "history.csv").open(newline="") as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))


def workers() -> None:
    """Print how long eight sleeping trials take with one and with two workers."""
    from kerasdl.search import session

    took = {}
    for count in (1, 2):
        with tempfile.TemporaryDirectory() as root:
            file = Path(root) / "sleeping.py"
            file.write_text(_SLEEPING)
            recipe, _ = catalog.load(str(file))
            start = time.perf_counter()
            session.tune(search_of(recipe, file, root, 8), session.make_slots(count), Console(quiet=True))
            took[count] = time.perf_counter() - start
    print(f"8 trials that sleep 10 s: {took[1]:.1f} s with one worker, {took[2]:.1f} s with two")
    print(f"  {took[1] / took[2]:.2f} times as fast, start and report included")


def processes() -> None:
    """Print the time from the wish for a trial's process to the end of its imports, forked and fresh."""
    for method in ("spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload(["kerasdl.search.trials.preload"])
        seconds = []
        for _ in range(6):
            start = time.perf_counter()
            process = context.Process(target=environment_ready)
            process.start()
            process.join()
            seconds.append(time.perf_counter() - start)
        rest = statistics.median(seconds[1:])
        print(f"{method:<11} first {seconds[0]:.2f} s, then {rest:.3f} s (median of 5)")


def environment_ready() -> None:
    """Import what a trial needs."""
    environment.import_tensorflow(look_for_devices=False)
    from kerasdl.jobs import train  # noqa: F401


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("overhead", "workers", "processes"))
    parser.add_argument("--trials", type=int, default=50)
    given = parser.parse_args()
    if given.what == "overhead":
        environment.import_tensorflow()
        overhead(given.trials)
    elif given.what == "workers":
        environment.import_tensorflow()
        workers()
    else:
        processes()
