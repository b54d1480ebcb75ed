"""Whether two taggers differ beyond chance on the same test sentences."""

from collections.abc import Mapping

import numpy as np

from kerasdl.tasks.task import RunDifference

_NUM_DRAWS = 9999


def compare(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> RunDifference:
    """Compare the numbers of right tags by a paired permutation test over sentences.

    If both runs were equally good, it would be chance which of the two answers to a sentence is whose: how
    often are they as far apart as here, where that is drawn 9,999 times.

    Reference: Yeh, "More accurate tests for the statistical significance of result differences", 2000.

    Args:
        first: `right` and `tokens` (N,), and `targets` (N, T) of one run.
        second: those of the other.

    Raises:
        ValueError: when they were made on other sentences.
    """
    if not np.array_equal(first["targets"], second["targets"]):
        raise ValueError("tested on other sentences")
    change = second["right"].astype(np.int64) - first["right"]
    seen, total = int(change.sum()), int(first["tokens"].sum())
    differing = change[change != 0]
    random = np.random.default_rng(0)
    reached = 0
    for _ in range(_NUM_DRAWS):
        signs = random.integers(0, 2, len(differing)) * 2 - 1
        reached += abs(int((signs * differing).sum())) >= abs(seen)
    share = seen / max(1, total)
    return RunDifference(
        p_value=(reached + 1) / (_NUM_DRAWS + 1),
        amount=f"{100 * abs(share):.2f} points ({abs(seen):,} of {total:,} test tokens)",
        gain=share,
        figures={"tokens": total, "differing_sentences": len(differing), "accuracy_change": share},
    )
