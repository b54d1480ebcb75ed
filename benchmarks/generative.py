"""How fast generative networks train: kerasdl and PyTorch on the same batches, in one interleaved run.

    python benchmarks/generative.py [--networks vae,gan,flow] [--rounds 3] [--steps 30] [--single]

Every arm trains on random images of 28x28 pixels, 64 at a time, by Adam, with new noise in each step:

* vae: the default `VAE` (2x200 units, 50 latents), with pixels drawn black or white;
* gan: the DCGAN of `kerasdl train gan`, non-saturating, both players updated once in a step;
* flow: a U-Net of `FlowMatching` with 32 and 64 channels, told the class.

Each arm of each round is a process of its own, in an order that is drawn anew each round; the median of all
steps but the first ten counts. kerasdl runs several steps in one call of the device, as it trains runs (those
of about 0.1 s); `--single` lets it run one. PyTorch runs as it is written (eager) and compiled.
"""

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

BATCH, CLASSES, LATENTS, KERNEL, WARM_UP, BLOCK = 64, 10, 64, 4, 10, 30
FILTERS, WIDTHS, CONDITION, GROUPS = (32, 64), (32, 64), 64, 8
ARMS = ("kerasdl", "torch", "torch-compiled")


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Return random images (BATCH, 28, 28, 1), uint8, and their classes (BATCH,), int32."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, 28, 28, 1)).astype(np.uint8)
    return images, rng.integers(0, CLASSES, BATCH).astype(np.int32)


def kerasdl_step(kind: str, most: int) -> Callable[[], int]:
    """Return a function that runs training steps of a network as a run does, and returns how many."""
    from kerasdl import environment

    environment.import_tensorflow()
    import keras
    import tensorflow as tf

    from kerasdl import GAN, VAE, Config, Digits, FlowMatching, Generation, Recipe
    from kerasdl.data.dataset import DataSpec, Spec
    from kerasdl.training.build import compile_network
    from kerasdl.training.loop import Loop

    model = {
        "vae": Config(VAE),
        "gan": Config(GAN, latent_size=LATENTS, filters=FILTERS, kernel_size=KERNEL),
        "flow": Config(FlowMatching, widths=WIDTHS, conditional=True),
    }[kind]
    task, names = Generation(), tuple(map(str, range(CLASSES)))
    spec = DataSpec(Spec((28, 28, 1), "uint8"), Spec((), "int32", names))
    network = model.build(**task.network_arguments(spec))
    network.create_weights(keras.KerasTensor((None, 28, 28, 1), "uint8"))
    recipe = Recipe(
        model=model, data=Digits(), task=task, optimizer="adam", schedule="constant", batch_size=BATCH
    )
    compile_network(network, recipe, spec, steps_per_epoch=1000, seed=0)
    block = tuple(np.stack([array] * BLOCK) for array in batch())
    loop = Loop(network, tf.data.Dataset.from_tensors(block).repeat())
    return lambda: loop.run(most)[0]


def torch_vae():
    """Return networks, each with its loss, of a VAE."""
    import torch
    from torch import nn
    from torch.nn import functional

    network = nn.ModuleDict(
        {
            "encoder": nn.Sequential(
                nn.Linear(784, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh(), nn.Linear(200, 100)
            ),
            "decoder": nn.Sequential(
                nn.Linear(50, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh(), nn.Linear(200, 784)
            ),
        }
    )
    raw = torch.tensor(batch()[0]).flatten(1)

    def loss():
        pixels = raw.float() / 255
        seen = (torch.rand_like(pixels) < pixels).float()
        mean, log_variance = network["encoder"](seen).chunk(2, 1)
        latents = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        logits = network["decoder"](latents)
        distortion = functional.binary_cross_entropy_with_logits(logits, seen, reduction="sum")
        rate = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
        return (distortion + rate) / BATCH

    return [(network, loss)]


def torch_gan():
    """Return discriminator and generator, each with its loss."""
    import torch
    from torch import nn
    from torch.nn import functional

    first, last = FILTERS
    generator = nn.Sequential(
        nn.Linear(LATENTS, 49 * last, bias=False), nn.Unflatten(1, (last, 7, 7)),
        nn.BatchNorm2d(last), nn.ReLU(),
        nn.ConvTranspose2d(last, first, KERNEL, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU(),
        nn.ConvTranspose2d(first, 1, KERNEL, 2, 1), nn.Tanh(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        nn.Conv2d(1, first, KERNEL, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(first, last, KERNEL, 2, 1, bias=False), nn.BatchNorm2d(last), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(49 * last, 1),
    )  # fmt: skip
    raw = torch.tensor(batch()[0].transpose(0, 3, 1, 2))

    def discriminator_loss():
        real = discriminator(raw.float() / 127.5 - 1)
        fake = discriminator(generator(torch.randn(BATCH, LATENTS)).detach())
        return functional.softplus(-real).mean() + functional.softplus(fake).mean()

    def generator_loss():
        return functional.softplus(-discriminator(generator(torch.randn(BATCH, LATENTS)))).mean()

    return [(discriminator, discriminator_loss), (generator, generator_loss)]


def torch_flow():
    """Return a U-Net with its loss."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs, filters):
            super().__init__()
            self.norms = nn.ModuleList([nn.GroupNorm(GROUPS, inputs), nn.GroupNorm(GROUPS, filters)])
            self.first = nn.Conv2d(inputs, filters, 3, padding=1)
            self.modulation = nn.Linear(CONDITION, 2 * filters)
            self.second = nn.Conv2d(filters, filters, 3, padding=1)
            self.shortcut = nn.Conv2d(inputs, filters, 1) if inputs != filters else nn.Identity()

        def forward(self, x, condition):
            scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, 1)
            y = self.first(nn.functional.silu(self.norms[0](x)))
            y = self.second(nn.functional.silu(self.norms[1](y) * (1 + scale) + shift))
            return y + self.shortcut(x)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.time = nn.Sequential(nn.Linear(32, CONDITION), nn.SiLU(), nn.Linear(CONDITION, CONDITION))
            self.label = nn.Linear(CLASSES, CONDITION, bias=False)
            self.stem = nn.Conv2d(1, WIDTHS[0], 4, 2, 1)
            upper, last = WIDTHS[:-1], WIDTHS[-1]
            self.down = nn.ModuleList([Block(width, width) for width in upper])
            pairs = list(itertools.pairwise(WIDTHS))
            self.halve = nn.ModuleList([nn.Conv2d(a, b, 3, 2, 1) for a, b in pairs])
            self.lowest = nn.ModuleList([Block(last, last), Block(last, last)])
            self.grow = nn.ModuleList(
                [nn.Sequential(nn.Conv2d(b, 4 * a, 1), nn.PixelShuffle(2)) for a, b in pairs]
            )
            self.up = nn.ModuleList([Block(2 * width, width) for width in upper])
            self.head = nn.Sequential(
                nn.GroupNorm(GROUPS, WIDTHS[0]), nn.SiLU(), nn.Conv2d(WIDTHS[0], 4, 3, padding=1),
                nn.PixelShuffle(2),
            )  # fmt: skip

        def forward(self, x, times, classes):
            angles = times[:, None] * torch.exp(torch.linspace(0, float(np.log(100)), 16))
            condition = self.time(torch.cat([angles.sin(), angles.cos()], 1)) + self.label(classes)
            condition = nn.functional.silu(condition)
            x, beside = self.stem(x), []
            for block, halve in zip(self.down, self.halve, strict=True):
                x = block(x, condition)
                beside.append(x)
                x = halve(x)
            for block in self.lowest:
                x = block(x, condition)
            for block, grow in zip(reversed(self.up), reversed(self.grow), strict=True):
                x = block(torch.cat([grow(x), beside.pop()], 1), condition)
            return self.head(x)

    network = Network()
    images, labels = (torch.tensor(array) for array in batch())
    images = images.permute(0, 3, 1, 2)
    classes = nn.functional.one_hot(labels.long(), CLASSES).float()

    def loss():
        whole = images.float() / 127.5 - 1
        noise, times = torch.randn_like(whole), torch.rand(BATCH)
        kept = (torch.rand(BATCH, 1) >= 0.1).float()
        share = times[:, None, None, None]
        found = network((1 - share) * noise + share * whole, times, classes * kept)
        return (found - (whole - noise)).square().mean()

    return [(network, loss)]


def torch_step(kind: str, compiled: bool) -> Callable[[], int]:
    """Return a function that runs one training step of the same networks in PyTorch, and returns 1."""
    import torch

    players = {"vae": torch_vae, "gan": torch_gan, "flow": torch_flow}[kind]()
    optimizers = [torch.optim.Adam(network.parameters(), fused=True) for network, _ in players]
    losses = [torch.compile(loss) if compiled else loss for _, loss in players]

    def step():
        for (network, _), optimizer, loss in zip(players, optimizers, losses, strict=True):
            for other, _ in players:
                other.requires_grad_(other is network)
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
        return 1

    return step


def measure(arm: str, kind: str, steps: int, most: int) -> list[float]:
    """Return the seconds of each step of an arm, warm; of several in one call their mean."""
    step = kerasdl_step(kind, most) if arm == "kerasdl" else torch_step(kind, arm == "torch-compiled")
    seconds: list[float] = []
    while len(seconds) < steps + WARM_UP:
        began = time.perf_counter()
        count = step()
        seconds += [(time.perf_counter() - began) / count] * count
    return seconds[WARM_UP:]


def main() -> None:
    """Run all arms and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", default="vae,gan,flow")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--single", action="store_true", help="one step in a call of kerasdl's loop")
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    values = parser.parse_args()
    if values.arm:
        most = 1 if values.single else BLOCK
        print(json.dumps(measure(values.arm, values.networks, values.steps, most)))
        return
    for kind in values.networks.split(","):
        found: dict[str, list[float]] = {arm: [] for arm in ARMS}
        for _ in range(values.rounds):
            for arm in random.sample(ARMS, len(ARMS)):
                command = [sys.executable, __file__, "--arm", arm, "--networks", kind,
                           "--steps", str(values.steps), *["--single"] * values.single]  # fmt: skip
                ran = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True)
                found[arm] += json.loads(ran.stdout.splitlines()[-1])
        medians = {arm: 1000 * statistics.median(times) for arm, times in found.items()}
        shown = "  ".join(f"{arm} {value:.1f} ms" for arm, value in medians.items())
        ratios = [f"{medians[arm] / medians['kerasdl']:.2f} times as fast as {arm}" for arm in ARMS[1:]]
        print(f"{kind}: {shown}  kerasdl is {', '.join(ratios)}", flush=True)


if __name__ == "__main__":
    main()
