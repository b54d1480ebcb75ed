"""Recognises what a model answers with, and takes its last activation off; answers prove it."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from kerasdl.errors import UsageError
from kerasdl.network.imported_parts import Parts, activated_layers

_MOST_TRIED = 4  # layers, from the last one on
_SUM = 1e-3  # by which probabilities may miss a sum of 1
Answer = Callable[[keras.Model], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Head:
    """What was recognised of a model.

    Attributes:
        parts: the model taken apart.
        ends: what its answers are: "softmax", "sigmoid", "logits", "logit" or "numbers".
        said: the same as a sentence.
    """

    parts: Parts
    ends: str
    said: str


def of_classifier(
    model: keras.Model, answers: np.ndarray, answer: Answer, num_classes: int, tolerance: float
) -> Head:
    """Return a classifier that answers with logits of as many classes as the data has.

    Args:
        model: the model, which is changed.
        answers: what it answers to some examples, (N, K) float32.
        answer: answers to the same examples of another model that takes the same.
        num_classes: number of classes of the data.
        tolerance: largest difference of probabilities.

    Raises:
        UsageError: when the answers are not those of a classifier of so many classes.
    """
    _check_shape(answers)
    count = answers.shape[1]
    if count == 1 and num_classes == 2:
        return _binary(model, answers, answer, tolerance)
    if count != num_classes:
        raise UsageError(
            f"The model has {count} outputs, but the data has {num_classes} classes. Give data of the "
            "classes that it was trained on (a folder for each, --classes chooses some), or "
            "--labels labels.txt with the names of all outputs in their order."
        )
    inside = bool(answers.min() >= 0 and answers.max() <= 1 + _SUM)
    if not inside:
        _check_unlike_shares(answers)
        return Head(_split(model, "logits"), "logits", "Its outputs are logits.")
    if np.abs(answers.sum(1) - 1).max() > max(_SUM, tolerance):
        raise UsageError(
            f"Its {count} outputs lie between 0 and 1 and do not add up to 1, as behind a sigmoid for each "
            "class: several classes at once, which kerasdl's classification does not tell apart. Give a "
            "model that ends with a softmax, or with logits."
        )

    def same(logits: np.ndarray) -> bool:
        return np.abs(_softmax(logits) - answers).max() <= tolerance

    return _undone(model, answer, same, ("softmax", "logits", "probabilities"))


def _check_unlike_shares(answers: np.ndarray) -> None:
    """Raise a UsageError for probabilities times a number: as logits they would be all but certain."""
    sums = answers.sum(1, dtype=np.float64)
    total = float(sums.mean())
    if answers.min() >= 0 and np.abs(sums - total).max() <= _SUM * total:
        raise UsageError(
            f"Its {answers.shape[1]} outputs add up to {total:.4g} for every example, as probabilities times "
            "that number. Take the scaling at the end of the model away: it has to end with a softmax, or "
            "with logits."
        )


def of_numbers(model: keras.Model, answers: np.ndarray, num_outputs: int) -> Head:
    """Return a model that answers with numbers.

    Raises:
        UsageError: when these are not as many as the targets of the data.
    """
    _check_shape(answers)
    if answers.shape[1] != num_outputs:
        raise UsageError(
            f"The model has {answers.shape[1]} outputs, but the data has {num_outputs} numbers to predict."
        )
    return Head(_split(model, "numbers"), "numbers", "Its outputs are taken as they are.")


def _binary(model: keras.Model, answers: np.ndarray, answer: Answer, tolerance: float) -> Head:
    last = _last(model)
    if answers.min() < 0 or answers.max() > 1 or (last is not None and _linear(last)):
        said = "Its one output is a logit: above 0 it is the second class."
        return Head(_split(model, "logit"), "logit", said)

    def same(logits: np.ndarray) -> bool:
        return np.abs(1 / (1 + np.exp(-logits.astype(np.float64))) - answers).max() <= tolerance

    return _undone(model, answer, same, ("sigmoid", "logit", "probability"))


def _undone(
    model: keras.Model, answer: Answer, same: Callable[[np.ndarray], bool], words: tuple[str, str, str]
) -> Head:
    """Leave out the last activation where the answers prove it; else logarithms are taken."""
    activation, without, within = words
    for trimmed in _without_last(model, activation):
        if same(answer(trimmed)):
            said = f"It ends with a {activation}, which is left out of the network and put back in the files."
            return Head(_split(trimmed, without), activation, said)
    layers = activated_layers(model)
    for number in range(len(layers) - 1, max(-1, len(layers) - 1 - _MOST_TRIED), -1):
        before = layers[number].activation
        if _name(before) != activation:
            continue
        layers[number].activation = keras.activations.linear
        if same(answer(model)):
            said = f"{layers[number].name} ends with a {activation}, which is left out and put back in files."
            held = layers[number] in getattr(model, "layers", ()) and _last(model) is not None
            own = Parts(backbone=model, outputs=without, left_out=number)
            return Head(
                _split(model, without) if held else own, activation, said
            )  # held in the model's config
        layers[number].activation = before
    return Head(
        Parts(backbone=model, outputs=within), activation,
        f"Its outputs are probabilities, but no {activation} was found that could be left out: logarithms "
        "are taken of them, which integer files hold less well.",
    )  # fmt: skip


def _without_last(model: keras.Model, activation: str):
    """Yield the model without its last layer, where that is nothing but an activation."""
    last = _last(model)
    kinds = {"softmax": (keras.layers.Softmax,), "sigmoid": ()}[activation]
    alone = isinstance(last, keras.layers.Activation) and _name(last.activation) == activation
    if last is not None and (alone or isinstance(last, kinds)):
        yield keras.Model(_structure(model), last.input, name=model.name)


def _split(model: keras.Model, outputs: str) -> Parts:
    """Return a model and its last layer apart, where that is a dense one without activation."""
    last = _last(model)
    alone = type(last) is not keras.layers.Dense or any(last.input is given for given in model.inputs)
    if alone or not _linear(last):
        return Parts(backbone=model, outputs=outputs)
    backbone = keras.Model(_structure(model), last.input, name=model.name)
    return Parts(backbone=backbone, head=last, outputs=outputs)


def _last(model: keras.Model) -> keras.Layer | None:
    """Return the layer that gives the output of a functional model, if nothing else uses it."""
    outputs = getattr(model, "outputs", None)
    layers = getattr(model, "layers", [])
    if not outputs or len(outputs) != 1 or not layers or not model.inputs:
        return None
    last = layers[-1]
    try:
        return last if last.output is outputs[0] else None
    except (AttributeError, ValueError):  # it is used several times
        return None


def _structure(model: keras.Model):
    inputs = model.inputs
    return inputs[0] if len(inputs) == 1 else inputs


def _linear(layer: keras.Layer | None) -> bool:
    return layer is not None and _name(getattr(layer, "activation", None)) == "linear"


def _name(activation) -> str:
    return getattr(activation, "__name__", "")


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _check_shape(answers: np.ndarray) -> None:
    if answers.ndim != 2:
        raise UsageError(
            f"The model answers with shape {answers.shape[1:]} for each example, but a classifier or a "
            "regression answers with a row of numbers. Give a model that ends with such a row."
        )
