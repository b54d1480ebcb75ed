"""Checks how a generative network of the user's makes images, and that its loss can be repeated."""

import numpy as np
import tensorflow as tf

from kerasdl.data.trees import Tree
from kerasdl.errors import UsageError
from kerasdl.inference.answers import same
from kerasdl.inference.endpoint import Arrays
from kerasdl.layers import noise
from kerasdl.network.generative import Call, GenerativeNetwork

_MAKING = ("generate", "decode")
_TOLERANCE = 0.01  # by which pixels may lie outside 0 to 1
_COUNT = 5


def check_making(network: GenerativeNetwork, images: Tree, classes: Tree) -> None:
    """Refuse a network whose images lie outside 0 to 1, or go by chance or by others of their batch.

    Args:
        network: with random weights.
        images: a few raw images of the data (B, H, W, C).
        classes: their classes (B,).

    Raises:
        UsageError: says what is wrong, and how to mend it.
    """
    kind, calls = type(network).__name__, network.calls()
    for name in (name for name in _MAKING if name in calls):
        _check_call(f"{kind}.{name}", calls[name], network.num_classes)
    losses = []
    for _ in range(2):
        with noise.scope(0, 0, 0):
            losses.append(float(network.validation_loss(tf.constant(images), tf.constant(classes), None)[0]))
    if abs(losses[0] - losses[1]) > 1e-4 * max(1.0, abs(losses[0])):
        raise UsageError(
            f"The loss of {kind} is otherwise each time for the same images: something is drawn at random "
            "that no resumed run could draw again, nor replicas together. Draw with kerasdl.layers.noise."
        )


def _check_call(name: str, call: Call, num_classes: int) -> None:
    random = np.random.default_rng(0)
    given = {
        key: np.arange(_COUNT, dtype=np.int32) % num_classes
        if key == "labels"
        else random.standard_normal((_COUNT, *spec.shape[1:]), np.float32)
        for key, spec in call.inputs.items()
    }
    specs = [tf.TensorSpec(spec.shape, spec.dtype, key) for key, spec in call.inputs.items()]
    traced = tf.function(call.function, input_signature=specs, autograph=False)

    def make(rows: slice) -> Arrays:
        return {"images": traced(*(tf.constant(part[rows]) for part in given.values()))["images"].numpy()}

    whole = make(slice(None))
    made = whole["images"][np.isfinite(whole["images"])]
    if made.size and (made.min() < -_TOLERANCE or made.max() > 1 + _TOLERANCE):
        raise UsageError(
            f"{name} makes pixels from {made.min():.3g} to {made.max():.3g}, but images have to lie between "
            "0 and 1: what lies outside would be cut off. Scale them, or end with a sigmoid."
        )
    if not same(whole, make(slice(None))):
        raise UsageError(f"{name} makes other images of the same noise. Draw nothing: noise is an input.")
    if not same({"images": whole["images"][-1:]}, make(slice(-1, None))):
        raise UsageError(
            f"{name} makes another image of the same noise beside others than alone. Compute nothing over "
            "the batch axis (axis 0) with training=False."
        )
