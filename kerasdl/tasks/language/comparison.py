"""Whether two language models differ on the same windows beyond chance."""

from collections.abc import Mapping

import numpy as np

from kerasdl.tasks.task import RunDifference


def compare(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> RunDifference:
    """Compare the mean nats of each window by a paired t-test.

    Args:
        first: `nats` (N,) of a run.
        second: those of another run.

    Raises:
        ValueError: when they are not those of the same windows.
    """
    from scipy.stats import ttest_rel

    before, after = (part["nats"].astype(np.float64) for part in (first, second))
    if before.shape != after.shape:
        raise ValueError("evaluated on other windows")
    difference = after - before
    same = not difference.any()
    p_value = 1.0 if same or len(before) < 2 else float(ttest_rel(after, before).pvalue)
    mean = float(difference.mean())
    return RunDifference(
        p_value=p_value,
        amount=f"{abs(mean):.4f} nats a character",
        gain=-mean,
        figures={"nats_rise": mean},
    )
