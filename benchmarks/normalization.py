"""Batch normalisation: Keras's layer against kerasdl's, alone and in a small residual network.

    python benchmarks/normalization.py [--rounds 11] [--small] [--dtype float32]

One layer: forward and backward, with the update of the moving statistics, and inference. Then one network
of seven normalised convolutions: a training step of SGD with momentum, and inference with the batch size left
open, as in an exported file. The two arms take turns within each round; the ratio (above 1: kerasdl's is
faster) is the median over the rounds, with its quartiles in brackets.

`--small` adds the sizes around 2**17 elements, from which kerasdl's layer trains by the fused kernel, and
takes that kernel at all of them.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable

from kerasdl import environment

environment.import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import ops  # noqa: E402

from kerasdl import layers  # noqa: E402

SHAPES = ((128, 32, 32, 16), (128, 16, 16, 32), (128, 8, 8, 64), (128, 32, 32, 64))
SMALL = (
    (1, 8, 8, 4), (128, 8, 8, 4), (128, 8, 8, 8), (128, 8, 8, 16), (16, 8, 8, 64), (32, 8, 8, 64),
    (128, 2, 2, 256), (128, 64), (128, 512), (128, 1024), (128, 4096), (64, 20, 64), (64, 100, 32),
    (64, 200, 128), (8, 8, 16, 16, 16),
)  # fmt: skip
LAYERS = (keras.layers.BatchNormalization, layers.BatchNormalization)
SECONDS = 0.1  # of one arm in one round, about


class Block(keras.layers.Layer):
    """Two convolutions, each normalised, around which the input goes."""

    def __init__(self, normalization, channels: int, stride: int):
        super().__init__()
        self.first, self.second = convolution(channels, 3, stride), convolution(channels, 3)
        self.first_norm, self.second_norm = normalization(), normalization()
        self.around = convolution(channels, 1, stride) if stride > 1 else None

    def call(self, x, training=False):
        y = ops.relu(self.first_norm(self.first(x), training=training))
        y = self.second_norm(self.second(y), training=training)
        return ops.relu(y + (x if self.around is None else self.around(x)))


class Residual(keras.Model):
    """ResNet-8 for images of 32x32: 16, 32 and 64 channels, one block each."""

    def __init__(self, normalization):
        super().__init__()
        self.first, self.norm = convolution(16, 3), normalization()
        self.blocks = [Block(normalization, channels, 1 + (channels > 16)) for channels in (16, 32, 64)]
        self.pool, self.head = keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10, dtype="float32")

    def call(self, images, training=False):
        x = ops.relu(self.norm(self.first(images), training=training))  # (B, 32, 32, 16)
        for block in self.blocks:
            x = block(x, training=training)  # (B, 8, 8, 64) in the end
        return self.head(self.pool(x))  # (B, 10)


def convolution(channels: int, size: int, stride: int = 1) -> keras.Layer:
    return keras.layers.Conv2D(channels, size, stride, padding="same", use_bias=False)


def layer_calls(kind, shape: tuple[int, ...]) -> dict[str, Callable]:
    """Return what is timed of one layer, each four times in a row, so that starting it hardly counts."""
    layer = kind()
    layer.build(shape)
    inputs, gradient = (tf.cast(tf.random.normal(shape), layer.compute_dtype) for _ in range(2))

    @tf.function
    def train(x=inputs):
        for _ in range(4):
            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs = layer(x, training=True)
            x, *slopes = tape.gradient(outputs, [x, layer.gamma.value, layer.beta.value], gradient)
            for weight, slope in zip(layer.trainable_variables, slopes, strict=True):
                weight.assign_sub(1e-6 * slope)
        return x

    @tf.function
    def infer(x=inputs):
        for _ in range(4):
            x = layer(x, training=False)
        return x

    return {"forward and backward": train, "inference": infer}


def network_calls(kind) -> dict[str, Callable]:
    """Return a training step at batch 128, and inference at batch 1 and 128 with the batch size left open."""
    network = Residual(kind)
    images, labels = tf.random.normal((128, 32, 32, 3)), tf.random.uniform((128,), 0, 10, tf.int32)
    network(images)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(network.trainable_variables)

    @tf.function
    def train():
        with tf.GradientTape() as tape:
            loss = ops.mean(
                keras.losses.sparse_categorical_crossentropy(labels, network(images, training=True), True)
            )
        optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
        return loss

    infer = tf.function(network.call, input_signature=[tf.TensorSpec((None, 32, 32, 3))])
    return {
        "training step, batch 128": train,
        "inference, batch 1": lambda: infer(images[:1]),
        "inference, batch 128": lambda: infer(images),
    }


def show(what: str, arms: tuple[Callable, Callable], rounds: int, calls: int = 1) -> None:
    """Time the two arms in turns and print a line: milliseconds of one of `calls` calls, and the ratio."""
    for arm in arms * 2:
        arm().numpy()
    times = max(1, round(SECONDS / seconds(arms[0], 1)))
    pairs = []
    for number in range(rounds):  # the arm that goes first changes
        first, second = (seconds(arm, times) for arm in arms[:: -1 if number % 2 else 1])
        pairs.append((second, first) if number % 2 else (first, second))
    low, middle, high = statistics.quantiles((theirs / ours for theirs, ours in pairs), n=4)
    theirs, ours = (statistics.median(column) * 1e3 / calls for column in zip(*pairs, strict=True))
    print(f"{what:<56}{theirs:>9.3f}{ours:>9.3f}{middle:>7.2f}  ({low:.2f} to {high:.2f})", flush=True)


def seconds(arm: Callable, times: int) -> float:
    """Time one call of an arm, the mean of several."""
    began = time.perf_counter()
    for _ in range(times):
        outputs = arm()
    outputs.numpy()  # the last one is done when it can be read
    return (time.perf_counter() - began) / times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--dtype", default="float32", help="a Keras dtype policy: mixed_bfloat16")
    values = parser.parse_args()
    keras.config.set_dtype_policy(values.dtype)
    if values.small:
        layers.normalization._FUSED_FROM = 0
    print(f"{'':<56}{'keras ms':>9}{'kerasdl':>9}{'ratio':>7}  (quartiles of {values.rounds} rounds)")
    for shape in SHAPES + SMALL * values.small:
        both = [layer_calls(kind, shape) for kind in LAYERS]
        for what in both[0]:
            name = f"{' x '.join(map(str, shape))}, {what}"
            if values.small:
                name = f"2**{math.log2(math.prod(shape)):.1f}  {name}"
            show(name, tuple(calls[what] for calls in both), values.rounds, calls=4)
    both = [network_calls(kind) for kind in LAYERS]
    for what in both[0]:
        show(f"ResNet-8, {what}", tuple(calls[what] for calls in both), values.rounds)


if __name__ == "__main__":
    main()
