"""How near `kerasdl evaluate` comes to the best throughput of the bare forward pass.

    python benchmarks/evaluation.py runs/lenet5/1 runs/mlp/1 [--rounds 15]

Bare: the network's endpoint as a `tf.function`, called batch after batch on tensors that are in memory, at
batch sizes from 64 to 2048; the answers stay where they are. The loop: what `kerasdl evaluate` does between
loading the data and working out the figures: batches, checks, copies, answers joined. Both are warm (traced)
and take turns in one process, in a new order each round. A ratio is that of one round, to the batch size that
is the fastest over all rounds.
"""

import argparse
import random
import statistics
import time
from pathlib import Path

from kerasdl import environment

environment.import_tensorflow()

import machine  # noqa: E402
import numpy as np  # noqa: E402
import quiet  # noqa: E402
import tensorflow as tf  # noqa: E402

from kerasdl.data import passes  # noqa: E402
from kerasdl.inference.endpoint import signature  # noqa: E402
from kerasdl.jobs import open as loading  # noqa: E402
from kerasdl.jobs.evaluate import answers_of  # noqa: E402
from kerasdl.runs.folder import Run  # noqa: E402

LOOP = "kerasdl evaluate"
BATCH_SIZES = (64, 128, 256, 512, 1024, 2048)


def bare(function, images: np.ndarray, batch_size: int):
    """Return a call of `function` on all images, in batches that are tensors already."""
    batches = [tf.constant(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]

    def run():
        for batch in batches:
            function(batch)

    return run


def one_round(arms) -> tuple[dict[str, float], float]:
    """Return the seconds of each arm, and those of CPU that all took together."""
    found, cpu = {}, time.process_time()
    for name in random.sample(list(arms), len(arms)):
        start = time.perf_counter()
        arms[name]()
        found[name] = time.perf_counter() - start
    return found, time.process_time() - cpu


def compare(path: str, data: str | None, rounds: int) -> None:
    """Print the throughput of each arm on one run's test split, and the ratio."""
    target = loading.load(path)
    batches = passes.test_batches(target.load_data(data))
    images = np.concatenate([features for features, *_ in batches()])
    endpoint = target.task.endpoints(Run(Path(path)).network(), target.spec, target.fitted)[0]
    function = tf.function(endpoint.function, input_signature=signature(endpoint), autograph=False)
    arms = {f"bare, batch {size}": bare(function, images, size) for size in BATCH_SIZES}
    arms[LOOP] = lambda: answers_of(target.predictor, target.endpoints, batches)
    one_round(arms)  # traces
    found, about = quiet.rounds(rounds, lambda: one_round(arms))
    middle = {name: statistics.median(values[name] for values in found) for name in arms}
    best = min((name for name in arms if name != LOOP), key=middle.get)
    ratios = [values[best] / values[LOOP] for values in found]
    print(f"\n{path}, {len(images):,} images, {about}")
    for name, value in middle.items():
        print(f"{name:<22}{1000 * value:>9.1f} ms{len(images) / value:>12,.0f} images/s")
    print(
        f"{LOOP}: {statistics.median(ratios):.2f} of the best ({best}), {min(ratios):.2f} to "
        f"{max(ratios):.2f}; to reach: 0.9"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--data", help="where the data is now")
    parser.add_argument("--rounds", type=int, default=15)
    values = parser.parse_args()
    for name, text in machine.describe().items():
        print(f"{name}: {text}")
    for path in values.runs:
        compare(path, values.data, values.rounds)


if __name__ == "__main__":
    main()
