"""Rules that stop trials early which do worse than others did at the same part of training."""

import statistics
from collections.abc import Sequence

#: (Part of the training done, 0 to 1; metric) after each epoch. Smaller metrics are better.
Curve = Sequence[tuple[float, float]]

NAMES = ("median", "halving", "none")
_ENOUGH = 5  # trials to compare with
_BEGIN = 0.2  # part of the training before which nothing is judged
_FACTOR = 3


def reason_to_stop(name: str, curve: Curve, others: Sequence[Curve]) -> str | None:
    """Return why a trial should stop after its last epoch, or None.

    "median" is the median stopping rule (Golovin et al., "Google Vizier", 2017): stop when the best value
    so far is worse than the median of the others' best at this part. "halving" is asynchronous successive
    halving (Li et al., "A system for massively parallel hyperparameter tuning", 2020, ASHA) with factor 3: at
    1/9 and 1/3 of the training only trials in the best third of those so far continue.

    Args:
        name: name of the rule, one of `NAMES`.
        curve: curve of the trial, not empty.
        others: curves of other trials; for the median only those trained to the end count.
    """
    progress, best = curve[-1][0], _best(curve, curve[-1][0])
    if name == "none" or progress >= 1:
        return None
    if name == "median":
        rivals = [_best(other, progress) for other in others if other and other[-1][0] >= 1]
        if progress < _BEGIN or len(rivals) < _ENOUGH or best <= statistics.median(rivals):
            return None
        return f"after {progress:.0%} of the training it was worse than the median of {len(rivals)} trials"
    for rung in (1 / _FACTOR**2, 1 / _FACTOR):
        came_now = progress >= rung and not any(part >= rung for part, _ in curve[:-1])
        rivals = [_best(other, rung) for other in others if other and other[-1][0] >= rung]
        if (
            came_now
            and len(rivals) >= _FACTOR
            and sum(rival < best for rival in rivals) > len(rivals) // _FACTOR
        ):
            return f"after {progress:.0%} of the training it was not in the best third of {len(rivals) + 1}"
    return None


def _best(curve: Curve, progress: float) -> float:
    """Return the best value up to a part of the training, or the first value if that came later."""
    return min((figure for part, figure in curve if part <= progress + 1e-9), default=curve[0][1])
