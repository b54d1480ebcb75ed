"""How fast GANs train: kerasdl and PyTorch on the same batches, in one interleaved run.

    python benchmarks/generative.py [--filters 32,64] [--batch-size 64] [--rounds 3] [--steps 30]

Every arm trains the DCGAN of `kerasdl train gan` on random images of 28x28 pixels, non-saturating, with
batch normalisation in both players: in a step each player is updated once by Adam, with new noise for each.
Each arm of each round is a process of its own, in an order that is drawn anew each round; the median of all
steps but the first ten counts. PyTorch runs as it is written (eager) and compiled.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

_LATENTS, _KERNEL, _WARM_UP = 64, 4, 10
ARMS = ("kerasdl", "torch", "torch-compiled")


def images(count: int) -> np.ndarray:
    """Return random images (count, 28, 28, 1), uint8."""
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1)).astype(np.uint8)


def kerasdl_step(filters: Sequence[int], batch_size: int) -> Callable[[], None]:
    """Return a function that runs one training step of `GAN`."""
    from kerasdl import environment

    environment.import_tensorflow()
    import keras
    import tensorflow as tf

    from kerasdl import GAN, Config, Digits, Generation, Recipe
    from kerasdl.data.dataset import DataSpec, Spec
    from kerasdl.training.build import compile_network
    from kerasdl.training.loop import Loop

    model = Config(GAN, latent_size=_LATENTS, filters=tuple(filters), kernel_size=_KERNEL)
    network = model.build()
    network.create_weights(keras.KerasTensor((None, 28, 28, 1), "uint8"))
    recipe = Recipe(
        model=model, data=Digits(), task=Generation(), optimizer="adam", schedule="constant",
        batch_size=batch_size,
    )  # fmt: skip
    spec = DataSpec(Spec((28, 28, 1), "uint8"), Spec((), "int32", ("a", "b")))
    compile_network(network, recipe, spec, steps_per_epoch=1000, seed=0)
    labels = np.zeros(batch_size, np.int32)
    loop = Loop(network, tf.data.Dataset.from_tensors((images(batch_size)[None], labels[None])).repeat())
    return lambda: loop.run(1)


def torch_step(filters: Sequence[int], batch_size: int, compiled: bool) -> Callable[[], None]:
    """Return a function that runs one training step of the same networks in PyTorch."""
    import torch
    from torch import nn
    from torch.nn import functional

    first, last = filters
    generator = nn.Sequential(
        nn.Linear(_LATENTS, 49 * last, bias=False), nn.Unflatten(1, (last, 7, 7)),
        nn.BatchNorm2d(last), nn.ReLU(),
        nn.ConvTranspose2d(last, first, _KERNEL, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU(),
        nn.ConvTranspose2d(first, 1, _KERNEL, 2, 1), nn.Tanh(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        nn.Conv2d(1, first, _KERNEL, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(first, last, _KERNEL, 2, 1, bias=False), nn.BatchNorm2d(last), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(49 * last, 1),
    )  # fmt: skip
    optimizers = [torch.optim.Adam(net.parameters(), fused=True) for net in (generator, discriminator)]
    raw = torch.tensor(images(batch_size).transpose(0, 3, 1, 2))

    def discriminator_loss():
        real = discriminator(raw.float() / 127.5 - 1)
        fake = discriminator(generator(torch.randn(batch_size, _LATENTS)).detach())
        return functional.softplus(-real).mean() + functional.softplus(fake).mean()

    def generator_loss():
        return functional.softplus(-discriminator(generator(torch.randn(batch_size, _LATENTS)))).mean()

    losses = [generator_loss, discriminator_loss]
    losses = [torch.compile(loss) for loss in losses] if compiled else losses

    def step():
        for player in (1, 0):
            for net in (generator, discriminator):
                net.requires_grad_(net is (generator, discriminator)[player])
            optimizers[player].zero_grad()
            losses[player]().backward()
            optimizers[player].step()

    return step


def measure(arm: str, filters: Sequence[int], batch_size: int, steps: int) -> list[float]:
    """Return the seconds of each step of an arm, warm."""
    if arm == "kerasdl":
        step = kerasdl_step(filters, batch_size)
    else:
        step = torch_step(filters, batch_size, compiled=arm == "torch-compiled")
    seconds = []
    for _ in range(steps + _WARM_UP):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return seconds[_WARM_UP:]


def main() -> None:
    """Run all arms and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--filters", default="32,64")
    parser.add_argument("--batch-size", default="64")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    values = parser.parse_args()
    if values.arm:
        filters = [int(size) for size in values.filters.split(",")]
        print(json.dumps(measure(values.arm, filters, int(values.batch_size), values.steps)))
        return
    found: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for _ in range(values.rounds):
        for arm in random.sample(ARMS, len(ARMS)):
            command = [sys.executable, __file__, "--arm", arm, "--filters", values.filters,
                       "--batch-size", values.batch_size, "--steps", str(values.steps)]  # fmt: skip
            ran = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True)
            found[arm] += json.loads(ran.stdout.splitlines()[-1])
    medians = {arm: 1000 * statistics.median(times) for arm, times in found.items()}
    shown = "  ".join(f"{arm} {value:.1f} ms" for arm, value in medians.items())
    ratios = ", ".join(f"{medians[arm] / medians['kerasdl']:.2f} times as fast as {arm}" for arm in ARMS[1:])
    print(f"{values.filters}, batches of {values.batch_size}: {shown}  kerasdl {ratios}")


if __name__ == "__main__":
    main()
