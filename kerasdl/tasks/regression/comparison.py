"""Whether two regressions differ beyond chance on the same test examples."""

from collections.abc import Mapping

import numpy as np

from kerasdl.tasks.task import RunDifference


def compare(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> RunDifference:
    """Compare the absolute errors of two runs by Wilcoxon's signed-rank test.

    Reference: F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1, 1945.

    Args:
        first: `targets` and `values` (N, num_outputs) of one run.
        second: those of the other.

    Raises:
        ValueError: when they were made on other examples.
    """
    from scipy.stats import wilcoxon

    if not np.array_equal(first["targets"], second["targets"]):
        raise ValueError("tested on other examples")
    errors = [np.abs(run["values"] - run["targets"]).mean(-1) for run in (first, second)]
    change = float(errors[1].mean() - errors[0].mean())
    p_value = float(wilcoxon(*errors).pvalue) if np.any(errors[0] != errors[1]) else 1.0
    return RunDifference(
        p_value=p_value,
        amount=f"{abs(change):.4g} in the mean absolute error",
        gain=-change,
        figures={"examples": len(errors[0]), "mae_change": change},
    )
