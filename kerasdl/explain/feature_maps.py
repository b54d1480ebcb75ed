"""Finds convolutions in any network by watching it answer: nothing has to be a functional graph."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasdl.private.keras import all_parts_of

_PROBED = 4  # rows at each end of a map whose receptive fields are measured


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """The output of one layer in a call of its network.

    Attributes:
        layer: the layer.
        output: its answer, of whatever kind.
    """

    layer: keras.Layer
    output: Any

    @property
    def name(self) -> str:
        """Name of the layer with those of the blocks that it lies in."""
        return self.layer.path or self.layer.name

    @property
    def is_map(self) -> bool:
        """Whether it answered with feature maps (batch_size, height, width, channels)."""
        return tf.is_tensor(self.output) and self.output.dtype.is_floating and len(self.output.shape) == 4

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width of the maps."""
        return tuple(self.output.shape[1:3])

    @property
    def is_convolution(self) -> bool:
        """Whether the maps came from a kernel of the layer's own, be it Keras's or the user's."""
        return self.is_map and kernel_of(self.layer) is not None


@contextlib.contextmanager
def watching(network: keras.Model) -> Iterator[list[Call]]:
    """Note each call of each layer of a network, however deep it is nested; inner calls end first."""
    calls: list[Call] = []
    layers = all_parts_of(network, include_self=False)
    for layer in layers:
        vars(layer)["call"] = _noted(layer, layer.call, calls)
    try:
        yield calls
    finally:
        for layer in layers:
            del vars(layer)["call"]


def _noted(layer: keras.Layer, call, calls: list[Call]):
    def noted(*args, **kwargs):
        output = call(*args, **kwargs)
        calls.append(Call(layer, output))
        return output

    return noted


def kernel_of(layer: keras.Layer) -> keras.Variable | None:
    """Return the kernel of a convolution, (height, width, channels, filters); None for other layers."""
    if len(all_parts_of(layer)) > 1:  # a block: its kernels are those of its layers
        return None
    return next((weight for weight in layer.weights if len(weight.shape) == 4), None)


def last_map(calls: Sequence[Call], target, tape: tf.GradientTape) -> tuple[Call, Any, Call] | None:
    """Find the last feature maps of a convolution that a number depends on.

    1. The last convolution in the order of calls whose maps are larger than 1x1 and whose gradient exists:
       heads that the number does not come from have none.
    2. From there the last maps of the same height and width: where convolutions lie in a block, those that
       the block puts out (the sum of a residual block, all branches of an Inception block), activated.

    Args:
        calls: of `watching`.
        target: scalar.
        tape: has recorded how `target` came from the calls.

    Returns:
        The call with the maps, their gradient (batch_size, height, width, channels), and the call of the
        convolution; None where there is no convolution.
    """
    maps = [call for call in calls if call.is_map and min(call.extent) >= 1 and max(call.extent) > 1]
    gradients = tape.gradient(target, [call.output for call in maps])
    reached = [pair for pair in zip(maps, gradients, strict=True) if pair[1] is not None]
    convolutions = [index for index, (call, _) in enumerate(reached) if call.is_convolution]
    if not convolutions:
        return None
    convolution = reached[convolutions[-1]][0]
    after = reached[convolutions[-1] :]
    call, gradient = [pair for pair in after if pair[0].extent == convolution.extent][-1]
    return call, gradient, convolution


def first_kernel(calls: Sequence[Call]) -> tuple[str, np.ndarray] | None:
    """Return name and kernel (height, width, channels, filters) of the first convolution that was called."""
    first = next((call for call in calls if call.is_convolution), None)
    return None if first is None else (first.name, np.asarray(kernel_of(first.layer), np.float32))


def centres(
    answer: Callable[[Any], Any], network: keras.Model, shape: tuple[int, int, int], number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return where in an image the rows and the columns of feature maps look, in pixels.

    Convolutions and networks that pad or cut leave maps that do not cover the image exactly: LeNet-5 puts
    8x8 digits into the middle of 32x32. A row's receptive field is where its gradient is not zero; those
    that do not reach over the image's edges tell how all of them lie. Where there are none, as in deep
    networks, maps are taken to cover the image.

    Args:
        answer: calls the network with raw images, float32.
        network: the network.
        shape: height, width, channels of an image.
        number: which of the calls of `watching` has the maps.
    """
    draw = np.random.default_rng(0)
    noise = tf.constant(draw.uniform(0, 255, (2, *shape)).astype(np.float32))
    with watching(network) as calls, tf.GradientTape(persistent=True) as tape:
        tape.watch(noise)
        answer(noise)
    maps = calls[number].output
    weights = draw.uniform(0.5, 1.5, maps.shape).astype(np.float32)
    found = []
    for axis in (1, 2):
        size, length, spans = maps.shape[axis], noise.shape[axis], {}
        for index in sorted({*range(min(size, _PROBED)), *range(max(size - _PROBED, 0), size)}):
            chosen = np.expand_dims(np.arange(size) == index, (0, *({1, 2, 3} - {axis})))
            gradient = tape.gradient(maps, noise, output_gradients=tf.cast(weights * chosen, maps.dtype))
            seen = [] if gradient is None else np.flatnonzero(gradient.numpy().any((0, 3, 3 - axis)))
            if len(seen):
                spans[index] = seen[0], seen[-1]
        found.append(_centres(spans, size, length))
    return found[0], found[1]


def _centres(spans: dict[int, tuple[int, int]], size: int, length: int) -> np.ndarray:
    """Return the middle of each receptive field, from the first and last pixel (spans) of some of them."""
    first = {index: low for index, (low, _) in spans.items() if low > 0}
    last = {index: high for index, (_, high) in spans.items() if high < length - 1}
    covering = (np.arange(size) + 0.5) * length / size - 0.5
    if min(len(first), len(last)) < 2:
        return covering
    lines = [np.polyfit(list(ends), list(ends.values()), 1) for ends in (first, last)]
    slow, fast = sorted(line[0] for line in lines)
    if not 0 < fast <= 1.5 * slow:  # the fields are not shifted copies of each other
        return covering
    return np.mean([np.polyval(line, np.arange(size)) for line in lines], axis=0)


def stretch(maps: np.ndarray, rows: np.ndarray, columns: np.ndarray, extent: tuple[int, int]) -> np.ndarray:
    """Interpolate maps (N, h, w) between centres, to (N, height, width); beyond the outermost they go on."""
    up, across = (
        np.stack([np.interp(np.arange(length), places, unit) for unit in np.eye(len(places))])
        for places, length in zip((rows, columns), extent, strict=True)
    )
    return np.einsum("nhw,hy,wx->nyx", maps, up, across).astype(np.float32)
