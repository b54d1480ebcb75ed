"""What single settings of a training cost or gain, as ratios to the recipe as it ships.

    python benchmarks/settings.py lenet5 [--rounds 5] [--epochs 4] [--examples 16384] [--arms augment]

Each arm is a process of its own and trains without callbacks on random images: of CIFAR-10's shape where the
recipe takes colour, else of MNIST's. Arms take turns.
The first epoch, which compiles, does not count.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

#: Name -> what differs: environment variables (capitals), or keywords of `samples_per_second`.
ARMS = {
    "as shipped": {},
    "one step a call": {"call_seconds": 0.0},
    "one second a call": {"call_seconds": 1.0},
    "batches one by one through tf.data": {"block_steps": 1},
    "blocks prefetched: 8 instead of 2": {"prefetch": 8},
    "Keras's own updates (several operators a weight)": {"stock_updates": True},
    "no test for finite gradients": {"test_finite": False},
    "XLA (jit_compile=True)": {"jit_compile": True},
    "oneDNN off": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "one thread within an operator": {"TF_NUM_INTRAOP_THREADS": "1"},
    "one thread between operators": {"TF_NUM_INTEROP_THREADS": "1"},
    "augmentation in the training step": {"augment_in_step": True},
    "no augmentation": {"augmentation": None},
    "batch size 128": {"batch_size": 128},
    "batch size 256": {"batch_size": 256},
}


def data(shape: tuple[int, int, int], examples: int):
    import numpy as np

    from kerasdl.data.dataset import Dataset, DataSpec, Spec
    from kerasdl.data.splits import ArraySplit

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (examples, *shape)).astype(np.uint8)
    split = ArraySplit(images, rng.integers(0, 10, examples).astype(np.int32))
    names = tuple(map(str, range(10)))
    return Dataset(split, split, split, DataSpec(Spec(shape, "uint8"), Spec((), "int32", names)), "random")


def samples_per_second(
    name: str,
    epochs: int,
    examples: int,
    *,
    call_seconds: float = 0.1,
    block_steps: int | None = None,
    prefetch: int | None = None,
    stock_updates: bool = False,
    test_finite: bool = True,
    jit_compile: bool = False,
    augment_in_step: bool = False,
    **changes,
) -> float:
    """Train a pipeline's recipe with one thing changed; return its speed from the second epoch on."""
    from kerasdl import environment

    environment.import_tensorflow()
    import keras
    import tensorflow as tf

    from kerasdl.data import batches
    from kerasdl.recipe import catalog, replace
    from kerasdl.training import build, loop
    from kerasdl.training.devices import Devices
    from kerasdl.training.optimizers import replica_safe
    from kerasdl.training.plan import plan_run

    loop.CALL_SECONDS = call_seconds
    if block_steps is not None:
        batches._BLOCK_STEPS = block_steps
    if prefetch is not None:
        finish = batches._finish
        batches._finish = lambda dataset, **_: finish(dataset, prefetch=prefetch)
    if stock_updates:
        for key, kind in replica_safe.REPLICA_SAFE.items():
            stock = getattr(keras.optimizers, kind.__name__.removeprefix("ReplicaSafe"))
            replica_safe.REPLICA_SAFE[key] = stock
    if not test_finite:
        replica_safe._all_finite = lambda gradients: tf.constant(True)
    recipe = replace(catalog.load(name)[0], **changes)
    colour = recipe.preprocessing.channels == 3
    splits = data((32, 32, 3) if colour else (28, 28, 1), examples)
    steps = batches.steps_per_epoch(splits.train, recipe.batch_size)
    network, _ = build.make_pair(plan_run(recipe, splits, Devices()))
    network.jit_compile = jit_compile
    augmentation = recipe.augmentation
    if augment_in_step:
        step, augmentation = network.train_step, None

        def train_step(batch):
            return step(recipe.augmentation(*batch, tf.stack([0, network.optimizer.iterations.value])))

        network.train_step = train_step
    blocks = batches.training_blocks(
        splits.train, batch_size=recipe.batch_size, seed=0, augmentation=augmentation
    )
    training = loop.Loop(network, blocks)
    for epoch in range(epochs + 1):
        if epoch == 1:
            began = time.perf_counter()
        done = 0
        while done < steps:
            done += training.run(steps - done)[0]
    return epochs * steps * recipe.batch_size / (time.perf_counter() - began)


def measured(name: str, epochs: int, examples: int, changes: dict) -> float:
    """Run an arm in a process of its own."""
    variables = {key: value for key, value in changes.items() if key.isupper()}
    keywords = {key: value for key, value in changes.items() if not key.isupper()}
    call = f"samples_per_second({name!r}, {epochs}, {examples}, **{keywords!r})"
    code = f"from settings import *; print({call})"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, env={**os.environ, **variables},
        check=True, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    return float(ran.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pipeline", nargs="?", default="lenet5")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4, help="epochs that count")
    parser.add_argument("--examples", type=int, default=16_384, help="of an epoch")
    parser.add_argument("--arms", help="only those whose name contains this, and the first")
    values = parser.parse_args()
    arms = {name: arm for name, arm in ARMS.items() if not arm or (values.arms or "") in name}
    speeds = {name: [] for name in arms}
    for _ in range(values.rounds):
        for name, changes in arms.items():
            speeds[name].append(measured(values.pipeline, values.epochs, values.examples, changes))
    base = speeds["as shipped"]
    print(f"{values.pipeline:<50}{'samples/s':>10}  ratio, median (lowest to highest)")
    for name, found in speeds.items():
        ratios = [value / reference for value, reference in zip(found, base, strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name:<50}{statistics.median(found):>10,.0f}  {spread}")


if __name__ == "__main__":
    main()
