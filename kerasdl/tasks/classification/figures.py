"""Figures of a classification: pure functions over probabilities (N, num_classes) and labels (N,).

Each is worked out a class or a block of examples at a time, so that 50,000 examples of 1,000 classes need
little more memory than their probabilities do.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kerasdl.errors import RunFailedError

NUM_BINS = 15  # of the reliability curve, as in Guo et al.
NUM_MISTAKES = 24
_TOP_K = (2, 3, 5)
_LEVEL = 0.95
_BLOCK = 2**22  # probabilities that are looked at together
_SMALLEST = 1e-7  # probability that the cross-entropy takes for 0


def figures(
    probabilities: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str] = (),
    class_ids: np.ndarray | None = None,
    temperature: float = 1.0,
) -> dict[str, Any]:
    """Return all figures of a split, as plain numbers that JSON can hold; None where one is undefined.

    Args:
        probabilities: (N, num_classes), float, 0..1; N is 1 or more.
        labels: true classes (N,), integers, 0..num_classes - 1.
        class_names: one for each class. Defaults to their numbers.
        class_ids: predicted classes (N,), integers. Defaults to the most probable ones.
        temperature: what the logits were divided by; it is only told.

    Raises:
        RunFailedError: when probabilities are not numbers.
    """
    _check_numbers(probabilities)
    num_classes = probabilities.shape[1]
    names = list(class_names) or [str(index) for index in range(num_classes)]
    predicted = probabilities.argmax(-1) if class_ids is None else class_ids
    confidence = confidences(probabilities, predicted)
    right = predicted == labels
    areas = roc_aucs(probabilities, labels)
    rows = _per_class(labels, predicted, names, areas)
    return {
        **short_figures(probabilities, labels, predicted),
        "accuracy_interval": accuracy_interval(int(right.sum()), len(labels)),
        "top_k_accuracy": top_k_accuracy(probabilities, labels),
        "roc_auc": areas[1] if num_classes == 2 else _mean(areas),
        "temperature": float(temperature),
        "reliability": reliability(confidence, right),
        "per_class": rows,
        "macro_f1": _mean([row["f1"] for row in rows]),
        "confusion_matrix": _confusion_matrix(labels, predicted, num_classes),
        "mistakes": [
            {
                "index": int(index),
                "class": names[labels[index]],
                "predicted": names[predicted[index]],
                "confidence": float(confidence[index]),
            }
            for index in worst_mistakes(confidence, right)
        ],
    }


def short_figures(probabilities: np.ndarray, labels: np.ndarray, class_ids: np.ndarray) -> dict[str, Any]:
    """Return the figures that are worth keeping of each of many files.

    Returns:
        accuracy (0..1), crossentropy (nats, of the true class), examples, and ece: the expected calibration
        error (0..1), of 15 bins of equal width.
    """
    _check_numbers(probabilities)
    right = class_ids == labels
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "accuracy": float(right.mean()),
        "crossentropy": float(0.0 - np.log(np.maximum(of_label, _SMALLEST)).mean()),
        "examples": len(labels),
        "ece": expected_calibration_error(reliability(confidences(probabilities, class_ids), right)),
    }


def confidences(probabilities: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """Return the probability (N,) of each predicted class."""
    return probabilities[np.arange(len(class_ids)), class_ids]


def accuracy_interval(num_right: int, num_examples: int) -> list[float]:
    """Return the 95 % interval [low, high] of an accuracy, by Wilson's score.

    Reference: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    from scipy.stats import binomtest

    found = binomtest(num_right, num_examples).proportion_ci(_LEVEL, method="wilson")
    return [float(found.low), float(found.high)]


def top_k_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the part of examples whose class is among the k most probable ones, for k < num_classes.

    Of classes that are equally probable the first counts as the more probable one, as in `argmax`.
    """
    ranks = np.concatenate([_ranks(probabilities[rows], labels[rows]) for rows in blocks(probabilities)])
    return {str(k): float((ranks < k).mean()) for k in _TOP_K if k < probabilities.shape[1]}


def _ranks(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how many classes (N,) are more probable than the true one."""
    of_label = probabilities[np.arange(len(labels)), labels][:, None]
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    return ((probabilities > of_label) | ((probabilities == of_label) & before)).sum(-1)


def roc_aucs(probabilities: np.ndarray, labels: np.ndarray) -> list[float | None]:
    """Return the area under the ROC curve of each class against the rest; None where one side is empty.

    Reference: Fawcett, "An introduction to ROC analysis", 2006, https://doi.org/10.1016/j.patrec.2005.10.010.
    """
    from sklearn.metrics import roc_auc_score

    counts = np.bincount(labels, minlength=probabilities.shape[1])
    return [
        float(roc_auc_score(labels == index, probabilities[:, index])) if 0 < count < len(labels) else None
        for index, count in enumerate(counts)
    ]


def reliability(confidence: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """Return the reliability curve: how often answers of about the same confidence are right.

    Reference: Guo et al., "On calibration of modern neural networks", 2017, https://arxiv.org/abs/1706.04599.

    Args:
        confidence: probability of each predicted class (N,), 0..1.
        right: whether it is the true one (N,), bool.

    Returns:
        Of each bin (low, high] that holds examples: low, high, count, mean confidence, accuracy.
    """
    edges = np.linspace(0, 1, NUM_BINS + 1)
    bins = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, NUM_BINS - 1)
    counts, sums, rights = (
        np.bincount(bins, weights, NUM_BINS) for weights in (None, confidence.astype(np.float64), right)
    )
    return [
        {
            "low": float(edges[index]),
            "high": float(edges[index + 1]),
            "count": int(counts[index]),
            "confidence": float(sums[index] / counts[index]),
            "accuracy": float(rights[index] / counts[index]),
        }
        for index in np.flatnonzero(counts)
    ]


def expected_calibration_error(curve: Sequence[dict[str, Any]]) -> float:
    """Return the mean distance of confidence and accuracy over a `reliability` curve's examples, 0..1."""
    total = sum(row["count"] for row in curve)
    return sum(row["count"] * abs(row["confidence"] - row["accuracy"]) for row in curve) / total


def worst_mistakes(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the indices of the wrong answers, most confident first, at most 24."""
    wrong = np.flatnonzero(~right)
    return wrong[np.argsort(-confidence[wrong], kind="stable")][:NUM_MISTAKES]


def blocks(array: np.ndarray) -> Iterator[slice]:
    """Yield slices of rows (of a (N, num_classes) array) that are few enough to work on copies of them."""
    size = max(1, _BLOCK // array.shape[1])
    return (slice(start, start + size) for start in range(0, len(array), size))


def _per_class(
    labels: np.ndarray, class_ids: np.ndarray, names: Sequence[str], areas: Sequence[float | None]
) -> list[dict[str, Any]]:
    """Return a row of figures for each class; one that nobody ever sees or predicts has none."""
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(
        labels, class_ids, labels=np.arange(len(names)), zero_division=np.nan
    )
    return [
        {
            "class": name,
            "precision": _number(precision),
            "recall": _number(recall),
            "f1": _number(f1),
            "support": int(support),
            "roc_auc": area,
        }
        for name, precision, recall, f1, support, area in zip(names, *columns, areas, strict=True)
    ]


def _confusion_matrix(labels: np.ndarray, class_ids: np.ndarray, num_classes: int) -> list[list[int]]:
    from sklearn.metrics import confusion_matrix

    with warnings.catch_warnings():  # that of one class has one number, which is no reason to warn
        warnings.simplefilter("ignore")
        return confusion_matrix(labels, class_ids, labels=np.arange(num_classes)).tolist()


def _check_numbers(probabilities: np.ndarray) -> None:
    bad = sum(int((~np.isfinite(probabilities[rows]).all(-1)).sum()) for rows in blocks(probabilities))
    if bad:
        raise RunFailedError(
            f"The probabilities of {bad:,} of {len(probabilities):,} examples are no numbers."
        )


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are defined; None where none is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
