"""Checks that a network gives the logits of the classes, before it is trained."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from kerasdl.data.trees import Tree
from kerasdl.errors import UsageError
from kerasdl.tasks.classification.attention import ATTENTION

_log = logging.getLogger(__name__)


def check_logits(outputs: Tree, class_names: Sequence[str], main_output: str) -> None:
    """Refuse outputs that are not one logit for each class.

    Args:
        outputs: those of several random weights: float32 (N, ...), one array or several by name.
        class_names: names of the classes.
        main_output: name of the logits among several outputs.

    Raises:
        UsageError: says what the outputs are, and what they have to be.
    """
    if isinstance(outputs, Mapping):
        if main_output not in outputs:
            raise UsageError(
                f"The network returns {', '.join(outputs)}, but none of them is called {main_output!r}. "
                f'Return {{"{main_output}": ...}}, or set main_output in the class of the network.'
            )
        further = [name for name in outputs if name not in (main_output, ATTENTION)]
        if further:
            _log.warning(
                f"The network also returns {', '.join(further)}, which no exported file will hold: a "
                "classifier exports probabilities and classes. Define a task of your own to export more."
            )
        outputs = outputs[main_output]
    classes = len(class_names)
    if outputs.ndim != 2 or outputs.shape[1] != classes:
        given = (
            f"{outputs.shape[1]} outputs" if outputs.ndim == 2 else f"outputs of shape {outputs.shape[1:]}"
        )
        raise UsageError(
            f"The network gives {given} for each example, but the data has {classes} classes. Let its last "
            "layer be Dense(num_classes), with the num_classes that its constructor is given."
        )
    logits = outputs[np.isfinite(outputs).all(axis=1)]
    if len(logits) and logits.min() >= 0 and logits.max() <= 1 + 1e-6:
        like = "a softmax" if np.allclose(logits.sum(axis=1), 1, atol=1e-3) else "a sigmoid"
        raise UsageError(
            f"The network gives probabilities, no logits: its outputs lie between 0 and 1, as behind {like}. "
            "The loss and every exported file apply a softmax themselves, so that there would be two. Leave "
            "out the last activation."
        )
