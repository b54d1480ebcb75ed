"""Several outputs whose meaning nobody has told: exported, compared and shown, but not judged."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kerasdl.data.dataset import DataSpec
from kerasdl.errors import UsageError
from kerasdl.inference import reading
from kerasdl.inference.answers import Answers
from kerasdl.inference.endpoint import ALL_FORMATS, Arrays, Endpoint
from kerasdl.tasks.task import Evaluation, Task, numbers

if TYPE_CHECKING:
    import keras

_MOST_SHOWN = 20  # numbers of an output


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outputs(Task):
    """All outputs of a network that was made elsewhere, by name, as it gives them.

    Nothing is claimed of their meaning: files are compared with the network, and figures tell how large the
    outputs are. The targets of the data are not looked at.
    """

    columns: ClassVar = {"max_difference": ("max difference", ".1e")}
    needs_classes: ClassVar = False

    def loss(self, data: DataSpec) -> "keras.Loss":
        """Refuse to train: nothing says what the outputs should be."""
        raise UsageError(
            "A network of several outputs is not trained on: the data does not say what each should be. "
            "Import one of them (--output NAME), or train it in Keras."
        )

    def evaluate(self, answers: Answers, data: DataSpec, fitted: Mapping[str, Any]) -> Evaluation:
        """Return mean, deviation, least and largest value of each output."""
        figures: dict[str, Any] = {"examples": answers.num_examples}
        for name, array in answers.outputs.items():
            values = array.astype(np.float64)
            found = {"mean": values.mean(), "std": values.std(), "min": values.min(), "max": values.max()}
            figures |= {f"{name} {what}": float(value) for what, value in found.items()}
        return Evaluation(figures=figures)

    def endpoints(
        self, network: "keras.Model | None", data: DataSpec, fitted: Mapping[str, Any]
    ) -> tuple[Endpoint, ...]:
        """Return the endpoint that takes raw examples and gives every output under its name."""
        import tensorflow as tf

        single = not isinstance(data.inputs, Mapping)
        only = "images" if reading.are_images(data.inputs) else "inputs"
        specs = {only: data.inputs} if single else data.inputs
        texts = any(spec.dtype == "string" for spec in specs.values())
        return (
            Endpoint(
                "serving_default",
                lambda *given: network.infer(given[0] if single else dict(zip(specs, given, strict=True))),
                {name: tf.TensorSpec((None, *spec.shape), spec.dtype, name) for name, spec in specs.items()},
                formats=("saved_model",) if texts else ALL_FORMATS,
                inputs_of=lambda features, seed: {only: features} if single else dict(features),
                judge=lambda answers: numbers(self.evaluate(answers, data, fitted).figures),
                describe=describe,
                integers_may_fail=True,
                **reading.reader(data.inputs),
            ),
        )

    def summary(self, figures: Mapping[str, Any]) -> str:
        names = [name.removesuffix(" mean") for name in figures if name.endswith(" mean")]
        return (
            f"Outputs {', '.join(names)} of {figures['examples']:,} test examples: compared in every file, "
            "not judged."
        )


def describe(outputs: Arrays) -> list[dict[str, Any]]:
    """Return each output of each example; of large ones shape, least and largest value."""
    count = len(next(iter(outputs.values())))
    return [{name: _shown(array[index]) for name, array in outputs.items()} for index in range(count)]


def _shown(value: np.ndarray) -> Any:
    if value.size > _MOST_SHOWN:
        return f"{'x'.join(map(str, value.shape))} numbers from {value.min():.4g} to {value.max():.4g}"
    shortest = [float(str(one)) if value.dtype.kind == "f" else one.item() for one in value.ravel()]
    return shortest[0] if value.size == 1 else np.array(shortest).reshape(value.shape).tolist()
