"""Classification of images: one label out of several."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasdl.errors import UsageError
from kerasdl.inference.answers import run_over
from kerasdl.inference.endpoint import Endpoint
from kerasdl.network.network import Network
from kerasdl.preprocessing.image import decode_image
from kerasdl.tasks.classification import figures as measures
from kerasdl.tasks.classification import temperature as calibrating
from kerasdl.tasks.classification.losses import Accuracy, SparseCrossentropy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classification:
    """What runs of classification have in common.

    The network gives logits (batch_size, num_classes), or a dict that contains them as `logits`.
    """

    # Part of the target given to all classes alike, 0 to 1.
    label_smoothing: float = 0.0
    # Weight of each class in the loss: balanced (inverse frequency), or one number a class: 1,1,2.
    class_weights: Literal["balanced"] | tuple[float, ...] | None = None
    # Fit a temperature on the validation split, so that the probabilities mean what they say.
    calibrate: bool = False

    #: Constructor arguments of a network that the data decides (`model_arguments`).
    from_data: ClassVar = ("num_classes",)
    #: Figures that tables show: name -> (title, format).
    columns: ClassVar = {"accuracy": ("accuracy", ".2%"), "max_difference": ("max difference", ".1e")}

    def __post_init__(self):
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"label_smoothing is {self.label_smoothing}, but it has to lie in 0 <= x < 1.")

    def model_arguments(self, class_names: tuple[str, ...]) -> dict:
        """Return the constructor arguments that the data decides."""
        return {"num_classes": len(class_names)}

    def loss(self) -> keras.Loss:
        """Return the loss over (labels, outputs)."""
        return SparseCrossentropy(label_smoothing=self.label_smoothing)

    def metrics(self) -> list[keras.Metric]:
        """Return the metrics that training shows."""
        return [Accuracy(name="accuracy")]

    def class_weight(self, labels: np.ndarray, num_classes: int) -> dict[int, float] | None:
        """Return the weight of each class, for `fit(class_weight=...)`; None where all are 1.

        Args:
            labels: training labels (N,), integers.
            num_classes: number of classes.

        Raises:
            UsageError: when there is not one weight a class.
        """
        if self.class_weights is None:
            return None
        if self.class_weights == "balanced":
            counts = np.bincount(labels, minlength=num_classes)
            return {index: len(labels) / (num_classes * max(count, 1)) for index, count in enumerate(counts)}
        if len(self.class_weights) != num_classes:
            raise UsageError(
                f"class_weights has {len(self.class_weights)} numbers, the data {num_classes} classes. "
                "Give one number for each class."
            )
        return dict(enumerate(self.class_weights))

    def score(self, logs: Mapping[str, float]) -> tuple[float, ...]:
        """Rank an epoch by its validation figures; larger is better."""
        return (logs["val_accuracy"], -logs["val_loss"])

    def has_learned(self, logs: Mapping[str, float]) -> bool:
        """Say whether a network knows the few examples that it is trained and validated on."""
        return logs["val_accuracy"] >= 0.99

    def evaluate(
        self,
        outputs: Mapping[str, np.ndarray],
        labels: np.ndarray,
        class_names: Sequence[str] = (),
        calibration: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return all figures of a whole split; see `kerasdl.tasks.classification.figures.figures`.

        Args:
            outputs: `probabilities` (N, num_classes), float32, and where it is there `class_ids` (N,).
            labels: (N,), integers.
            class_names: in the order of the outputs. Defaults to their numbers.
            calibration: what `fit_calibration` found, where the outputs are calibrated.
        """
        temperature = (calibration or {}).get("temperature", 1.0)
        return measures.figures(
            outputs["probabilities"], labels, class_names, _class_ids(outputs), temperature
        )

    def evaluate_briefly(self, outputs: Mapping[str, np.ndarray], labels: np.ndarray) -> dict[str, Any]:
        """Return the few of these figures that a bundle keeps of each file; arguments as of `evaluate`."""
        return measures.short_figures(outputs["probabilities"], labels, _class_ids(outputs))

    def summary(self, figures: Mapping[str, Any]) -> str:
        """Say in a sentence what `evaluate` found."""
        low, high = figures["accuracy_interval"]
        return (
            f"Test accuracy {figures['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}) on "
            f"{figures['examples']:,} examples; calibration error (ECE) {figures['ece']:.2%}."
        )

    def predictions(self, outputs: Mapping[str, np.ndarray], labels: np.ndarray) -> dict[str, np.ndarray]:
        """Return the answer to each example of a split: labels, class_ids (int32), confidence (float32)."""
        class_ids = _class_ids(outputs)
        return {
            "labels": labels.astype(np.int32),
            "class_ids": class_ids.astype(np.int32),
            "confidence": measures.confidences(outputs["probabilities"], class_ids).astype(np.float32),
        }

    def mistakes(self, outputs: Mapping[str, np.ndarray], labels: np.ndarray) -> dict[str, np.ndarray]:
        """Return the most confident wrong answers, at most 24, with their `indices` in the split (int64)."""
        answers = self.predictions(outputs, labels)
        right = answers["class_ids"] == answers["labels"]
        indices = measures.worst_mistakes(answers["confidence"], right)
        return {"indices": indices, **{name: values[indices] for name, values in answers.items()}}

    def tables(self, figures: Mapping[str, Any]) -> list[Any]:
        """Return what `kerasdl evaluate` prints, as renderables of rich."""
        from kerasdl.tasks.classification.tables import tables

        return tables(figures)

    def sections(
        self, figures: Mapping[str, Any], class_names: Sequence[str], mistakes: Mapping[str, np.ndarray]
    ) -> Any:
        """Return the blocks of a run's report.

        Args:
            figures: those of `evaluate`.
            class_names: in the order of the outputs.
            mistakes: content of the run's `mistakes.npz`.
        """
        from kerasdl.tasks.classification.page import sections

        return sections(figures, class_names, mistakes)

    def fit_calibration(self, model: keras.Model, batches) -> dict[str, float]:
        """Fit what `endpoints` takes as `calibration`: the temperature, and what it changes.

        Args:
            model: float32 network over raw images.
            batches: returns (images, labels) batches of the validation split.

        Raises:
            RunFailedError: when there is not one example.
        """
        function = tf.function(lambda images: {"logits": _infer(model, images)})

        def call(inputs):
            return {name: value.numpy() for name, value in function(tf.constant(inputs["images"])).items()}

        outputs, labels = run_over(call, lambda features, seed: {"images": features}, batches)
        return calibrating.fit_temperature(outputs["logits"], labels)

    def read_file(self, path: Path, features) -> np.ndarray:
        """Read what `predict` is given: an image file, brought to the trained size.

        Args:
            path: a JPEG, PNG, BMP or GIF file.
            features: `kerasdl.data.Spec` of one raw image, (height, width, channels) uint8.

        Raises:
            UsageError: when there is no such image.
        """
        if not path.is_file():
            raise UsageError(f"There is no image {path}.")
        try:
            return decode_image(path.read_bytes(), *features.shape).numpy()
        except tf.errors.InvalidArgumentError as error:
            raise UsageError(f"{path} is not a readable image. Give a JPEG, PNG, BMP or GIF.") from error

    def describe(self, outputs: Mapping[str, np.ndarray], class_names: tuple[str, ...]) -> list[dict]:
        """Return what `predict` tells of each example: its class and how probable it is."""
        return [
            {"class": class_names[index], "probability": float(row[index])}
            for index, row in zip(_class_ids(outputs), outputs["probabilities"], strict=True)
        ]

    def endpoints(
        self, model: keras.Model, features, calibration: Mapping[str, Any] | None = None
    ) -> tuple[Endpoint, ...]:
        """Return how an exported classifier is called: with raw images, or with encoded files.

        Args:
            model: float32 network over raw images.
            features: `kerasdl.data.Spec` of one raw image, (height, width, channels) uint8.
            calibration: what `fit_calibration` found. Its temperature becomes a part of the graph: it
                divides the logits. The class is taken before, so that no rounding can change it.
        """
        height, width, channels = features.shape

        def classify(images):
            logits = _infer(model, images)
            scaled = logits / calibration["temperature"] if calibration else logits
            class_ids = tf.argmax(logits, axis=-1, output_type=tf.int32)
            return {"probabilities": ops.softmax(scaled), "class_ids": class_ids}

        def classify_bytes(image_bytes):
            def decode(encoded):
                return decode_image(encoded, height, width, channels)

            return classify(tf.map_fn(decode, image_bytes, fn_output_signature=tf.uint8))

        images = tf.TensorSpec((None, height, width, channels), features.dtype, "images")
        encoded = tf.TensorSpec((None,), tf.string, "image_bytes")
        return (
            Endpoint("serving_default", classify, {"images": images}),
            Endpoint("serving_bytes", classify_bytes, {"image_bytes": encoded}, formats=("saved_model",)),
        )

    def inputs(self, endpoint: str, features: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Return a batch of the data as inputs of an endpoint, by name.

        Args:
            endpoint: name of one of `endpoints`.
            features: raw images (N, height, width, channels), uint8.
            seed: of what an endpoint draws; these draw nothing.
        """
        if endpoint == "serving_bytes":
            files = [tf.io.encode_png(image).numpy() for image in features]
            return {"image_bytes": np.array(files, object)}
        return {"images": features}

    def compare(
        self, expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray], labels: np.ndarray
    ) -> dict[str, float]:
        """Compare an artefact's outputs with the reference's on the same examples.

        Returns:
            Differences of probabilities (0..1), the part of examples with the same class, the artefact's
            accuracy, how far it lies above (+) or below (-) the reference's, and `accuracy_drop`: how far
            below beyond chance. Were each change of class as often right as wrong, the number of right
            answers would move by the square root of the changes; twice that is forgiven, so that one
            changed answer out of 80 does not condemn a file.
        """
        difference = np.abs(expected["probabilities"] - actual["probabilities"])
        before, after = _class_ids(expected), _class_ids(actual)
        same, accuracy = before == after, float((after == labels).mean())
        change = accuracy - float((before == labels).mean())
        chance = 2 * np.sqrt(np.count_nonzero(~same)) / len(same)
        return {
            "max_difference": float(difference.max()),
            "mean_difference": float(difference.mean()),
            "agreement": float(same.mean()),
            "accuracy": accuracy,
            "accuracy_change": change,
            "accuracy_drop": float(max(0.0, -change - chance)),
        }

    def tolerances(self, kind: str) -> dict[str, tuple[str, float]]:
        """Return the limits on the figures of `compare`, by kind of artefact."""
        exact = {"max_difference": ("<=", 1e-5), "accuracy_drop": ("<=", 0.002)}
        quantized = {"mean_difference": ("<=", 0.02), "accuracy_drop": ("<=", 0.002)}
        return {
            "float16": {"max_difference": ("<=", 1e-2)},
            "dynamic": quantized,
            "int8": quantized,
            "int16x8": quantized,
        }.get(kind, exact)


def _infer(model: keras.Model, images):
    """Return the logits that a deployed network, of ours or any other, answers with."""
    outputs = model.infer(images) if isinstance(model, Network) else model(images, training=False)
    return outputs["logits"] if isinstance(outputs, Mapping) else outputs


def _class_ids(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the predicted classes (N,): those that the network names, else the most probable ones."""
    return outputs["class_ids"] if "class_ids" in outputs else outputs["probabilities"].argmax(-1)
