"""Classification: one class out of several for each example."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Tree
from kerasdl.data.splits import Split
from kerasdl.errors import UsageError
from kerasdl.inference.answers import Answers, Batches
from kerasdl.inference.endpoint import Endpoint
from kerasdl.report.blocks import Section
from kerasdl.tasks.classification import (
    attention,
    baselines,
    class_numbers,
    class_weights,
    comparison,
    endpoints,
    figures,
    files,
    first_texts,
    verdicts,
)
from kerasdl.tasks.task import Evaluation, RunDifference, Task, Verdict

if TYPE_CHECKING:
    import keras

_log = logging.getLogger(__name__)
_IMBALANCE = 5  # times as many examples in one class as in another


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classification(Task):
    """Classification into classes that exclude each other.

    The network gives logits (batch_size, num_classes), or a dict that contains them as `logits`. Features are
    images, or anything else that one network takes.
    """

    # Part of the target given to all classes alike, 0 to 1.
    label_smoothing: float = 0.0
    # Weight of each class in the loss: balanced (inverse frequency), or one number a class: 1,1,2.
    class_weights: Literal["balanced"] | tuple[float, ...] | None = None
    # Fit a temperature on the validation split, so that the probabilities mean what they say.
    calibrate: bool = False
    # Figure that picks the best epoch: auto is balanced_accuracy (the mean of the classes' recalls) with
    # class_weights, or where one class has 5 times as many examples as another, else accuracy.
    judge_by: Literal["auto", "accuracy", "balanced_accuracy"] = "auto"
    # Export an endpoint that takes a sequence step by step and answers after each, as the network can.
    streaming: bool = False

    columns: ClassVar = {"accuracy": ("accuracy", ".2%"), "max_difference": ("max difference", ".1e")}
    from_data: ClassVar = ("num_classes", "num_outputs")

    def __post_init__(self):
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"label_smoothing is {self.label_smoothing}, but it has to lie in 0 <= x < 1.")
        if isinstance(self.class_weights, (tuple, list)):
            weights = np.array(self.class_weights, float)
            if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
                raise UsageError(
                    f"class_weights is {','.join(map(str, self.class_weights))}, but each weight has to be a "
                    "number from 0 on, and one of them above 0."
                )

    @property
    def objectives(self) -> tuple[str, ...]:
        balanced = self.judge_by == "balanced_accuracy" or (self._has_weights and self.judge_by == "auto")
        return ("val_balanced_accuracy" if balanced else "val_accuracy",)

    @property
    def _has_weights(self) -> bool:
        return self.class_weights is not None

    def resolve(self, data: Dataset) -> "Classification":
        """Settle what the best epoch is picked by, and say so where it is not the plain accuracy."""
        self.network_arguments(data.spec)
        if data.spec.class_names:
            class_numbers.check(data)
        seen = np.bincount(data.validation.targets, minlength=len(data.spec.class_names))
        if unseen := [name for name, count in zip(data.spec.class_names, seen, strict=True) if not count]:
            _log.warning(
                f"Not one of the {len(data.validation):,} validation examples is of the class "
                f"{verdicts.listed(unseen)}: the best epoch is picked without it."
            )
        if self.judge_by != "auto":
            return self
        counts = np.bincount(data.train.targets, minlength=len(data.spec.class_names))
        present = counts[counts > 0]
        ratio = float(present.max() / present.min())
        judged = self._has_weights or ratio >= _IMBALANCE
        if judged:
            why = (
                "The classes have weights"
                if self._has_weights
                else f"One class has {ratio:.0f} times as many examples as another"
            )
            _log.warning(
                f"{why}: the best epoch is picked by balanced accuracy, the mean of the recalls of all "
                "classes. (By plain accuracy: --judge-by accuracy.)"
            )
        return dataclasses.replace(self, judge_by="balanced_accuracy" if judged else "accuracy")

    def network_arguments(self, data):
        """Return the number of classes.

        Raises:
            UsageError: when the target of the data is not a class.
        """
        if not data.class_names:
            raise UsageError(
                "The data has no classes to tell apart: its targets are numbers, or several. Use "
                "Regression(), a task of your own, or data with a class for each example."
            )
        if data.targets.shape:
            raise UsageError(
                "The data has a tag at each token, not a class for each example. Use the pipeline tagger."
            )
        return {"num_classes": len(data.class_names)}

    # Training

    def loss(self, data: DataSpec) -> "keras.Loss":
        """Return the cross-entropy of (labels, logits)."""
        from kerasdl.tasks.classification.losses import SparseCrossentropy

        return SparseCrossentropy(label_smoothing=self.label_smoothing)

    def metrics(self, data: DataSpec) -> "list[keras.Metric]":
        """Return the accuracy, and the balanced one where epochs are judged by it."""
        from kerasdl.tasks.classification.losses import Accuracy, BalancedAccuracy

        found = [Accuracy(name="accuracy")]
        if self.judge_by == "balanced_accuracy":
            found.append(BalancedAccuracy(num_classes=len(data.class_names), name="balanced_accuracy"))
        return found

    def check_outputs(self, outputs: Tree, data: DataSpec, main_output: str) -> None:
        from kerasdl.tasks.classification.outputs import check_logits

        check_logits(outputs, data.class_names, main_output)

    def sample_weights(self, data: Dataset) -> Callable[[Tree], Tree] | None:
        """Return a function from labels to class weights; of mixed labels to the mean by share."""
        of_class = class_weights.of_classes(self.class_weights, data)
        return None if of_class is None else functools.partial(class_weights.of_labels, of_class)

    def score(self, logs):
        balanced = self.judge_by == "balanced_accuracy"
        return (logs["val_balanced_accuracy" if balanced else "val_accuracy"], -logs["val_loss"])

    def has_learned(self, logs, first):
        return logs["val_accuracy"] >= 0.99

    # After training

    def fit_after_training(self, network: "keras.Model", data: DataSpec, batches: Batches) -> dict[str, Any]:
        """Fit the temperature where `calibrate` asks for it; see `temperature.fit_temperature`."""
        if not self.calibrate:
            return {}
        from kerasdl.tasks.classification import temperature

        return temperature.fit(network, batches)

    def calibrated(self):
        return dataclasses.replace(self, calibrate=True)

    # Judging

    def evaluate(self, answers: Answers, data: DataSpec, fitted: Mapping[str, Any]) -> Evaluation:
        """Return all figures of a split; see `figures.figures`.

        Args:
            answers: outputs `probabilities` (N, num_classes), float32, and where it is there `class_ids`
                (N,); targets (N,), integers.
            data: with the names of the classes.
            fitted: with the `temperature` where the probabilities are calibrated.
        """
        probabilities, labels = answers.outputs["probabilities"], answers.targets
        class_ids = files.class_ids(answers.outputs)
        predictions = {
            "labels": labels.astype(np.int32),
            "class_ids": class_ids.astype(np.int32),
            "confidence": figures.confidences(probabilities, class_ids).astype(np.float32),
        }
        worst = figures.worst_mistakes(predictions["confidence"], class_ids == labels)
        return Evaluation(
            figures=figures.figures(
                probabilities, labels, data.class_names, class_ids, fitted.get("temperature", 1.0)
            ),
            predictions=predictions,
            mistakes={"indices": worst, **{name: values[worst] for name, values in predictions.items()}},
        )

    def details(self, network, data, features):
        return attention.over_words(network, data, features)

    def gallery(self, predictor, data):
        return first_texts.answered(predictor, data)

    def beside_baselines(self, figures: dict[str, Any], data: Dataset, split: Split) -> dict[str, Any]:
        """Add the accuracy of linear classifiers of word counts, where examples are texts."""
        found = baselines.of_texts(data, split)
        return {**figures, "baselines": found} if found else figures

    def compare_runs(
        self, first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]
    ) -> RunDifference | None:
        """Compare the numbers of right answers by McNemar's exact test."""
        return comparison.compare(first, second)

    # Shipping

    def endpoints(
        self, network: "keras.Model | None", data: DataSpec, fitted: Mapping[str, Any]
    ) -> tuple[Endpoint, ...]:
        """Return how an exported classifier is called: with raw examples, and with encoded image files.

        A fitted temperature becomes a part of the graph: it divides the logits. The class is taken before, so
        that no rounding can change it.
        """
        return endpoints.endpoints(network, data, fitted, streaming=self.streaming)

    # Showing

    def summary(self, figures: Mapping[str, Any]) -> str:
        low, high = figures["accuracy_interval"]
        return (
            f"Test accuracy {figures['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}) on "
            f"{figures['examples']:,} examples; calibration error (ECE) {figures['ece']:.2%}."
        ) + verdicts.recalls(figures["per_class"])

    def verdicts(self, figures: Mapping[str, Any]) -> list[Verdict]:
        return verdicts.verdicts(figures)

    def tables(self, figures: Mapping[str, Any]) -> Sequence[Any]:
        from kerasdl.tasks.classification.tables import tables

        return tables(figures)

    def sections(self, figures, class_names, mistakes) -> Sequence[Section]:
        from kerasdl.tasks.classification.page import sections

        return sections(figures, class_names, mistakes)
