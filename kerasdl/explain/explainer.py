"""The interface of explaining: what one kind of examples needs so that `kerasdl explain` can explain it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from kerasdl.data.dataset import DataSpec, Tree
from kerasdl.errors import UsageError

#: Explanations as arrays by name, with `about`: all else, as JSON.
Explanations = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Examples:
    """Raw examples to explain.

    Attributes:
        features: (N, ...): images (N, height, width, channels), uint8; texts (N,), object.
        names: of each.
        true: class id of each, where they are known.
    """

    features: np.ndarray
    names: Sequence[str]
    true: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be explained, and how.

    Attributes:
        class_names: in the order of the logits.
        class_id: class to explain; None for the one that is predicted.
        methods: some of the explainer's; None for all that the network can have.
        steps: of integrated gradients, to begin with.
        temperature: that the run's probabilities are calibrated by.
        token: word of a sentence whose tag is to be explained, or its number from 0 on; None for a choice.
    """

    class_names: Sequence[str]
    class_id: int | None = None
    methods: Sequence[str] | None = None
    steps: int = 32
    temperature: float = 1.0
    token: str | None = None


class Explainer:
    """Explains the answers of classifiers over one kind of examples."""

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
    #: Whether one of several answers to an example is explained, that of a token.
    takes_token: ClassVar[bool] = False

    def takes(self, inputs: Tree) -> bool:
        """Tell whether examples of a specification are of this kind."""
        raise NotImplementedError

    def explain(
        self, network: keras.Model, data: DataSpec, examples: Examples, asked: Question
    ) -> Explanations:
        """Explain the answers to some examples.

        Raises:
            UsageError: when the network does not classify, or cannot be explained by one of the methods.
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
    """Return a note where integrated gradients do not add up."""
    if row["error"] <= 0.01:
        return []
    return [
        f"Integrated gradients of {row['name']}: after {row['steps']:,} steps their sum is still "
        f"{row['error']:.1%} away from the difference of the logits. More --steps may help."
    ]
