"""One arm of `training.py` in a process of its own: trains, and prints one JSON document.

    python benchmarks/training_arms.py ARM SETTINGS

`SETTINGS` is the JSON object that `training.py` makes (`Settings`). An epoch lasts from its begin to the
begin of the next one, so that whatever happens between two epochs counts; the first one (tracing, warming up)
is trained but not counted.
"""

import dataclasses
import itertools
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What every arm of a network trains, and in which variant.

    Attributes:
        data: .npz file with x_train (N, H, W, C) uint8, y_train (N,) int32, and small x_val, x_test.
        examples: training images of an epoch, a multiple of the batch size.
        optimizer: "adamw" or "sgd" (momentum 0.9).
        precision: "float32", or "bfloat16": of the layers, with weights and loss in float32.
        weight_decay: decoupled, of kernels only; 0 for sgd, which PyTorch has no decoupled one of.
        seed: of weights, order and dropout.
        variant: what an arm that tries several settings does; see `training.ARMS`.
    """

    network: str
    data: str
    examples: int
    epochs: int
    batch_size: int
    optimizer: str
    precision: str
    learning_rate: float
    weight_decay: float
    dropout: float
    seed: int
    variant: dict = dataclasses.field(default_factory=dict)


class Clock:
    """Notes when epochs begin, and how long validation's own forward passes take."""

    def __init__(self):
        self.began: list[float] = []
        self.tests: list[float] = []

    def epoch(self) -> None:
        """An epoch begins, or the last one has ended."""
        self.began.append(time.perf_counter())
        self.tests.append(0.0)

    def test(self, sign: int) -> None:
        """Validation begins (-1) or has ended (1): its seconds are not training's."""
        self.tests[-1] += sign * time.perf_counter()

    def seconds(self) -> list[float]:
        """Return the seconds of each epoch but the first."""
        pairs = itertools.pairwise(self.began)
        return [end - begin - test for (begin, end), test in zip(pairs, self.tests, strict=False)][1:]


def load(settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Return the training images (N, H, W, C) uint8 and labels (N,) int32."""
    with np.load(settings.data) as arrays:
        return arrays["x_train"][: settings.examples], arrays["y_train"][: settings.examples]


def train_keras(settings: Settings) -> tuple[list[float], float]:
    """Train with `keras.Model.fit`; return the seconds of the epochs and the loss of the last one.

    Variant: `steps_per_execution`, `jit_compile`, `cache` (of the examples), `autotune` (of tf.data).
    """
    import keras
    import tensorflow as tf
    from keras_networks import network as keras_network

    variant = {"autotune": True, "cache": False, **settings.variant}
    keras.utils.set_random_seed(settings.seed)
    dataset = tf.data.Dataset.from_tensor_slices(load(settings))
    if variant["cache"]:
        dataset = dataset.cache()
    dataset = dataset.shuffle(10_000).batch(settings.batch_size)
    if variant["autotune"]:
        dataset = dataset.prefetch(tf.data.AUTOTUNE)
    else:
        options = tf.data.Options()
        options.autotune.enabled = False
        dataset = dataset.prefetch(4).with_options(options)
    rate = settings.learning_rate
    if settings.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    else:
        optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    if settings.precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    network, clock = keras_network(settings.network, settings.dropout), Clock()
    network.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        **{key: variant[key] for key in ("steps_per_execution", "jit_compile") if key in variant},
    )
    hook = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: clock.epoch())
    history = network.fit(dataset, epochs=1 + settings.epochs, verbose=0, callbacks=[hook])
    clock.epoch()
    return clock.seconds(), history.history["loss"][-1]


def train_kerasdl(settings: Settings) -> tuple[list[float], float]:
    """Train with `kerasdl.jobs.train.train`, everything on; return the same."""
    import networks
    from rich.console import Console

    import kerasdl
    from kerasdl.data.npz.source import Npz
    from kerasdl.recipe import recipe as recipes

    recipe = networks.recipe(settings.network)  # imports TensorFlow, quietly
    from kerasdl.training.callbacks.position import Position

    recipe = recipes.replace(
        recipe,
        data=Npz(path=settings.data),
        model=recipe.model.replace(dropout=settings.dropout),
        epochs=1 + settings.epochs,
        limit_train_batches=settings.examples // settings.batch_size,
        batch_size=settings.batch_size,
        optimizer=settings.optimizer,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        precision="mixed_bfloat16" if settings.precision == "bfloat16" else "float32",
        schedule="constant",
        warmup_epochs=0.0,
        seed=settings.seed,
    )
    clock = Clock()
    before = Position.on_epoch_begin

    def epoch_begins(position, epoch, logs=None):
        clock.epoch()
        before(position, epoch, logs)

    Position.on_epoch_begin = epoch_begins  # the first callback: the clock stands before all others
    Position.on_train_end = lambda position, logs=None: clock.epoch()
    Position.on_test_begin = lambda position, logs=None: clock.test(-1)
    Position.on_test_end = lambda position, logs=None: clock.test(1)
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        result = kerasdl.train(recipe, runs_dir=folder, export=False, console=Console(file=nowhere))
        lines = (result.run.path / "history.csv").read_text().splitlines()
    last = dict(zip(lines[0].split(","), lines[-1].split(","), strict=True))
    return clock.seconds(), float(last["loss"])


def train_torch(settings: Settings) -> tuple[list[float], float]:
    """Train with PyTorch; return the same.

    Variant: `channels_last`, `compile` ("network", or "loss": network and loss together), `fused` or
    `foreach` (of the optimizer).
    """
    import torch
    from torch.nn import functional
    from torch_networks import initialize_like_keras, twin

    variant = settings.variant
    torch.manual_seed(settings.seed)
    images, labels = (torch.from_numpy(array) for array in load(settings))
    images, labels = images.permute(0, 3, 1, 2).contiguous(), labels.long()  # (N, C, H, W)
    network = initialize_like_keras(twin(settings.network, settings.dropout), settings.seed)
    layout = torch.channels_last if variant.get("channels_last") else torch.contiguous_format
    network = network.to(memory_format=layout).train()
    optimizer = _torch_optimizer(settings, network)

    def forward(x, y):
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.precision == "bfloat16"):
            logits = network(x)
        logits = logits.float()
        return logits, functional.cross_entropy(logits, y)

    if variant.get("compile") == "network":
        network = torch.compile(network)
    elif variant.get("compile") == "loss":
        forward = torch.compile(forward)
    clock, loss = Clock(), 0.0
    for _ in range(1 + settings.epochs):
        clock.epoch()
        total, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        order = torch.randperm(len(images))
        for index in order.split(settings.batch_size):
            x, y = images[index].to(torch.float32, memory_format=layout).div_(255), labels[index]
            logits, batch_loss = forward(x, y)
            optimizer.zero_grad()
            batch_loss.backward()
            optimizer.step()
            total += batch_loss.detach()
            right += (logits.detach().argmax(1) == y).sum()
        loss = float(total) * settings.batch_size / len(images)
    clock.epoch()
    return clock.seconds(), loss


def _torch_optimizer(settings: Settings, network):
    """Return the same update as Keras's: no decay of biases, the same epsilon."""
    import torch

    kind = {key: True for key in ("fused", "foreach") if settings.variant.get(key)}
    if settings.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), settings.learning_rate, momentum=0.9, **kind)
    kernels = [weight for weight in network.parameters() if weight.ndim > 1]
    biases = [weight for weight in network.parameters() if weight.ndim == 1]
    groups = [{"params": kernels, "weight_decay": settings.weight_decay}, {"params": biases}]
    return torch.optim.AdamW(groups, settings.learning_rate, eps=1e-7, weight_decay=0.0, **kind)


ARMS = {"keras": train_keras, "kerasdl": train_kerasdl, "torch": train_torch}


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    settings = Settings(**json.loads(sys.argv[2]))
    seconds, loss = ARMS[sys.argv[1]](settings)
    print(json.dumps({"seconds": seconds, "loss": loss}))


if __name__ == "__main__":
    main()
