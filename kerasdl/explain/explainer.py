"""The interface of explaining: what one kind of examples needs so that `kerasdl explain` can explain it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from kerasdl.data.dataset import DataSpec
from kerasdl.data.source import Source
from kerasdl.errors import UsageError
from kerasdl.inference import labels
from kerasdl.inference.endpoint import Example
from kerasdl.tasks.task import Task

#: Explanations as arrays by name, with `about`: all else, as JSON.
Explanations = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Examples:
    """Raw examples to explain.

    Attributes:
        features: (N, ...): images (N, height, width, channels), uint8; texts (N,), object; windows of a
            series (N, context, columns), float32.
        names: of each.
        true: target of each, where they are known.
    """

    features: np.ndarray
    names: Sequence[str]
    true: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be explained, and how.

    Attributes:
        class_names: in the order of the network's logits; of a forecaster the columns that it forecasts,
            of a regressor the names of its targets.
        class_id: which of them to explain; None for the class that is predicted, or for the first column or
            target.
        methods: some of the explainer's; None for all that the network can have.
        steps: of integrated gradients, to begin with.
        temperature: that the run's probabilities are calibrated by.
        token: word of a sentence whose tag is to be explained, or its number from 0 on; None for a choice.
        ahead: row of a forecast to explain, from 1 on; None for the mean of all.
        task: of the run; needed where answers are numbers, which it knows the units of.
    """

    class_names: Sequence[str]
    class_id: int | None = None
    methods: Sequence[str] | None = None
    steps: int = 32
    temperature: float = 1.0
    token: str | None = None
    ahead: int | None = None
    task: Task | None = None


class Explainer:
    """Explains one kind of answers: what adds to the logit of a class, or to a number."""

    #: What is explained, in the plural.
    name: ClassVar[str]
    #: What to give the command.
    given: ClassVar[str]
    #: Words of `--methods`.
    methods: ClassVar[tuple[str, ...]]
    #: Title and name of the file to look at first.
    first_file: ClassVar[tuple[str, str]]
    #: Number of examples in one call.
    most_examples: ClassVar[int] = 1000
    #: Fields of `Question` that pick one of several answers to an example: "token", "ahead".
    picks: ClassVar[tuple[str, ...]] = ()
    #: Place in the test split of what is explained without examples; None for the run's mistakes.
    test_place: ClassVar[int | None] = None

    def takes(self, task: Task, data: DataSpec) -> bool:
        """Tell whether the answers of a task to some data are of this kind."""
        raise NotImplementedError

    def class_names(self, data: DataSpec) -> Sequence[str]:
        """Return the names of what can be explained, in the order of the network's answers."""
        return data.class_names

    def class_number(self, text: str, data: DataSpec) -> int:
        """Return the number of what is to be explained, given by its name or by its number from 0 on.

        Raises:
            UsageError: when there is no such class.
        """
        return labels.class_number(text, self.class_names(data))

    def read(
        self, given: Sequence[str], text_column: str | None, source: Source, data: DataSpec
    ) -> Sequence[Example] | None:
        """Read what a user gave; None where that is read as `kerasdl predict` reads it.

        Args:
            given: paths, or texts.
            text_column: column of the texts in tables.
            source: what the run was trained on.
            data: what is in each of its examples.

        Raises:
            UsageError: when it cannot be read.
        """
        return None

    def explain(
        self, network: keras.Model, data: DataSpec, examples: Examples, asked: Question
    ) -> Explanations:
        """Explain the answers to some examples.

        Raises:
            UsageError: when the network gives other answers, or cannot be explained by one of the methods.
        """
        raise NotImplementedError

    def files(self, arrays: Explanations) -> Mapping[str, Callable[[Path], Any]]:
        """Return functions that write the files for people to look at, by the names of the files."""
        raise NotImplementedError

    def tables(self, about: Mapping[str, Any]) -> Sequence[Any]:
        """Return what the command prints, as texts and renderables of rich."""
        raise NotImplementedError


def answers(
    logits: np.ndarray, examples: Examples, asked: Question, predicted: np.ndarray | None = None
) -> tuple[np.ndarray, list[Any]]:
    """Return the class to explain of each example (N,), and a row about each answer.

    Args:
        logits: (N, num_classes).
        examples: N of them.
        asked: what is to be explained.
        predicted: the class of each example (N,), where it is not that of the highest logit.

    Raises:
        UsageError: when these are not the logits of the classes.
    """
    names = asked.class_names
    if logits.ndim != 2 or logits.shape[1] != len(names):
        raise UsageError(
            f"This network answers with {logits.shape[1:]}, not with a logit for each of {len(names)} "
            "classes: only classifications can be explained."
        )
    predicted = logits.argmax(-1) if predicted is None else predicted
    class_ids = predicted if asked.class_id is None else np.full(len(logits), asked.class_id)
    scaled = (logits / asked.temperature).astype(np.float64)
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    probabilities = powers[np.arange(len(powers)), predicted] / powers.sum(-1)
    rows = []
    for index, (name, class_id) in enumerate(zip(examples.names, class_ids, strict=True)):
        rows.append({
            "name": name, "predicted": names[predicted[index]],
            "probability": float(probabilities[index]), "class": names[class_id],
            "logit": float(logits[index, class_id]),
        })  # fmt: skip
        if examples.true is not None:
            rows[-1]["true"] = names[examples.true[index]]
    return class_ids, rows


def not_exact(row: Mapping[str, Any]) -> list[str]:
    """Return a note where integrated gradients do not add up; none where there are no such."""
    if row.get("error", 0) <= 0.01:
        return []
    return [
        f"Integrated gradients of {row['name']}: after {row['steps']:,} steps their sum is still "
        f"{row['error']:.1%} away from the difference that they divide. More --steps may help."
    ]
