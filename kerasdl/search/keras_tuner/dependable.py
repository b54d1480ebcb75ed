"""Keras Tuner's oracles with fixes: atomic state files, failures that never count as good.

Fixed, as measured on Keras Tuner 1.4.8 (`tests/test_oracles.py` fails where it changes):

* Its files are written in place: `kill -9` leaves halves. Here each is replaced whole.
* A trial whose file was written before the oracle's is never run again: here it counts as not started, and
  the same values are drawn again. One that ran is assigned again.
* An exception in a method leaves the lock of the oracle taken for ever.
* An infinite score is the best one to the Gaussian process. Here it is a failure.
* Consecutive failures end a search with an exception, before the state is saved.
* `seed=0` is a random seed, and neighbouring seeds share most of their trials.
* Ending a trial twice counts twice.
* A continued grid search stops at once: its position is not saved.
"""

import collections
import copy
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from kerasdl.files import replacing
from kerasdl.search import pruning, record
from kerasdl.search.keras_tuner.private import OpenOracle, releasing
from kerasdl.search.objectives import Constraint, Objective
from kerasdl.search.trials import files

#: Distance between the seeds of two searches: draw i of Keras Tuner's oracles has the seed + i.
_APART = 100_003
#: Metric of every epoch: the part of its training that a trial has done, 0 to 1.
PROGRESS = "progress"


class Dependable(OpenOracle):
    """Mixin over an oracle of Keras Tuner; see the module.

    Args:
        objectives: objectives; Keras Tuner knows the first one.
        constraints: limits that the Bayesian oracle respects.
        pruner: name of a rule, one of `pruning.NAMES`.
        seed: seed of the search.
        max_failures: number of failed trials, with none completed, that ends the search.
        **kwargs: arguments of Keras Tuner's oracle.
    """

    def __init__(
        self,
        *,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        pruner: str = "none",
        seed: int = 0,
        max_failures: int = 5,
        **kwargs: Any,
    ):
        first = objectives[0]
        super().__init__(
            objective=keras_tuner.Objective(first.name, first.direction),
            seed=1 + seed * _APART % 2**31,
            max_consecutive_failed_trials=2**31,
            **kwargs,
        )
        self.objectives = tuple(objectives)
        self.constraints = tuple(constraints)
        self.pruner = pruner
        self.max_failures = max_failures
        self.verbose = 0

    def create_trial(self, tuner_id: str):
        """Return a trial to run; its status is "STOPPED" when the search is over, "IDLE" to ask again."""
        with releasing(self):
            if self.has_failed():
                return Trial(self.get_space(), status=TrialStatus.STOPPED)
            return super().create_trial(tuner_id)

    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0):
        """Record metrics of a trial at an epoch; known or infinite ones change nothing.

        Returns:
            The trial; where it should stop, its status is "STOPPED" and its message the reason.
        """
        with releasing(self):
            return self._update(trial_id, metrics, step)

    @keras_tuner.synchronized
    def _update(self, trial_id: str, metrics: Mapping[str, float], step: int):
        trial = self.trials[trial_id]
        for name, value in metrics.items():
            if not trial.metrics.exists(name):
                trial.metrics.register(name, direction=self._direction(name))
            known = {observation.step for observation in trial.metrics.get_history(name)}
            if math.isfinite(value) and step not in known:
                trial.metrics.update(name, value, step=step)
        self.save_trial(trial)
        answer = copy.copy(trial)
        curve = [] if self.pruner == "none" else self.curve(trial)
        if not curve:
            return answer
        others = [self.curve(other) for other in self.trials.values() if other is not trial]
        if (reason := pruning.reason_to_stop(self.pruner, curve, others)) is not None:
            answer.status, answer.message = TrialStatus.STOPPED, reason
        return answer

    def end_trial(self, trial):
        """Record the end of a trial; nothing for one that has ended before."""
        with releasing(self):
            self._end(trial)

    @keras_tuner.synchronized
    def _end(self, trial):
        if trial.trial_id not in {ongoing.trial_id for ongoing in self.ongoing_trials.values()}:
            return
        own = self.trials[trial.trial_id]
        own.best_step = trial.best_step
        pruned = (trial.message or "").startswith(record.PRUNED)  # then no files are exported and measured
        if trial.status == TrialStatus.COMPLETED and (missing := self._missing(own, pruned)):
            trial.status, trial.message = TrialStatus.FAILED, f"it has no finite {missing}"
        super().end_trial(trial)

    def score_trial(self, trial):
        """Score a trial by the network that its run kept."""
        trial.score = figures(trial)[self.objective.name]

    def curve(self, trial) -> pruning.Curve:
        """Return the first objective over the training, smaller is better; empty where it is missing."""
        if not (trial.metrics.exists(self.objective.name) and trial.metrics.exists(PROGRESS)):
            return []
        sign = self.objectives[0].sign
        parts = {found.step: found.value[0] for found in trial.metrics.get_history(PROGRESS)}
        history = trial.metrics.get_history(self.objective.name)  # one value a step: no means over 100,000s
        return [(parts[found.step], sign * found.value[0]) for found in history if found.step in parts]

    def has_failed(self) -> bool:
        """Tell whether `max_failures` trials failed and none completed."""
        ended = collections.Counter(self.trials[trial_id].status for trial_id in self.end_order)
        return not ended[TrialStatus.COMPLETED] and ended[TrialStatus.FAILED] >= self.max_failures

    def save(self):
        """Write the state of the search, whole."""
        _write(self.state_file, self.get_state())

    def reload(self):
        """Read the state; trials that were running are assigned again."""
        states = files.read_states(self.folder)
        for trial_id, path in files.folders(self.folder).items():
            if trial_id not in states:
                shutil.rmtree(path)  # the search died between its file and the oracle's: it was never run
        super().reload()
        self.trials = dict(sorted(self.trials.items(), key=lambda item: int(item[0])))
        self.waiting = sorted(self.trials.keys() - set(self.end_order), key=int, reverse=True)

    def _missing(self, trial, pruned: bool) -> str:
        found = figures(trial)
        wanted = [*self.objectives, *([] if pruned else self.constraints)]
        return ", ".join(dict.fromkeys(part.name for part in wanted if part.name not in found))

    def _direction(self, name: str) -> str:
        return next((o.direction for o in self.objectives if o.name == name), "min")

    def save_trial(self, trial):
        """Write the state of a trial, whole."""
        _write(self.trial_file(trial.trial_id), trial.get_state())

    def random_values(self):
        """Draw values at random; the recipe's own come first."""
        return self.own_values() if not self.trials else super().random_values()

    def own_values(self) -> dict[str, Any]:
        """Return the recipe's own values, the defaults of the space."""
        hps = self.get_space()
        hps.values = {}
        for hp in hps.space:
            if hps.is_active(hp):
                hps.values[hp.name] = hp.default
        return hps.values


def figures(trial: Trial) -> dict[str, float]:
    """Return the metrics of a trial at the epoch whose network its run kept."""
    return {
        name: float(observation.mean())
        for name, history in trial.metrics.metrics.items()
        for observation in history.get_history()
        if observation.step == trial.best_step and math.isfinite(observation.mean())
    }


def _write(path: Path, state: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(state))
