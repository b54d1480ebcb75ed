"""Language models: the next character of a text, from those before it."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Spec, Tree
from kerasdl.data.passes import Batches, split_batches
from kerasdl.data.splits import Split
from kerasdl.errors import UsageError
from kerasdl.inference import generation, steps
from kerasdl.inference.answers import Answers
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.predictor import Predictor
from kerasdl.inference.runtimes import EndpointPredictor
from kerasdl.report.blocks import Section
from kerasdl.tasks.language import comparison, ngram, streaming
from kerasdl.tasks.language import figures as of_nats
from kerasdl.tasks.task import Evaluation, Task, Verdict

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageModel(Task):
    """Language modelling by characters: features and targets are ids (N, T), the targets one place further.

    The network gives logits (batch_size, T, vocabulary_size), those at a place from the characters up to it.
    """

    # Characters of the text that the network writes after each epoch, for the report; 0 for none.
    sample_length: int = 300

    columns: ClassVar = {
        "nats": ("nats", ".4f"),
        "perplexity": ("perplexity", ".3f"),
        "max_difference": ("max difference", ".1e"),
    }
    from_data: ClassVar = ("vocabulary_size",)

    def __post_init__(self):
        if self.sample_length < 0:
            raise UsageError(f"sample_length is {self.sample_length}, but it has to be 0 or more.")

    def network_arguments(self, data):
        """Return the size of the vocabulary.

        Raises:
            UsageError: when the data is no text of character ids.
        """
        return {"vocabulary_size": len(vocabulary_of(data))}

    # Training

    def loss(self, data: DataSpec) -> "keras.Loss":
        from kerasdl.tasks.language.losses import NextCharacter

        return NextCharacter()

    def metrics(self, data: DataSpec) -> "list[keras.Metric]":
        from kerasdl.tasks.language.losses import Perplexity

        return [Perplexity(name="perplexity")]

    def check_outputs(self, outputs: Tree, data: DataSpec, main_output: str) -> None:
        if isinstance(outputs, Mapping):
            outputs = outputs.get(main_output, np.zeros(()))
        size = len(vocabulary_of(data))
        if outputs.ndim != 3 or outputs.shape[-1] != size:
            raise UsageError(
                f"The network gives outputs of shape {outputs.shape[1:]} for each text, but logits (T, "
                f"{size}) are needed: one for each character of the vocabulary at each place. Let its last "
                "layer be Dense(vocabulary_size), with the vocabulary_size that its constructor is given."
            )

    def has_learned(self, logs, first):
        """Tell whether the few texts are known: their first characters cannot be told from nothing."""
        return logs["val_loss"] <= max(0.1, 0.05 * first["val_loss"])

    def sampler(self, network: "keras.Model", data: DataSpec) -> Callable[[], str] | None:
        from kerasdl.tasks.language.endpoints import endpoints

        found = {endpoint.name: endpoint for endpoint in endpoints(network)}
        if not self.sample_length or steps.STEP not in found:
            return None
        vocabulary = vocabulary_of(data)
        predictor = EndpointPredictor(Path("the network"), [found[steps.STEP]], ())
        begun = [vocabulary.index("\n") if "\n" in vocabulary else 1]
        settings = generation.Settings(length=self.sample_length)

        def sample() -> str:
            states = steps.zeros_of(predictor.inputs[steps.STEP], streaming.IDS, 1)
            step = functools.partial(predictor.call, steps.STEP)
            return "".join(vocabulary[one] for one in generation.write(step, states, begun, settings))

        return sample

    # Judging

    def evaluate(self, answers: Answers, data: DataSpec, fitted: Mapping[str, Any]) -> Evaluation:
        """Return the figures of windows that begin without a past; see `figures.figures`.

        Args:
            answers: output `logits` (N, T, vocabulary_size); targets (N, T), ids.
            data: what is in each example.
            fitted: not used.
        """
        nats = of_nats.nats_of(answers.outputs["logits"], answers.targets)
        of_windows = nats.mean(axis=1).astype(np.float32)
        return Evaluation(figures=of_nats.figures(nats), predictions={"nats": of_windows})

    def evaluate_further(self, predictor: Predictor, batches: Batches) -> dict[str, Any]:
        """Return the nats with the state carried through the text; see `streaming.carried`."""
        ids = streaming.whole_text(batches)
        if ids is None or steps.STEP not in predictor.inputs:
            return {}
        return dict(streaming.carried(predictor, ids))

    def beside_baselines(self, figures: dict[str, Any], data: Dataset, split: Split) -> dict[str, Any]:
        """Return the figures with the nats of an n-gram model."""
        ids, trained = (streaming.whole_text(split_batches(part)) for part in (split, data.train))
        if ids is None or trained is None:
            return figures
        counted = ngram.NGrams(trained, size=len(vocabulary_of(data.spec)))
        return {**figures, "ngram_nats": counted.nats(ids), "ngram_order": counted.order}

    def compare_runs(self, first, second):
        return comparison.compare(first, second)

    def verdicts(self, figures: Mapping[str, Any]) -> list[Verdict]:
        reached = min(figures["nats"], figures.get("carried_nats", np.inf))
        if not reached >= figures.get("ngram_nats", np.inf):
            return []
        return [
            Verdict(
                text=f"No better than counting: an n-gram model of {figures['ngram_order']} characters needs "
                f"{figures['ngram_nats']:.3f} nats a character, this network {reached:.3f}.",
                flags="--epochs 20",
            )
        ]

    # Shipping

    def endpoints(
        self, network: "keras.Model | None", data: DataSpec, fitted: Mapping[str, Any]
    ) -> tuple[Endpoint, ...]:
        """Return the endpoint over whole texts and, for a network that can, the one over single steps."""
        from kerasdl.tasks.language.endpoints import endpoints

        return endpoints(network)

    # Showing

    def try_command(self, path: str, endpoints: Sequence[str], example: str) -> list[str]:
        return ["kerasdl", "generate", path, "--length", "200"] if steps.STEP in endpoints else []

    def summary(self, figures: Mapping[str, Any]) -> str:
        told = (
            f"Test: {figures['nats']:.4f} nats a character (perplexity {figures['perplexity']:.3f}), each "
            f"window of {figures['window']} characters without a past"
        )
        if "carried_nats" in figures:
            told += f"; {figures['carried_nats']:.4f} with the state carried through the text"
        if "ngram_nats" in figures:
            told += f". An n-gram model of order {figures['ngram_order']} needs {figures['ngram_nats']:.4f}"
        return f"{told}."

    def sections(self, figures, class_names, mistakes) -> Sequence[Section]:
        from kerasdl.tasks.language.page import sections

        return sections(figures)


def vocabulary_of(data: DataSpec) -> tuple[str, ...]:
    """Return the characters of each id.

    Raises:
        UsageError: when the data has none.
    """
    inputs = data.inputs
    if not isinstance(inputs, Spec) or inputs.dtype != "int32" or not inputs.class_names:
        raise UsageError(
            "The data is no text of characters to be continued. Give --data shakespeare, --data "
            "tiny_shakespeare, a .txt file, or a folder of .txt files."
        )
    return inputs.class_names
