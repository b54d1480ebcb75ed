"""Answers of an exported file: its classes, in words, and their distance from those of the reference."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasdl.inference.endpoint import Arrays, Limits, as_long, by_kind
from kerasdl.tasks.classification.attention import ATTENTION


def compare(expected: Arrays, actual: Arrays, labels: np.ndarray) -> dict[str, float]:
    """Compare the outputs of a file with the reference's on the same examples.

    Returns:
        Differences of probabilities (0..1), the largest one that of weights of attention too, the mean over
        examples of their `total_variation` (half of the sum of the differences over classes, 0..1), the part
        of examples with the same class, the file's accuracy, how far it lies above (+) or below (-) the
        reference's, and `accuracy_drop`: how far below beyond chance. If changed predictions were right and
        wrong equally often, the number correct would vary by the square root of the changes; a drop within
        twice that is tolerated, so that one changed prediction out of 80 does not condemn a file.
    """
    difference = np.abs(expected["probabilities"] - actual["probabilities"])
    largest = [difference.max()]
    if ATTENTION in expected and ATTENTION in actual:
        largest.append(np.abs(np.subtract(*as_long(expected[ATTENTION], actual[ATTENTION]))).max(initial=0))
    before, after = class_ids(expected), class_ids(actual)
    same, accuracy = before == after, float((after == labels).mean())
    change = accuracy - float((before == labels).mean())
    chance = 2 * np.sqrt(np.count_nonzero(~same)) / len(same)
    return {
        "max_difference": float(np.max(largest)),  # Python's max would drop a NaN
        "mean_difference": float(difference.mean()),
        "total_variation": float(difference.sum(axis=-1).mean() / 2),
        "agreement": float(same.mean()),
        "accuracy": accuracy,
        "accuracy_change": change,
        "accuracy_drop": float(max(0.0, -change - chance)),
    }


def tolerances(kind: str) -> Limits:
    """Return the limits on the figures of `compare`, by kind of file."""
    return by_kind(
        kind,
        exact={"max_difference": ("<=", 1e-5), "accuracy_drop": ("<=", 0.002)},
        float16={"max_difference": ("<=", 1e-2)},
        # Of 10 classes the same as a mean difference of 0.02, which of 100 classes nothing could exceed.
        quantized={"total_variation": ("<=", 0.1), "accuracy_drop": ("<=", 0.002)},
    )


def describe(class_names: Sequence[str], outputs: Arrays) -> list[dict[str, Any]]:
    """Return the class of each example and how probable it is."""
    return [
        {"class": class_names[index], "probability": float(row[index])}
        for index, row in zip(class_ids(outputs), outputs["probabilities"], strict=True)
    ]


def class_ids(outputs: Arrays) -> np.ndarray:
    """Return the predicted classes (N,): those that the network names, else the most probable ones."""
    return outputs["class_ids"] if "class_ids" in outputs else outputs["probabilities"].argmax(-1)
