"""Which real examples say how far the numbers of an integer file reach."""

import logging
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from kerasdl.export.spec import Endpoint

_log = logging.getLogger(__name__)
_USUAL = 0.95  # part of the examples that tells what is usual
_FARTHEST = 3.0  # times that, before an example is left out
#: What has no numbers of its own.
_COPIES = {"Cast", "Const", "Identity", "Placeholder", "ReadVariableOp", "Reshape", "Transpose"}


def without_outliers(endpoint: Endpoint, samples: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Leave out the examples within which a network's numbers explode.

    The converter takes the range of each tensor from its lowest to its highest value over all examples. Where
    one in 256 makes a deep network's numbers ten times as large, the others are left a tenth of the 256
    steps: a ResNet-50 lost 2.5 points of accuracy to one example, and nothing without it. Left out is what
    reaches further, in any tensor, than three times what 95 % of the examples stay within; at most 5 %.

    Args:
        endpoint: takes one example.
        samples: (N, ...) by input name.

    Returns:
        The samples, fewer or as they are.
    """
    farthest = _farthest(endpoint, samples)  # (N, tensors)
    usual = np.quantile(farthest, _USUAL, axis=0, method="higher")
    farthest, usual = farthest[:, usual > 0], usual[usual > 0]
    reach = (farthest / usual).max(axis=1, initial=0.0)  # (N,)
    most = int(len(reach) * (1 - _USUAL))
    worst = [int(index) for index in np.argsort(-reach)[:most] if not reach[index] <= _FARTHEST]
    if not worst:
        return dict(samples)
    _log.info(
        f"{len(worst)} of {len(reach)} examples do not count for the ranges of integer files: numbers of "
        f"{endpoint.name} reach up to {reach[worst].max():.0f} times as far there as in {_USUAL:.0%} of them."
    )
    return {name: np.delete(values, worst, axis=0) for name, values in samples.items()}


def _farthest(endpoint: Endpoint, samples: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the largest absolute value (N, tensors) in each tensor between inputs and outputs."""

    @tf.function(input_signature=list(endpoint.inputs.values()), autograph=False)
    def run(*inputs):
        endpoint.function(*inputs)
        operations = tf.compat.v1.get_default_graph().get_operations()
        tensors = [
            output
            for operation in operations
            if operation.type not in _COPIES
            for output in operation.outputs
            if output.dtype.is_floating
        ]
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
