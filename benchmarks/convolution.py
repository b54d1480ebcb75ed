"""The gradient of a 3x3 kernel in bfloat16: oneDNN's own against the product of `kerasdl.layers.Conv2D`.

    python benchmarks/convolution.py [--rounds 7]

One line for each kind of layer that VGG-16 has at a batch of 64 images of 32x32. Milliseconds of the whole
layer, forward and backward; the ways take turns, the fastest round counts.
"""

import argparse
import time

from kerasdl import environment

environment.import_tensorflow()

import keras  # noqa: E402
import machine  # noqa: E402
import tensorflow as tf  # noqa: E402

from kerasdl.layers import convolution  # noqa: E402

_LAYERS = ((32, 64), (16, 128), (8, 256), (4, 512), (2, 512))  # pixels a side, channels
_BATCH_SIZE = 64


def steps(size: int, channels: int, policy: str) -> dict[str, tf.types.experimental.GenericFunction]:
    """Return what runs a layer forward and backward, by the way its kernel's gradient is computed."""
    images = tf.random.normal((_BATCH_SIZE, size, size, channels))
    found = {}
    for name, most in (("oneDNN", 0), ("product", size * size)):
        layer = convolution.Conv2D(channels, 3, padding="same", use_bias=False, dtype=policy)
        layer.build(images.shape)
        convolution._PRODUCT_TO = most  # read when the function is traced, now

        @tf.function(autograph=False)
        def step(layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(images)
                total = tf.reduce_sum(tf.cast(layer(images), "float32"))
            return tape.gradient(total, [images, layer.kernel.value])

        step()
        found[name] = step
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    for name, text in machine.describe().items():
        print(f"{name}: {text}")
    print("\n| images | channels | oneDNN, ms | product, ms | ratio |\n|---|---|---|---|---|")
    for size, channels in _LAYERS:
        keras.utils.set_random_seed(0)
        ways, seconds = steps(size, channels, "mixed_bfloat16"), {}
        for _ in range(rounds):
            for name, step in ways.items():
                began = time.perf_counter()
                _ = [gradient.numpy() for gradient in step()]
                seconds[name] = min(seconds.get(name, float("inf")), time.perf_counter() - began)
        native, product = (1000 * seconds[name] for name in ("oneDNN", "product"))
        print(
            f"| {size}x{size} | {channels} | {native:.1f} | {product:.1f} | {native / product:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
