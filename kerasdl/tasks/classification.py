"""Classification of images: one label out of several."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasdl.errors import UsageError
from kerasdl.export.spec import Endpoint
from kerasdl.preprocessing import decode_image


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classification:
    """What runs of classification have in common.

    The network gives logits (batch_size, num_classes), or a dict that contains them as `logits`.
    """

    # Part of the target given to all classes alike, 0 to 1.
    label_smoothing: float = 0.0
    # Weight of each class in the loss: balanced (inverse frequency), or one number a class: 1,1,2.
    class_weights: Literal["balanced"] | tuple[float, ...] | None = None

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
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

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

    def evaluate(self, outputs: Mapping[str, np.ndarray], labels: np.ndarray) -> dict:
        """Return the figures of a whole split.

        Args:
            outputs: `probabilities` (N, num_classes), float32.
            labels: (N,), integers.
        """
        probabilities = outputs["probabilities"]
        of_label = probabilities[np.arange(len(labels)), labels]
        return {
            "accuracy": _accuracy(probabilities, labels),
            "crossentropy": float(-np.log(np.clip(of_label, 1e-7, None)).mean()),  # nats
            "examples": len(labels),
        }

    def summary(self, figures: Mapping[str, float]) -> str:
        """Say in a sentence what `evaluate` found."""
        return f"Test accuracy {figures['accuracy']:.2%} on {figures['examples']:,} examples."

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
            {"class": class_names[int(row.argmax())], "probability": float(row.max())}
            for row in outputs["probabilities"]
        ]

    def endpoints(self, model: keras.Model, features) -> tuple[Endpoint, ...]:
        """Return how an exported classifier is called: with raw images, or with encoded files.

        Args:
            model: float32 network over raw images.
            features: `kerasdl.data.Spec` of one raw image, (height, width, channels) uint8.
        """
        height, width, channels = features.shape

        def classify(images):
            probabilities = ops.softmax(_logits(model(images, training=False)))
            class_ids = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
            return {"probabilities": probabilities, "class_ids": class_ids}

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
        accuracy = _accuracy(actual["probabilities"], labels)
        same = expected["probabilities"].argmax(-1) == actual["probabilities"].argmax(-1)
        change = accuracy - _accuracy(expected["probabilities"], labels)
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
        exact = {"max_difference": ("<=", 1e-5)}
        quantized = {"mean_difference": ("<=", 0.02), "accuracy_drop": ("<=", 0.002)}
        return {
            "float16": {"max_difference": ("<=", 1e-2)},
            "dynamic": quantized,
            "int8": quantized,
            "int16x8": quantized,
        }.get(kind, exact)


@keras.saving.register_keras_serializable("kerasdl")
class SparseCrossentropy(keras.losses.Loss):
    """Cross-entropy in nats between integer labels and logits, with label smoothing.

    Reference of the smoothing: Szegedy et al., "Rethinking the Inception architecture", 2015, section 7.

    Args:
        label_smoothing: part of the target given to all classes alike, 0 to 1. Defaults to 0.0.
        **kwargs: those of `keras.losses.Loss`.
    """

    def __init__(self, *, label_smoothing: float = 0.0, name: str = "crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        """Return the loss of each example, (batch_size,), from (batch_size,) labels and logits."""
        num_classes = y_pred.shape[-1]
        log_probabilities = ops.log_softmax(y_pred)  # (B, num_classes)
        targets = ops.one_hot(ops.cast(y_true, "int32"), num_classes)
        targets = targets * (1 - self.label_smoothing) + self.label_smoothing / num_classes
        return -ops.sum(targets * log_probabilities, axis=-1)

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def _logits(outputs):
    return outputs["logits"] if isinstance(outputs, Mapping) else outputs


def _accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float((probabilities.argmax(-1) == labels).mean())
