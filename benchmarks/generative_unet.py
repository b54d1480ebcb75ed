"""How fast flow matching trains: kerasdl and PyTorch on the same batches, in one interleaved run.

    python benchmarks/generative_unet.py [--widths 32,64 --widths 48,96] [--rounds 3] [--steps 20]

Every arm trains the U-Net of `FlowMatching`, told the class, on the same 128 images of 28x28x1 by AdamW:
noise and times are drawn in the step. Each arm of each round is a process of its own, in an order that is
drawn anew each round; the median of all steps but the first five counts.
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

_BATCH, _SIDE, _CLASSES, _CONDITION, _GROUPS = 128, 28, 10, 64, 8
_WARM_UP = 5
ARMS = ("kerasdl", "torch", "torch-compiled")


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Return images (128, 28, 28, 1), 0 to 255, and classes (128,)."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (_BATCH, _SIDE, _SIDE, 1)).astype(np.uint8)
    return images, rng.integers(0, _CLASSES, _BATCH)


def kerasdl_step(widths: tuple[int, ...]) -> Callable[[], None]:
    """Return a function that runs one training step of `FlowMatching`."""
    from kerasdl import environment

    environment.import_tensorflow()
    import keras
    import tensorflow as tf

    from kerasdl import Config, Digits, FlowMatching, Generation, Recipe
    from kerasdl.data.dataset import DataSpec, Spec
    from kerasdl.training.build import compile_network
    from kerasdl.training.loop import Loop

    model, task = Config(FlowMatching, widths=widths, conditional=True), Generation()
    names = tuple(map(str, range(_CLASSES)))
    spec = DataSpec(Spec((_SIDE, _SIDE, 1), "uint8"), Spec((), "int32", names))
    network = model.build(**task.network_arguments(spec))
    images, labels = batch()
    network.create_weights(keras.KerasTensor((None, _SIDE, _SIDE, 1), "uint8"))
    recipe = Recipe(model=model, data=Digits(), task=task, optimizer="adamw", schedule="constant")
    compile_network(network, recipe, spec, steps_per_epoch=1000, seed=0)
    block = (images[None], labels[None].astype(np.int32))
    loop = Loop(network, tf.data.Dataset.from_tensors(block).repeat())
    return lambda: loop.run(1)


def torch_step(widths: tuple[int, ...], compiled: bool) -> Callable[[], None]:
    """Return a function that runs one training step of the same network in PyTorch."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs, filters):
            super().__init__()
            self.norms = nn.ModuleList([nn.GroupNorm(_GROUPS, inputs), nn.GroupNorm(_GROUPS, filters)])
            self.first = nn.Conv2d(inputs, filters, 3, padding=1)
            self.modulation = nn.Linear(_CONDITION, 2 * filters)
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
            self.time = nn.Sequential(nn.Linear(32, _CONDITION), nn.SiLU(), nn.Linear(_CONDITION, _CONDITION))
            self.label = nn.Linear(_CLASSES, _CONDITION, bias=False)
            self.stem = nn.Conv2d(1, widths[0], 4, 2, 1)
            upper, last = widths[:-1], widths[-1]
            self.down = nn.ModuleList([Block(width, width) for width in upper])
            pairs = list(itertools.pairwise(widths))
            self.halve = nn.ModuleList([nn.Conv2d(a, b, 3, 2, 1) for a, b in pairs])
            self.lowest = nn.ModuleList([Block(last, last), Block(last, last)])
            self.grow = nn.ModuleList(
                [nn.Sequential(nn.Conv2d(b, 4 * a, 1), nn.PixelShuffle(2)) for a, b in pairs]
            )
            self.up = nn.ModuleList([Block(2 * width, width) for width in upper])
            self.head = nn.Sequential(
                nn.GroupNorm(_GROUPS, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], 4, 3, padding=1),
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
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    images, labels = (torch.tensor(array) for array in batch())
    images, classes = images.permute(0, 3, 1, 2), nn.functional.one_hot(labels, _CLASSES).float()

    def loss():
        whole = images.float() / 127.5 - 1
        noise, times = torch.randn_like(whole), torch.rand(_BATCH)
        kept = (torch.rand(_BATCH, 1) >= 0.1).float()
        share = times[:, None, None, None]
        found = network((1 - share) * noise + share * whole, times, classes * kept)
        return (found - (whole - noise)).square().mean()

    loss = torch.compile(loss) if compiled else loss

    def step():
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def measure(arm: str, widths: tuple[int, ...], steps: int) -> list[float]:
    """Return the seconds of each step of an arm, warm."""
    step = kerasdl_step(widths) if arm == "kerasdl" else torch_step(widths, compiled=arm == "torch-compiled")
    seconds = []
    for _ in range(steps + _WARM_UP):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return seconds[_WARM_UP:]


def main() -> None:
    """Run all arms and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--widths", action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    values = parser.parse_args()
    for widths in values.widths or ["32,64"]:
        if values.arm:
            print(json.dumps(measure(values.arm, tuple(map(int, widths.split(","))), values.steps)))
            return
        arms = values.arms.split(",")
        found: dict[str, list[float]] = {arm: [] for arm in arms}
        for _ in range(values.rounds):
            for arm in random.sample(arms, len(arms)):
                command = [sys.executable, __file__, "--arm", arm, "--widths", widths,
                           "--steps", str(values.steps)]  # fmt: skip
                ran = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True)
                found[arm] += json.loads(ran.stdout.splitlines()[-1])
        medians = {arm: 1000 * statistics.median(times) for arm, times in found.items()}
        ratios = {arm: value / medians["kerasdl"] for arm, value in medians.items() if arm != "kerasdl"}
        shown = "  ".join(f"{arm} {value:.1f} ms" for arm, value in medians.items())
        told = ", ".join(f"{ratio:.2f} times as fast as {arm}" for arm, ratio in ratios.items())
        print(f"{widths}: {shown}  kerasdl is {told}", flush=True)


if __name__ == "__main__":
    main()
