"""Whether two classifiers differ beyond chance on the same test examples."""

from collections.abc import Mapping

import numpy as np

from kerasdl.tasks.task import RunDifference


def compare(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> RunDifference:
    """Compare two runs by their predictions: `labels` (N,) and `class_ids` (N,).

    Raises:
        ValueError: when they were made on other examples.
    """
    if not np.array_equal(first["labels"], second["labels"]):
        raise ValueError("tested on other examples")
    right = [found["class_ids"] == found["labels"] for found in (first, second)]
    first_only, second_only = (int(np.count_nonzero(a & ~b)) for a, b in (right, right[::-1]))
    examples = len(right[0])
    points = 100 * (second_only - first_only) / examples
    more, fewer = sorted((first_only, second_only), reverse=True)
    return RunDifference(
        p_value=mcnemar(first_only, second_only),
        amount=f"{abs(points):.2f} points ({more:,} against {fewer:,} test examples)",
        gain=points,
        figures={
            "first_only": first_only,
            "second_only": second_only,
            "examples": examples,
            "points": points,
        },
    )


def mcnemar(first_only: int, second_only: int) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    Were both classifiers equally good, each example that only one of them has right would be the one's or the
    other's with the same probability: their numbers would be binomial with one half.

    Reference: Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12, 1947; its use for two classifiers: T. G. Dietterich, "Approximate
    statistical tests for comparing supervised classification learning algorithms", 1998.

    Args:
        first_only: examples that only the first has right.
        second_only: examples that only the second has right.
    """
    if first_only + second_only == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(first_only, first_only + second_only, 0.5).pvalue)
