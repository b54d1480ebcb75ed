"""Temperature scaling: probabilities that mean what they say, without changing a single predicted class.

Reference: Guo et al., "On calibration of modern neural networks", 2017, https://arxiv.org/abs/1706.04599.
"""

import functools
import logging
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.data.dataset import Tree
from kerasdl.inference.answers import Batches, run_over
from kerasdl.inference.endpoint import Arrays
from kerasdl.tasks.classification.figures import blocks, confidences, expected_calibration_error, reliability

if TYPE_CHECKING:
    import keras

_log = logging.getLogger(__name__)

_LOWEST, _HIGHEST = 0.05, 20.0  # beyond these all probabilities are 0 and 1, or all alike


def fit(network: "keras.Model", batches: Batches) -> dict[str, float]:
    """Fit the temperature to the logits that a deployed network answers with; see `fit_temperature`."""
    import tensorflow as tf

    from kerasdl.network.network import logits

    answers = tf.function(functools.partial(logits, network), autograph=False)

    def call(features: Tree) -> Arrays:
        return {"logits": answers(tf.nest.map_structure(tf.constant, features)).numpy()}

    found = run_over(call, lambda features, seed: features, batches)
    return fit_temperature(found.outputs["logits"], found.targets)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Find the temperature at which logits, divided by it, give the labels the highest likelihood.

    The negative log likelihood (NLL) is convex in 1 / temperature, so it has one minimum. Where every label
    has the highest logit it has none (it falls until all probabilities are 0 and 1): then the temperature
    stays 1.

    Args:
        logits: (N, num_classes), float, of examples that the network was not trained on.
        labels: (N,), integers.

    Returns:
        temperature (0.05..20), and on these examples validation_nll_before, validation_nll_after (nats),
        validation_ece_before, validation_ece_after (0..1). The NLL never rises; the calibration error, which
        is not what is minimised, may.
    """
    from scipy.optimize import minimize_scalar

    temperature = 1.0
    if (logits.argmax(-1) == labels).all():
        _log.warning(
            f"All {len(labels):,} validation examples are right: they cannot tell how confident the network "
            "should be. The temperature stays 1; a larger validation split would tell."
        )
    else:
        minimum = minimize_scalar(
            lambda exponent: _nll(logits, labels, np.exp(exponent)),
            bounds=(np.log(_LOWEST), np.log(_HIGHEST)),
            method="bounded",
            options={"xatol": 1e-6},
        )
        temperature = float(np.exp(minimum.x))
    found = {
        "temperature": temperature,
        "validation_nll_before": _nll(logits, labels, 1.0),
        "validation_nll_after": _nll(logits, labels, temperature),
        "validation_ece_before": _ece(logits, labels, 1.0),
        "validation_ece_after": _ece(logits, labels, temperature),
    }
    _log.info(
        "Calibrated on {examples:,} validation examples: temperature {temperature:.3f}; ECE "
        "{validation_ece_before:.4f} -> {validation_ece_after:.4f}, NLL {validation_nll_before:.4f} -> "
        "{validation_nll_after:.4f}.".format(examples=len(labels), **found)
    )
    return found


def _nll(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Return the mean negative log likelihood in nats; float64, a block of examples at a time."""
    total = 0.0
    for rows in blocks(logits):
        total -= _log_softmax(logits[rows], temperature)[np.arange(len(labels[rows])), labels[rows]].sum()
    return float(total / len(labels))


def _ece(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    class_ids = logits.argmax(-1)
    confidence = np.concatenate(
        [
            confidences(np.exp(_log_softmax(logits[rows], temperature)), class_ids[rows])
            for rows in blocks(logits)
        ]
    )
    return expected_calibration_error(reliability(confidence, class_ids == labels))


def _log_softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(-1, keepdims=True)
    return scaled - np.log(np.exp(scaled).sum(-1, keepdims=True))
