"""The settings of a search, checked before anything runs."""

import dataclasses
from pathlib import Path
from typing import Any

from kerasdl.errors import UsageError, did_you_mean
from kerasdl.recipe import Recipe, catalog
from kerasdl.search import folder as folders
from kerasdl.search.keras_tuner.oracles import ORACLES
from kerasdl.search.keras_tuner.tuner import SpaceFunction
from kerasdl.search.objectives import (
    Constraint,
    Objective,
    artefact_of,
    parse_constraint,
    parse_objective,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """A search: the recipe, its space, and how trials are chosen and judged.

    Attributes:
        recipe: the recipe whose values are the defaults and trial 0; its seed is the seed of the search.
        space: function that draws hyperparameters and returns the recipe with their values.
        space_file: file that defines the space.
        recipe_source: file that defines the recipe.
        tuner: name of an oracle: bayesian, random, grid, hyperband, keras-bayesian.
        max_trials: number of trials; None for the tuner's own number (Hyperband, a grid).
        objectives: names of metrics, `max:NAME` or `min:NAME` where the direction is not known. Defaults to
            those of the recipe's task.
        constraints: limits on metrics, such as `tflite_kb<=100`.
        pruner: "median", "halving" or "none". Defaults to the median for one objective known in every epoch.
        retries: number of times that a trial is restarted after its process crashed.
        searches_dir: folder of all searches.
        new: start a new search even if an unfinished one with the same settings exists.

    Raises:
        UsageError: when the settings contradict each other.
    """

    recipe: Recipe
    space: SpaceFunction
    space_file: Path
    recipe_source: Path | None = None
    tuner: str = "bayesian"
    max_trials: int | None = 20
    objectives: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    pruner: str | None = None
    retries: int = 1
    searches_dir: Path = Path("searches")
    new: bool = False

    def __post_init__(self):
        if self.tuner not in ORACLES:
            raise UsageError(
                f"--tuner is {self.tuner!r}; it takes {', '.join(ORACLES)}."
                + did_you_mean(self.tuner, ORACLES)
            )
        aims, limits = self.aims, self.limits
        if not aims:
            raise UsageError(
                f"The search has nothing to aim at: {self.recipe.model.target.__name__} has no val_loss, and "
                "no judge tells val_fid. Leave out --judge none, --judge-by loss and --val-fid-samples 0, "
                "give --judge RUN, a classifier, for data without classes, or name a figure with --objective."
            )
        if len({aim.name for aim in aims}) < len(aims):
            raise UsageError("An objective is named twice. Name each once.")
        if self.tuner in ("hyperband", "keras-bayesian") and (len(aims) > 1 or limits):
            raise UsageError(
                f"--tuner {self.tuner} knows one --objective and no --subject-to. Use --tuner bayesian, "
                "random or grid."
            )
        if self.max_trials is not None and self.max_trials < 1:
            raise UsageError(f"--max-trials is {self.max_trials}, but at least 1 is needed.")
        if self.retries < 0:
            raise UsageError(f"--retries is {self.retries}, but it cannot be less than 0.")
        if self.pruner not in (None, "none"):
            if self.tuner == "hyperband":
                raise UsageError("--tuner hyperband stops trials early by itself: leave --pruner out.")
            if len(aims) > 1:
                raise UsageError(
                    "--pruner stops trials by one figure, but there are several objectives. Leave it out."
                )
            if not self._judges_epochs:
                raise UsageError(
                    f"{aims[0].name} is known only when a trial is over. Give a figure of every epoch as the "
                    "first --objective, or leave --pruner out."
                )

    @property
    def aims(self) -> list[Objective]:
        """The objectives, parsed; those of the task where none is given."""
        own = self.recipe.task.objectives_of(self.recipe.model.target)
        return [parse_objective(text) for text in self.objectives or own]

    @property
    def limits(self) -> list[Constraint]:
        """The constraints, parsed."""
        return [parse_constraint(text) for text in self.constraints]

    @property
    def _judges_epochs(self) -> bool:
        first, *others = self.aims
        return self.tuner != "hyperband" and not others and artefact_of(first.name) is None

    @property
    def pipeline(self) -> str:
        """The recipe's name on the command line: a shipped name, or the user's file."""
        shipped = catalog.names("tuning").get(self.space_file.stem)
        return self.recipe.name if shipped == self.space_file else str(self.space_file)

    @property
    def settings(self) -> folders.Settings:
        """The settings that tell this search from others."""
        return folders.Settings(
            tuner=self.tuner,
            objectives=tuple(map(str, self.aims)),
            constraints=tuple(map(str, self.limits)),
            pruner=self.pruner or ("median" if self._judges_epochs else "none"),
        )

    def oracle(self) -> Any:
        """Return a new oracle."""
        options = {"max_epochs": self.recipe.epochs} if self.tuner == "hyperband" else {}
        oracle = ORACLES[self.tuner](
            objectives=self.aims,
            constraints=self.limits,
            pruner=self.settings.pruner,
            seed=self.recipe.seed,
            **options,
        )
        oracle.max_trials = self.max_trials
        return oracle
