"""Which hyperparameters a search's outcome hangs on, and whether that can be said at all.

A random forest predicts from its hyperparameters how a trial ranks by the first objective; each tree is
judged by the trials that it was not grown on. A hyperparameter's importance is what that prediction loses
when its values are shuffled among the trials (L. Breiman, "Random forests", Machine Learning 45, 2001).
Ranks, because one diverged trial would otherwise be all that there is to explain.

A conditional hyperparameter is shuffled only among the trials in which it is active. In the others it has
values drawn from these, so that it cannot stand in for the parent that switches it.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerasdl.search import dimensions
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.space import Parameter

if TYPE_CHECKING:
    import numpy as np

LEAST_TRIALS = 8
METHOD = (
    "Permutation importance in a random forest (Breiman 2001): how much of the out-of-bag R^2 is lost when "
    "the values of one hyperparameter are shuffled among the trials in which it is active."
)
_TREES = 150
_REPEATS = 8


@dataclasses.dataclass(frozen=True)
class Importance:
    """Of one hyperparameter.

    Attributes:
        name: of the hyperparameter.
        loss: of R^2, when it is shuffled; 0 where it did not get worse, None where it cannot be judged.
        spread: standard deviation of `loss` over the shuffles.
        trials: completed trials in which it is active.
        note: why it cannot be judged.
    """

    name: str
    loss: float | None
    spread: float = 0.0
    trials: int = 0
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Importances:
    """Of all hyperparameters.

    Attributes:
        items: most important first; empty where nothing can be said.
        r2: out-of-bag R^2 of the forest: how well it ranks trials that it has not seen; None without one.
        trials: completed trials that it was made from.
        reason: why nothing can be said.
    """

    items: tuple[Importance, ...] = ()
    r2: float | None = None
    trials: int = 0
    reason: str = ""


def importances(record: SearchRecord) -> Importances:
    """Judge each hyperparameter; the same record always gives the same figures."""
    objective = record.objectives[0].name
    trials = [t for t in record.trials if t.status == "completed" and objective in t.figures]
    if len(trials) < LEAST_TRIALS:
        said = f"{len(trials)} {'trial' if len(trials) == 1 else 'trials'} completed"
        return Importances(trials=len(trials), reason=f"{said}; at least {LEAST_TRIALS} are needed.")
    scores = [trial.figures[objective] for trial in trials]
    if min(scores) == max(scores):
        return Importances(trials=len(trials), reason=f"Every completed trial has the same {objective}.")
    parameters = dimensions.by_name(record.space)
    notes = {parameter.name: _why_not(parameter, trials) for parameter in parameters}
    judged = [parameter for parameter in parameters if not notes[parameter.name]]
    if not judged:
        return Importances(trials=len(trials), reason="No hyperparameter took more than one value.")
    r2, losses = _judge(judged, trials, scores)
    if r2 < by_chance(len(trials)):
        return Importances(r2=r2, trials=len(trials), reason=_no_better(r2, len(trials)))
    items = [
        Importance(
            parameter.name,
            max(float(rows.mean()), 0.0),
            float(rows.std(ddof=1)),
            sum(parameter.name in trial.values for trial in trials),
        )
        for parameter, rows in zip(judged, losses, strict=True)
    ]
    items.sort(key=lambda item: -item.loss)
    return Importances((*items, *_unjudged(notes, trials)), r2, len(trials))


def by_chance(trials: int) -> float:
    """Return the R^2 below which nothing is claimed.

    Of searches of pure noise (nine hyperparameters, 16 to 320 trials, 60 searches each) 95 % stayed below.
    """
    return trials**-0.5


def _no_better(r2: float, trials: int) -> str:
    if r2 <= 0:
        return f"A random forest cannot tell from them which trial is better (out-of-bag R^2 {r2:.2f})."
    return (
        f"A random forest tells from them which trial is better hardly more often than chance would: "
        f"out-of-bag R^2 {r2:.2f}, where {by_chance(trials):.2f} is needed with {trials} trials."
    )


def _why_not(parameter: Parameter, trials: Sequence[TrialRecord]) -> str:
    values = [trial.values[parameter.name] for trial in trials if parameter.name in trial.values]
    if len(values) < LEAST_TRIALS:
        return f"active in {len(values)} trials only"
    return "" if len(set(values)) > 1 else "always the same value"


def _unjudged(notes: dict[str, str], trials: Sequence[TrialRecord]) -> list[Importance]:
    return [
        Importance(name, None, trials=sum(name in trial.values for trial in trials), note=note)
        for name, note in notes.items()
        if note
    ]


def _judge(
    parameters: Sequence[Parameter], trials: Sequence[TrialRecord], scores: Sequence[float]
) -> tuple[float, "np.ndarray"]:
    """Return the out-of-bag R^2 and what is lost of it: (parameters, repeats)."""
    import numpy as np
    from scipy.stats import rankdata
    from sklearn.ensemble import RandomForestRegressor

    random = np.random.default_rng(0)
    blocks = [_columns(parameter, trials, random) for parameter in parameters]
    features = np.concatenate(blocks, axis=1).astype(np.float32)
    ranks = rankdata(scores)
    forest = RandomForestRegressor(_TREES, max_features=0.7, min_samples_leaf=2, random_state=0, n_jobs=1)
    forest.fit(features, ranks)
    tables = [features]  # the trials as they are, and once for each parameter and shuffle
    stops = np.cumsum([block.shape[1] for block in blocks])
    for parameter, block, stop in zip(parameters, blocks, stops, strict=True):
        active = np.flatnonzero([parameter.name in trial.values for trial in trials])
        for _ in range(_REPEATS):
            shuffled = features.copy()
            shuffled[active, stop - block.shape[1] : stop] = block[random.permutation(active)]
            tables.append(shuffled)
    r2 = _out_of_bag_r2(forest, np.stack(tables), ranks)
    return float(r2[0]), (r2[0] - r2[1:]).reshape(len(parameters), _REPEATS)


def _out_of_bag_r2(forest, tables: "np.ndarray", ranks: "np.ndarray") -> "np.ndarray":
    """Return R^2 for each of (tables, trials, columns); trees answer only for trials that are new to them."""
    import numpy as np

    total, count = np.zeros(tables.shape[:2]), np.zeros(len(ranks))
    for tree, drawn in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        new = np.setdiff1d(np.arange(len(ranks)), drawn)
        if new.size:
            rows = tables[:, new].reshape(-1, tables.shape[2])
            total[:, new] += tree.predict(rows).reshape(len(tables), -1)
            count[new] += 1
    known = count > 0
    errors = ((total[:, known] / count[known] - ranks[known]) ** 2).mean(axis=1)
    return 1 - errors / ranks[known].var()


def _columns(parameter: Parameter, trials: Sequence[TrialRecord], random) -> "np.ndarray":
    """Return the numbers of a hyperparameter: one column, or one for each choice that has no order."""
    import numpy as np

    active = [trial.values[parameter.name] for trial in trials if parameter.name in trial.values]
    drawn = random.integers(len(active), size=len(trials))
    values = [
        trial.values.get(parameter.name, active[index]) for trial, index in zip(trials, drawn, strict=True)
    ]
    if parameter.kind != "choice":
        return np.array([[dimensions.number(parameter, value)] for value in values])
    known = dimensions.categories(parameter, active)
    places = np.array([known.index(value) for value in values])
    return places[:, None].astype(float) if parameter.ordered else np.eye(len(known))[places]
