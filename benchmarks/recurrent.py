"""How fast recurrent networks train: kerasdl and PyTorch on the same batches, in one interleaved run.

    python benchmarks/recurrent.py [--cells lstm,gru] [--units 64,128,256] [--rounds 3] [--steps 30]

Every arm trains an embedding of 64 numbers, a recurrent layer over 200 steps, the highest value of each unit
over time and a linear head, on 64 random texts without padding, by AdamW. Each arm of each round is a process
of its own, in an order that is drawn anew each round; the median of all steps but the first ten counts.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

_BATCH, _STEPS, _WORDS, _EMBEDDING, _CLASSES = 64, 200, 10_000, 64, 2
_WARM_UP = 10
ARMS = ("kerasdl", "torch", "torch-compiled")


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of words (64, 200) and classes (64,)."""
    rng = np.random.default_rng(0)
    return rng.integers(2, _WORDS, (_BATCH, _STEPS)), rng.integers(0, _CLASSES, _BATCH)


def kerasdl_step(cell: str, units: int) -> Callable[[], None]:
    """Return a function that runs one training step of `RecurrentNetwork`."""
    from kerasdl import environment

    environment.import_tensorflow()
    import tensorflow as tf

    from kerasdl import Classification, Config, Digits, Recipe, RecurrentNetwork, SequencePreprocessing
    from kerasdl.data.dataset import DataSpec, Spec
    from kerasdl.training.build import compile_network
    from kerasdl.training.loop import Loop

    words = SequencePreprocessing(vocabulary=tuple(map(str, range(_WORDS - 2))))
    model = Config(RecurrentNetwork, cell=cell, units=units, embedding_size=_EMBEDDING, pooling="max")
    network = model.build(num_classes=_CLASSES, preprocessing=words)
    ids, classes = (array.astype(np.int32) for array in batch())
    network(ids[:2])
    recipe = Recipe(model=model, data=Digits(), task=Classification(), optimizer="adamw", schedule="constant")
    spec = DataSpec(Spec((), "string"), Spec((), "int32", ("a", "b")))
    compile_network(network, recipe, spec, steps_per_epoch=1000, seed=0)
    loop = Loop(network, tf.data.Dataset.from_tensors((ids[None], classes[None])).repeat())
    return lambda: loop.run(1)


def torch_step(cell: str, units: int, compiled: bool) -> Callable[[], None]:
    """Return a function that runs one training step of the same network in PyTorch."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(_WORDS, _EMBEDDING)
            kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
            self.recurrent = kind(_EMBEDDING, units, batch_first=True)
            self.head = torch.nn.Linear(units, _CLASSES)

        def forward(self, ids):
            return self.head(self.recurrent(self.embedding(ids))[0].amax(1))

    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    ids, classes = (torch.tensor(array) for array in batch())

    def loss():
        return torch.nn.functional.cross_entropy(network(ids), classes)

    loss = torch.compile(loss) if compiled else loss

    def step():
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def measure(arm: str, cell: str, units: int, steps: int) -> list[float]:
    """Return the seconds of each step of an arm, warm."""
    if arm == "kerasdl":
        step = kerasdl_step(cell, units)
    else:
        step = torch_step(cell, units, compiled=arm == "torch-compiled")
    seconds = []
    for _ in range(steps + _WARM_UP):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return seconds[_WARM_UP:]


def main() -> None:
    """Run all arms and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", default="lstm,gru")
    parser.add_argument("--units", default="64,128,256")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    values = parser.parse_args()
    if values.arm:
        print(json.dumps(measure(values.arm, values.cells, int(values.units), values.steps)))
        return
    for cell in values.cells.split(","):
        for units in values.units.split(","):
            found: dict[str, list[float]] = {arm: [] for arm in ARMS}
            for _ in range(values.rounds):
                for arm in random.sample(ARMS, len(ARMS)):
                    command = [sys.executable, __file__, "--arm", arm, "--cells", cell, "--units", units,
                               "--steps", str(values.steps)]  # fmt: skip
                    ran = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True)
                    found[arm] += json.loads(ran.stdout.splitlines()[-1])
            medians = {arm: 1000 * statistics.median(times) for arm, times in found.items()}
            ratio = min(medians["torch"], medians["torch-compiled"]) / medians["kerasdl"]
            shown = "  ".join(f"{arm} {value:.1f} ms" for arm, value in medians.items())
            print(
                f"{cell} {units}: {shown}  kerasdl {ratio:.2f} times as fast as the faster PyTorch",
                flush=True,
            )


if __name__ == "__main__":
    main()
