"""A search as one JSON document."""

import math
from typing import Any

from kerasdl.search.record import SearchRecord, TrialRecord


def describe(record: SearchRecord) -> dict[str, Any]:
    """Return a search and all of its trials, in the order of their numbers, as JSON values."""
    best = record.best()
    return {
        "search": str(record.path),
        "name": record.name,
        "pipeline": record.pipeline,
        "tuner": record.tuner,
        "objectives": {aim.name: aim.direction for aim in record.objectives},
        "constraints": [str(limit) for limit in record.constraints],
        "max_trials": record.max_trials,
        "finished": record.finished,
        "best": None if best is None else best.number,
        "trials": [_trial(trial) for trial in record.trials],
    }


def _trial(trial: TrialRecord) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "status": trial.status,
        "feasible": trial.feasible,
        "values": trial.values,
        "figures": {name: value if math.isfinite(value) else None for name, value in trial.figures.items()},
        "seconds": trial.seconds,
        "run": None if trial.run is None else str(trial.run),
        "reason": trial.reason,
    }
