"""Tagging: one answer for each token of a sentence."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Spec, Tree
from kerasdl.data.splits import Split
from kerasdl.errors import UsageError
from kerasdl.inference.answers import Answers
from kerasdl.inference.endpoint import Endpoint
from kerasdl.report.blocks import Section
from kerasdl.tasks.tagging import baseline, comparison
from kerasdl.tasks.tagging import figures as of_tags
from kerasdl.tasks.task import Evaluation, RunDifference, Task, Verdict

if TYPE_CHECKING:
    import keras

_NUM_MISTAKES = 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tagging(Task):
    """Tagging: features are tokens (N, T), targets the numbers of their tags, from 1 on, 0 behind the end.

    The network gives logits (batch_size, T, num_tags), or potentials (batch_size, T, num_tags, num_tags) of a
    linear chain (`kerasdl.layers.linear_chain`), whose answer is the best sequence of tags as a whole.
    """

    # Figure that picks the best epoch: f1 (of entities, where the tags mark any, else the mean over the tags)
    # or accuracy of the tokens.
    judge_by: Literal["f1", "accuracy"] = "f1"
    # Export an endpoint that takes sentences token by token and tags each, as the network can.
    streaming: bool = False

    columns: ClassVar = {
        "f1": ("F1", ".2%"),
        "accuracy": ("accuracy", ".2%"),
        "max_difference": ("max difference", ".1e"),
    }
    from_data: ClassVar = ("num_tags",)

    @property
    def objectives(self) -> tuple[str, ...]:
        return (f"val_{self.judge_by}",)

    def network_arguments(self, data):
        """Return the number of tags.

        Raises:
            UsageError: when the data has no tag at each token.
        """
        return {"num_tags": len(_tags(data))}

    # Training

    def loss(self, data: DataSpec) -> "keras.Loss":
        from kerasdl.tasks.tagging.losses import TagLoss

        return TagLoss()

    def metrics(self, data: DataSpec) -> "list[keras.Metric]":
        from kerasdl.tasks.tagging.losses import TagF1, TokenAccuracy

        return [TokenAccuracy(name="accuracy"), TagF1(tags=_tags(data), name="f1")]

    def check_outputs(self, outputs: Tree, data: DataSpec, main_output: str) -> None:
        if isinstance(outputs, Mapping):
            outputs = outputs.get(main_output, np.zeros(()))
        count = len(_tags(data))
        if outputs.shape[2:] not in ((count,), (count, count)):
            raise UsageError(
                f"The network gives outputs of shape {outputs.shape[1:]} for each sentence, but logits (T, "
                f"{count}) are needed: one for each tag at each token. Let its last layer be Dense(num_tags) "
                "or LinearChain(num_tags=num_tags), with the num_tags that its constructor is given."
            )

    def score(self, logs):
        return (logs[f"val_{self.judge_by}"], -logs["val_loss"])

    def has_learned(self, logs, first):
        return logs["val_accuracy"] >= 0.99

    # Judging

    def evaluate(self, answers: Answers, data: DataSpec, fitted: Mapping[str, Any]) -> Evaluation:
        """Return all figures of a split; see `figures.figures`.

        Args:
            answers: outputs `tag_ids` (N, T), int32, and `probabilities` (N, T, num_tags), float32; targets
                (N, L), int32.
            data: with the names of the tags.
            fitted: not used.
        """
        targets, given = of_tags.unread_is_wrong(answers.targets, answers.outputs[of_tags.TAGS])
        counted = of_tags.sentence_figures(given, targets)
        wrong = counted["tokens"] - counted["right"]
        worst = np.argsort(-wrong, kind="stable")[: min(_NUM_MISTAKES, int((wrong > 0).sum()))]
        return Evaluation(
            figures=of_tags.figures(given, targets, data.class_names),
            predictions={**counted, "targets": targets, "tag_ids": given.astype(np.int32)},
            mistakes={"indices": worst, "targets": targets[worst], "tag_ids": given[worst]},
        )

    def beside_baselines(self, figures: dict[str, Any], data: Dataset, split: Split) -> dict[str, Any]:
        """Add the figures of the tag that each word most often has in training."""
        found = baseline.of_words(data, split)
        return {**figures, "baseline": found} if found else figures

    def compare_runs(
        self, first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]
    ) -> RunDifference | None:
        """Compare the numbers of right tags by a test over sentences."""
        return comparison.compare(first, second)

    # Shipping

    def endpoints(
        self, network: "keras.Model | None", data: DataSpec, fitted: Mapping[str, Any]
    ) -> tuple[Endpoint, ...]:
        """Return how an exported tagger is called: with tokens, and with the numbers of them."""
        from kerasdl.tasks.tagging.endpoints import endpoints

        return endpoints(network, data, streaming=self.streaming)

    # Showing

    def summary(self, figures: Mapping[str, Any]) -> str:
        kind = "entities" if figures["kind"] == "entities" else "the tags, on average"
        told = (
            f"Test: F1 of {kind} {figures['f1']:.2%}, {figures['accuracy']:.2%} of {figures['tokens']:,} "
            f"tokens and {figures['sentence_accuracy']:.2%} of {figures['examples']:,} sentences are right"
        )
        if beside := figures.get("baseline"):
            told += (
                f". The most frequent tag of each word: F1 {beside['f1']:.2%}, {beside['accuracy']:.2%} of "
                "the tokens"
            )
        return f"{told}."

    def verdicts(self, figures: Mapping[str, Any]) -> list[Verdict]:
        beside = figures.get("baseline")
        if beside is None or figures["f1"] > beside["f1"]:
            return []
        return [
            Verdict(
                text="No better than a list of words: with the most frequent tag of each word F1 is "
                f"{beside['f1']:.2%}, with this network {figures['f1']:.2%}.",
                flags="--epochs 20",
            )
        ]

    def tables(self, figures: Mapping[str, Any]) -> Sequence[Any]:
        from kerasdl.tasks.tagging.tables import tables

        return tables(figures)

    def sections(self, figures, class_names, mistakes) -> Sequence[Section]:
        from kerasdl.tasks.tagging.page import sections

        return sections(figures, class_names, mistakes)


def _tags(data: DataSpec) -> tuple[str, ...]:
    """Return the tags, from number 1 on.

    Raises:
        UsageError: when the data has no tag at each token.
    """
    targets = data.targets
    if not isinstance(targets, Spec) or targets.shape != (None,) or not targets.class_names:
        raise UsageError(
            "The data has no tag at each token. Give --data requests, a .conll or .csv file with a token and "
            "its tag on each line, or a .jsonl file with lists of tokens and tags."
        )
    return targets.class_names
