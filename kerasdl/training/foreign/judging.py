"""Says aloud what looks wrong with a model on the data: wrong scaling, classes in another order, chance."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

_FEWEST = 20  # examples to judge by
_RELATED = 0.7  # correlation of answers and targets, above which they are the same thing in other units
_BETTER = 0.2  # of the accuracy, by which another order has to be better


def accuracy(answers: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of right answers of a classifier.

    Args:
        answers: (N, K) logits or probabilities; (N, 1) those of the second of two classes.
        labels: (N,).
    """
    if answers.shape[1] == 1:
        middle = 0.5 if answers.min() >= 0 and answers.max() <= 1 else 0.0
        return float(((answers[:, 0] > middle) == labels).mean())
    return float((answers.argmax(1) == labels).mean())


def accuracies(
    words: Sequence[str], answer: Callable[[str], np.ndarray], labels: np.ndarray
) -> dict[str, float]:
    """Return the accuracy with each scaling."""
    return {word: accuracy(answer(word), labels) for word in words}


def doubts(class_ids: np.ndarray, labels: np.ndarray, class_names: Sequence[str], about: str) -> list[str]:
    """Return sentences about classes in another order than that of the data, and about chance.

    Args:
        class_ids: answers (N,).
        labels: true classes (N,).
        class_names: in the order of the labels.
        about: how images were scaled, "" for other examples.
    """
    if len(labels) < _FEWEST:
        return [f"Only {len(labels)} examples judge the model: its accuracy is not worth much."]
    count = len(class_names)
    table = np.zeros((count, count), np.int64)
    np.add.at(table, (class_ids, labels), 1)
    right, largest = table.trace() / len(labels), np.bincount(labels).max() / len(labels)
    places, columns = linear_sum_assignment(table, maximize=True)
    best = table[places, columns].sum() / len(labels)
    if best >= right + _BETTER and best > largest + _BETTER:
        order = ", ".join(class_names[column] for column in columns[:10]) + (", ..." if count > 10 else "")
        return [
            f"The classes seem to be in another order than the outputs: {right:.1%} of {len(labels)} answers "
            f"are right, but {best:.1%} would be if the outputs were {order}. If they are, write these names "
            "into a file, one a line, and give --labels FILE."
        ]
    if right <= largest + 2 * np.sqrt(largest * (1 - largest) / len(labels)):
        return [
            f"{right:.1%} of {len(labels)} answers are right, and {largest:.1%} would be by always answering "
            "the commonest class: no better than chance. Is this the data that the model was trained on, "
            f"and are its values scaled as then{about}?"
        ]
    return []


def doubts_of_numbers(values: np.ndarray, targets: np.ndarray) -> list[str]:
    """Return sentences about numbers that are worse than the mean of the targets, or in other units.

    Args:
        values: answers (N, K).
        targets: true numbers (N, K).
    """
    if len(values) < _FEWEST:
        return [f"Only {len(values)} examples judge the model: its errors are not worth much."]
    found = []
    for column in range(values.shape[1]):
        answer, wanted = values[:, column].astype(np.float64), targets[:, column].astype(np.float64)
        if np.square(answer - wanted).mean() < np.var(wanted) or not np.var(wanted):
            continue
        which = f" (number {column})" if values.shape[1] > 1 else ""
        related = np.corrcoef(answer, wanted)[0, 1] if np.var(answer) else 0.0
        why = (
            f"They rise and fall together (correlation {related:.2f}): are the targets in the units that the "
            "model was trained on, such as standardised or logarithms?"
            if related > _RELATED else
            "Is this the data that the model was trained on, its columns in the order and the units of then?"
        )  # fmt: skip
        found.append(f"The answers{which} are worse than always giving the mean of the targets. {why}")
    return found
