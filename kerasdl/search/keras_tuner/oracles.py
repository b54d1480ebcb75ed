"""The oracles of a search, by the names that `--tuner` takes."""

from typing import Any

import keras_tuner
from keras_tuner import oracles as stock
from keras_tuner.engine.trial import TrialStatus

from kerasdl.search import space
from kerasdl.search.bayesian import suggest
from kerasdl.search.keras_tuner.dependable import Dependable, figures
from kerasdl.search.keras_tuner.private import restore_grid


class RandomOracle(Dependable, stock.RandomSearchOracle):
    """Keras Tuner's random search."""

    method = "random search"


class GridOracle(Dependable, stock.GridSearchOracle):
    """Keras Tuner's grid search."""

    method = "grid search: the recipe's own values, then the others in order; ten of a continuous range"

    def reload(self):
        """Read the state, and work out the place in the grid."""
        super().reload()
        restore_grid(self)


class HyperbandOracle(Dependable, stock.HyperbandOracle):
    """Keras Tuner's Hyperband. Each round trains from the start: schedules depend on the number of epochs."""

    method = "Hyperband (Li et al., 2018), factor 3"


class StockBayesianOracle(Dependable, stock.BayesianOptimizationOracle):
    """Keras Tuner's own Gaussian process."""

    method = "Keras Tuner's Gaussian process, upper confidence bound"


class BayesianOracle(Dependable, keras_tuner.Oracle):
    """A Gaussian process that knows conditions and categories; see `kerasdl.search.bayesian.suggest`."""

    @property
    def method(self) -> str:
        """Description of the method."""
        parts = ["Gaussian process, log expected improvement"]
        if len(self.objectives) > 1:
            parts.append("several objectives by ParEGO")
        if self.constraints:
            parts.append("limits by their probability")
        return "; ".join(parts)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the status and the values of the next trial."""
        if not self.trials:
            return {"status": TrialStatus.RUNNING, "values": self.own_values()}
        ended = set(self.end_order)
        observations, pending = [], []
        for trial in self.trials.values():
            if trial.trial_id not in ended:
                pending.append(trial.hyperparameters.values)
            else:
                found = figures(trial) if trial.status == TrialStatus.COMPLETED else None
                observations.append(suggest.Observation(trial.hyperparameters.values, found))
        values = suggest.suggest(
            space.from_keras_tuner(self.hyperparameters.get_config()["space"]),
            observations,
            pending,
            objectives=self.objectives,
            constraints=self.constraints,
            seed=self.seed,
        )
        if values is None:
            return {"status": TrialStatus.STOPPED, "values": None}
        return {"status": TrialStatus.RUNNING, "values": values}


#: Oracles by the names that `--tuner` takes.
ORACLES = {
    "bayesian": BayesianOracle,
    "random": RandomOracle,
    "grid": GridOracle,
    "hyperband": HyperbandOracle,
    "keras-bayesian": StockBayesianOracle,
}
