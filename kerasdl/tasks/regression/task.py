"""Regression: one number or several for each example."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Spec, Tree
from kerasdl.errors import UsageError
from kerasdl.inference import reading, stepwise, word_numbers
from kerasdl.inference.answers import Answers
from kerasdl.inference.endpoint import ALL_FORMATS, Endpoint
from kerasdl.report.blocks import Section
from kerasdl.tasks.regression import comparison, figures, files
from kerasdl.tasks.task import Evaluation, Task, Verdict

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regression(Task):
    """Regression of numbers: targets (N,) or (N, num_outputs), float.

    The network gives (batch_size, num_outputs), in units of the targets' standard deviation around their
    mean over the training examples; every exported file gives the targets' own units.
    """

    # What is minimised: mse (mean squared error), mae (mean absolute error) or huber (between the two).
    error: Literal["mse", "mae", "huber"] = "mse"
    # Error above which huber grows linearly, in standard deviations of the targets.
    huber_delta: float = 1.0
    # Train on targets of mean 0 and standard deviation 1; without it on the targets as they are.
    scale_targets: bool = True
    # Export an endpoint that takes a sequence step by step and answers after each, as the network can.
    streaming: bool = False

    columns: ClassVar = {
        "mae": ("MAE", ".4g"),
        "r2": ("R2", ".4f"),
        "max_difference": ("max difference", ".1e"),
    }
    from_data: ClassVar = ("num_outputs", "num_classes")

    def __post_init__(self):
        if not self.huber_delta > 0:
            raise UsageError(f"huber_delta is {self.huber_delta}, but it has to be greater than 0.")

    def network_arguments(self, data):
        """Return the number of outputs.

        Raises:
            UsageError: when the target of the data is not a number or a row of numbers.
        """
        targets = data.targets
        if not isinstance(targets, Spec) or targets.class_names or len(targets.shape) > 1:
            raise UsageError(
                "The data has no numbers to predict: its targets are classes, or several. Use "
                "Classification(), a task of your own, or data with a number for each example."
            )
        return {"num_outputs": data.targets.shape[0] if data.targets.shape else 1}

    # Training

    def loss(self, data: DataSpec) -> "keras.Loss":
        from kerasdl.tasks.regression.losses import ScaledError

        mean, std = self._scale(data)
        return ScaledError(error=self.error, delta=self.huber_delta, mean=mean.tolist(), std=std.tolist())

    def metrics(self, data: DataSpec) -> "list[keras.Metric]":
        from kerasdl.tasks.regression.losses import MeanAbsoluteError

        mean, std = self._scale(data)
        return [MeanAbsoluteError(name="mae", mean=mean.tolist(), std=std.tolist())]

    def check_outputs(self, outputs: Tree, data: DataSpec, main_output: str) -> None:
        if isinstance(outputs, Mapping):
            if main_output not in outputs:
                raise UsageError(
                    f"The network returns {', '.join(outputs)}, but none of them is called {main_output!r}. "
                    "Set main_output in the class of the network."
                )
            outputs = outputs[main_output]
        wanted = self.network_arguments(data)["num_outputs"]
        if outputs.ndim != 2 or outputs.shape[1] != wanted:
            raise UsageError(
                f"The network gives outputs of shape {outputs.shape[1:]} for each example, but the data has "
                f"{wanted} numbers to predict. Let its last layer be Dense(num_outputs), with the "
                "num_outputs that its constructor is given."
            )

    def resolve(self, data: Dataset) -> "Regression":
        """Refuse data whose targets cannot be scaled, since their mean and deviation are not told."""
        self.network_arguments(data.spec)
        if self.scale_targets and not data.spec.targets.mean:
            raise UsageError(
                "The source does not tell mean and standard deviation of its targets, by which Regression "
                "scales them. Let its load() describe them with Spec.of_numbers(targets), or use "
                "--no-scale-targets."
            )
        return self

    def verdicts(self, figures: Mapping[str, Any]) -> list[Verdict]:
        if not (figures.get("r2") or 1) <= 0:
            return []
        return [
            Verdict(
                text=f"No better than answering the mean of all targets (R2 {figures['r2']:.2f}). Can the "
                "network learn at all, and are there targets far from all others?",
                flags="--overfit-batches 1",
            )
        ]

    def _scale(self, data: DataSpec) -> tuple[np.ndarray, np.ndarray]:
        """Return what targets are centred on and divided by, (num_outputs,) float32 each."""
        std = self._deviations(data)
        if not (self.scale_targets and data.targets.mean):
            return np.zeros_like(std), np.ones_like(std)
        return np.array(data.targets.mean, np.float32), std

    def _deviations(self, data: DataSpec) -> np.ndarray:
        """Return the standard deviations of the training targets, (num_outputs,); 1 where all are equal."""
        num_outputs = self.network_arguments(data)["num_outputs"]
        std = np.array(data.targets.std or [1] * num_outputs, np.float32)
        return np.where(std > 0, std, np.float32(1))

    # Judging

    def evaluate(self, answers: Answers, data: DataSpec, fitted: Mapping[str, Any]) -> Evaluation:
        """Return the figures of a split; see `figures.figures`.

        Args:
            answers: output `values` (N, num_outputs), float32; targets (N,) or (N, num_outputs).
            data: what is in each example.
            fitted: not used.
        """
        values, targets = answers.outputs["values"], figures.columns_of(answers.targets)
        worst = figures.worst(values, targets)
        predictions = {"targets": targets.astype(np.float32), "values": values.astype(np.float32)}
        return Evaluation(
            figures=figures.figures(values, targets),
            predictions=predictions,
            mistakes={"indices": worst, **{name: array[worst] for name, array in predictions.items()}},
        )

    def compare_runs(self, first, second):
        return comparison.compare(first, second)

    # Shipping

    def in_units(self, outputs: "tf.Tensor", data: DataSpec) -> "tf.Tensor":
        """Return outputs (N, num_outputs) of the network, float32, in the targets' own units."""
        from kerasdl.layers import scaling  # imports Keras

        return scaling.restored(outputs, *self._scale(data))

    def endpoints(
        self, network: "keras.Model | None", data: DataSpec, fitted: Mapping[str, Any]
    ) -> tuple[Endpoint, ...]:
        """Return the endpoint that takes raw examples and gives `values` in the targets' own units.

        Where examples are texts, one beside it takes the numbers of their words.
        """
        import tensorflow as tf

        from kerasdl.network.network import logits

        units = self._deviations(data)
        single = not isinstance(data.inputs, Mapping)
        only = "images" if reading.are_images(data.inputs) else "inputs"
        specs = {only: data.inputs} if single else data.inputs

        def answer_of(outputs):
            return {"values": self.in_units(tf.cast(outputs, tf.float32), data)}

        def predict(*tensors):
            return answer_of(
                logits(network, tensors[0] if single else dict(zip(specs, tensors, strict=True)))
            )

        texts = any(spec.dtype == "string" for spec in specs.values())
        found: tuple[Endpoint, ...] = (
            Endpoint(
                "serving_default",
                predict,
                {name: tf.TensorSpec((None, *spec.shape), spec.dtype, name) for name, spec in specs.items()},
                formats=("saved_model",) if texts else ALL_FORMATS,
                inputs_of=lambda features, seed: {only: features} if single else dict(features),
                compare=functools.partial(files.compare, units),
                tolerances=files.tolerances,
                judge=lambda answers: self.evaluate(answers, data, fitted).figures["short"],
                describe=files.describe,
                **reading.reader(data.inputs),
            ),
        )
        if (tokenizer := word_numbers.tokenizer(network, data)) is not None:
            found = word_numbers.endpoints(*found, tokenizer)
        if not self.streaming:
            return found
        over_steps = functools.partial(files.steps, units)
        return *found, stepwise.endpoint(
            found[-1],
            network,
            answer_of,
            comparison=stepwise.Comparison("values", over_steps, files.tolerances_of_steps),
            compare=functools.partial(files.compare, units),
            tolerances=files.tolerances,
        )

    # Showing

    def summary(self, figures: Mapping[str, Any]) -> str:
        return (
            f"Test mean absolute error {figures['mae']:.4g} (RMSE {figures['rmse']:.4g}, R2 "
            f"{figures['r2']:.4f}) on {figures['examples']:,} examples."
        )

    def sections(self, figures, class_names, mistakes) -> Sequence[Section]:
        from kerasdl.tasks.regression.page import sections

        return sections(figures, mistakes)
