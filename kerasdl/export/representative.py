"""Selects the examples that calibrate the activation ranges of integer TFLite files."""

import logging
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from kerasdl.inference.endpoint import Endpoint

_log = logging.getLogger(__name__)
_USUAL = 0.95  # part of the examples that tells what is usual
_FARTHEST = 3.0  # times that, before an example is left out
#: What has no numbers of its own.
_COPIES = {"Cast", "Const", "Identity", "Placeholder", "ReadVariableOp", "Reshape", "Transpose"}


def without_outliers(endpoint: Endpoint, samples: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Leave out the examples within which a network's numbers explode.

    The converter takes the range of each tensor from its lowest to its highest value over all examples. Where
    one in 256 makes a deep network's numbers ten times as large, the others are left a tenth of the 256
    steps: a ResNet-50 lost 0.95 points of accuracy to one example, and nothing without it. Left out is what
    reaches further, in any tensor, than three times what 95 % of the examples stay within; at most 5 %.
    Tensors within loops, branches and nested functions are not looked at.

    Args:
        endpoint: takes one example.
        samples: (N, ...) by input name.

    Returns:
        The samples, fewer or as they are.
    """
    farthest = _farthest(endpoint, samples)  # (N, tensors)
    usual = np.quantile(farthest, _USUAL, axis=0, method="inverted_cdf")
    telling = (usual > 0) & np.isfinite(usual)
    reach = (farthest[:, telling] / usual[telling]).max(axis=1, initial=0.0)  # (N,)
    worst = np.flatnonzero(reach > _FARTHEST)
    worst = worst[np.argsort(-reach[worst])][: round(len(reach) * (1 - _USUAL))]
    if not len(worst):
        return dict(samples)
    _log.info(
        f"{len(worst)} of {len(reach)} examples do not count for the ranges of integer files: numbers of "
        f"{endpoint.name} reach up to {reach[worst].max():.0f} times as far there as in {_USUAL:.0%} of them."
    )
    return {name: np.delete(values, worst, axis=0) for name, values in samples.items()}


def _farthest(endpoint: Endpoint, samples: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the largest absolute value (N, tensors) in each tensor that an operator makes."""

    @tf.function(input_signature=list(endpoint.inputs.values()), autograph=False)
    def run(*inputs):
        endpoint.function(*inputs)
        operations = tf.compat.v1.get_default_graph().get_operations()
        made = [operation.outputs for operation in operations if operation.type not in _COPIES]
        # Of several outputs a kernel leaves some as the memory was: batch normalisation the statistics.
        tensors = [outputs[0] for outputs in made if len(outputs) and outputs[0].dtype.is_floating]
        return tf.stack([_largest(tensor) for tensor in tensors])

    with tf.device("CPU:0"):
        ordered = [samples[name].astype(spec.dtype.as_numpy_dtype) for name, spec in endpoint.inputs.items()]
        count = len(ordered[0])
        return np.stack([run(*(values[n : n + 1] for values in ordered)).numpy() for n in range(count)])


def _largest(tensor):
    """Return the largest absolute value of a tensor: 0 of an empty one, infinity for what is no number."""
    value = tf.reduce_max(tf.abs(tf.cast(tensor, tf.float32)))
    value = tf.where(tf.size(tensor) > 0, value, 0.0)
    return tf.where(tf.math.is_nan(value), np.inf, value)
