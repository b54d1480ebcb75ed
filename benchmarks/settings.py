"""What single settings of a LeNet-5 training cost or gain, as ratios to the recipe as it ships.

    python benchmarks/settings.py [--rounds 3]

Arms run in turn within one process, each on MNIST-shaped random images; the second of two epochs counts.
"""

import argparse
import dataclasses
import statistics
import time

from kerasdl import environment

environment.import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402

from kerasdl import building, catalog  # noqa: E402
from kerasdl.data import order  # noqa: E402
from kerasdl.data.splits import ArraySplit, Spec, Splits  # noqa: E402
from kerasdl.optimizers import make_optimizer  # noqa: E402

EXAMPLES = 16_384


def data() -> Splits:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (EXAMPLES, 28, 28, 1)).astype(np.uint8)
    split = ArraySplit(images, rng.integers(0, 10, EXAMPLES).astype(np.int32))
    names = tuple(map(str, range(10)))
    return Splits(split, split, split, Spec((28, 28, 1), "uint8"), Spec((), "int32"), names, "random")


def samples_per_second(recipe, splits, steps_per_execution=None, optimizer=None) -> float:
    steps = order.steps_per_epoch(splits.train, recipe.batch_size)
    network = building.make_network(recipe, splits, building.make_preprocessing(recipe, splits))
    network.compile(
        optimizer=optimizer or make_optimizer(recipe, steps),
        loss=recipe.task.loss(),
        metrics=recipe.task.metrics(),
        steps_per_execution=steps_per_execution or building.steps_per_execution(network, steps),
    )
    batches = order.training_batches(
        splits.train, batch_size=recipe.batch_size, seed=0, augmentation=recipe.augmentation
    )
    began = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            began.append(time.perf_counter())

    network.fit(batches, steps_per_epoch=steps, epochs=2, shuffle=False, verbose=0, callbacks=[Clock()])
    return steps * recipe.batch_size / (time.perf_counter() - began[1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    recipe, splits = catalog.load("lenet5")[0], data()
    plain = dataclasses.replace(recipe, augmentation=None)
    arms = {
        "as shipped": lambda: samples_per_second(recipe, splits),
        "one step per execution": lambda: samples_per_second(recipe, splits, steps_per_execution=1),
        "no augmentation": lambda: samples_per_second(plain, splits),
        "batch size 128": lambda: samples_per_second(dataclasses.replace(recipe, batch_size=128), splits),
        "Keras's AdamW (no test for finite gradients)": lambda: samples_per_second(
            recipe, splits, optimizer=keras.optimizers.AdamW(2e-3)
        ),
    }
    speeds = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            speeds[name].append(arm())
    base = speeds["as shipped"]
    print(f"{'arm':<46}{'samples/s':>10}  ratio, median (lowest to highest)")
    for name, values in speeds.items():
        ratios = [value / reference for value, reference in zip(values, base, strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name:<46}{statistics.median(values):>10,.0f}  {spread}")


if __name__ == "__main__":
    main()
