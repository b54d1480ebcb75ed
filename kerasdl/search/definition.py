"""What is to be searched, and how: said by the user, checked before anything runs."""

import dataclasses
from pathlib import Path
from typing import Any

from kerasdl.errors import UsageError, did_you_mean
from kerasdl.recipe import Recipe, catalog
from kerasdl.search import folder as folders
from kerasdl.search.keras_tuner.oracles import ORACLES
from kerasdl.search.keras_tuner.tuner import SpaceFunction
from kerasdl.search.objectives import artefact_of, parse_constraint, parse_objective


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """What is to be searched, and how.

    Attributes:
        recipe: whose values are the defaults and trial 0; its seed is that of the search.
        space: of the recipe.
        space_file: file of the space.
        recipe_source: file the recipe came from.
        tuner: name of an oracle: bayesian, random, grid, hyperband, keras-bayesian.
        max_trials: of the search; None for the tuner's own number (Hyperband, a grid).
        objectives: names of figures, `max:NAME` or `min:NAME` where the direction is not known.
        constraints: limits, such as `tflite_kb<=100`.
        pruner: "median", "halving" or "none". Defaults to the median, where there is something to judge by.
        retries: how often a trial begins again whose process crashed.
        searches_dir: folder of all searches.
        new: begin a new search, also where an unfinished one of the same settings is there.

    Raises:
        UsageError: for what does not fit together.
    """

    recipe: Recipe
    space: SpaceFunction
    space_file: Path
    recipe_source: Path | None = None
    tuner: str = "bayesian"
    max_trials: int | None = 20
    objectives: tuple[str, ...] = ("val_accuracy",)
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
        aims = [parse_objective(text) for text in self.objectives]
        limits = [parse_constraint(text) for text in self.constraints]
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
    def _judges_epochs(self) -> bool:
        first, *others = self.objectives
        return self.tuner != "hyperband" and not others and artefact_of(parse_objective(first).name) is None

    @property
    def pipeline(self) -> str:
        """What commands call the recipe: a shipped name, or the user's file."""
        shipped = catalog.names("tuning").get(self.space_file.stem)
        return self.recipe.name if shipped == self.space_file else str(self.space_file)

    @property
    def settings(self) -> folders.Settings:
        """What makes it another search."""
        return folders.Settings(
            tuner=self.tuner,
            objectives=tuple(str(parse_objective(text)) for text in self.objectives),
            constraints=tuple(str(parse_constraint(text)) for text in self.constraints),
            pruner=self.pruner or ("median" if self._judges_epochs else "none"),
        )

    def oracle(self) -> Any:
        """Return a new oracle."""
        options = {"max_epochs": self.recipe.epochs} if self.tuner == "hyperband" else {}
        oracle = ORACLES[self.tuner](
            objectives=[parse_objective(text) for text in self.objectives],
            constraints=[parse_constraint(text) for text in self.constraints],
            pruner=self.settings.pruner,
            seed=self.recipe.seed,
            **options,
        )
        oracle.max_trials = self.max_trials
        return oracle
