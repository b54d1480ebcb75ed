"""Endpoints: the ways to call a network or an exported file."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.dataset import Tree

if TYPE_CHECKING:
    import tensorflow as tf

ALL_FORMATS = ("saved_model", "tflite", "onnx")

_ROUNDING = 1e-3  # of the size of numbers: a spread below that drowns in what float32 rounds

#: Arrays (N, ...) by name.
Arrays = dict[str, np.ndarray]
#: Limits on figures by name: ("<=" or ">=", limit).
Limits = dict[str, tuple[str, float]]


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """A raw example that a user gave.

    Attributes:
        about: where it comes from, by name: `file`, `row`, `text`.
        features: the example, as `Endpoint.inputs_of` takes them.
    """

    about: Mapping[str, str | int]
    features: Tree


def only_input(features: Tree, seed: int) -> Arrays:
    """Return features that are a dict as they are, others as the input `inputs`."""
    return dict(features) if isinstance(features, Mapping) else {"inputs": features}


def differences(expected: Arrays, actual: Arrays, targets: Tree) -> dict[str, float]:
    """Return how far the outputs lie from the expected ones; infinitely far where a text or a NaN differs.

    Returns:
        `max_difference`: the largest one, measured against the root mean square of the expected output where
        that is above 1. `mean_difference`: the mean one of the worst output, likewise.
        `spread_difference`: the mean one of the worst place on the last axis of an output, measured against
        the standard deviation of that place over the examples: an offset or other units beside it hide
        nothing.
    """
    parts = [_differences(value, np.asarray(actual[name])) for name, value in expected.items()]
    names = ("max_difference", "mean_difference", "spread_difference")
    return {
        name: float(np.max(values)) for name, values in zip(names, zip(*parts, strict=True), strict=False)
    }


def _differences(expected: np.ndarray, actual: np.ndarray) -> tuple[float, float, float]:
    if expected.dtype.kind not in "fiub":
        return (0.0 if np.array_equal(expected, actual) else np.inf,) * 3
    expected, actual = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    if expected.ndim > 1 and expected.shape != actual.shape:
        expected, actual = as_long(expected, actual)
    finite = np.isfinite(expected)
    if (
        not np.array_equal(expected[~finite], actual[~finite], equal_nan=True)
        or not np.isfinite(actual[finite]).all()
    ):
        return (np.inf,) * 3
    difference = np.where(finite, np.abs(np.where(finite, expected - np.where(finite, actual, 0), 0)), 0)
    rms = max(1.0, float(np.sqrt(np.square(expected[finite]).mean()))) if finite.any() else 1.0
    axes = tuple(range(max(1, expected.ndim - 1)))  # all but the last one of (N, ..., K)
    known = np.where(finite, expected, 0)
    spread, size = known.std(axis=axes), np.abs(known).mean(axis=axes)
    unit = np.maximum(spread, np.maximum(_ROUNDING * size, np.finfo(np.float32).tiny))
    varies = spread > _ROUNDING * size  # of a constant nothing can be said in its own units
    apart = np.where(varies, difference.mean(axis=axes) / unit, 0.0)
    return (
        float(difference.max(initial=0) / rms),
        float(difference.mean() / rms),
        float(np.max(apart, initial=0)),
    )


def as_long(*parts: np.ndarray) -> list[np.ndarray]:
    """Return arrays (N, T, ...) of as many steps: there is 0 behind the longest sequence of a batch."""
    steps = max(part.shape[1] for part in parts)
    return [np.pad(part, [(0, 0), (0, steps - part.shape[1]), *[(0, 0)] * (part.ndim - 2)]) for part in parts]


def by_kind(kind: str, *, exact: Limits, float16: Limits, quantized: Limits) -> Limits:
    """Choose the limits for a kind of file.

    Args:
        kind: saved_model, float32, float16, dynamic, int8, int16x8 or onnx.
        exact: limits of files that hold the weights as they are.
        float16: those of files with weights of 16 bits.
        quantized: those of files with weights of 8 bits.
    """
    chosen = {"float16": float16} | dict.fromkeys(("dynamic", "int8", "int16x8"), quantized)
    return chosen.get(kind, exact)


def close(kind: str) -> Limits:
    """Return the limits on `differences` by kind of file."""
    return by_kind(
        kind,
        exact={"max_difference": ("<=", 1e-5), "spread_difference": ("<=", 1e-3)},
        float16={"max_difference": ("<=", 1e-2), "spread_difference": ("<=", 0.05)},
        quantized={"mean_difference": ("<=", 0.02), "spread_difference": ("<=", 0.25)},
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Endpoint:
    """One way to call an exported network, and all that is needed to check and to use it.

    Attributes:
        name: the signature's name: "serving_default", "encode", ...
        function: takes one tensor per entry of `inputs`, in their order, and returns a dict of tensors. It
            accepts every dtype that a format may feed it (TFLite images are float32, the others uint8).
        inputs: input name -> `tf.TensorSpec` with an open batch axis.
        formats: the formats that have this endpoint (strings need a SavedModel).
        inputs_of: takes raw features (N, ...), an array or arrays by name, and a seed for what it draws;
            returns the inputs by name.
        drawn: takes shape and dtype of the inputs by name, as an opened file tells them, and returns
            `inputs_of`: where that depends on the network, which is not there. None where it does not.
        compare: takes expected outputs, actual outputs and targets; returns figures by name.
        tolerances: takes the kind of a file (saved_model, float32, float16, dynamic, int8, int16x8, onnx);
            returns the limits on figures of `compare` by name: ("<=" or ">=", limit).
        judge: takes the answers (`kerasdl.inference.answers.Answers`) to a whole split and returns the few
            figures that a bundle keeps of each file; None where the task's figures are not about this
            endpoint.
        reads: takes what `kerasdl predict` is given, a path or a text, and returns one raw example; it raises
            a UsageError for what it cannot read. None where `predict` has to be given arrays.
        reads_many: takes all that `kerasdl predict` is given, and the column of texts in tables or None, and
            returns the examples. None where each path or text is one example, which `reads` reads.
        describe: takes outputs and returns what `predict` tells of each example.
        example: an argument of `kerasdl predict` to show in READMEs: "some.png"; "" where `reads` is None.
        asks_network: whether `inputs_of` asks the network, such as for states of its own: without it the
            endpoint is checked on the examples that a bundle holds alone.
        probe: takes a function that calls this endpoint of a file, and the features of a batch; returns
            figures that one call does not show, such as of many steps. `tolerances` may limit them.
        derived: outputs that TFLite files leave out, as MediaPipe's classifiers take scores alone: those that
            follow from the others, which `kerasdl.load` works out, and those that explain them.
        of_length: takes a number of steps and returns the raw features of one example of so many, to measure
            how long it takes. Defaults to None: all examples are of one length.
        takes_examples: whether its inputs come from the examples; noise does not, and a few draws of it are
            as good as many.
        integers_may_fail: whether a bundle can do without integer files, where they come by default and are
            too far from the network: the numbers of some have no narrow ranges.
        phone_length: length that TFLite files have where an axis behind the batch is open. Defaults to None:
            no axis is.
    """

    name: str
    function: Callable[..., Mapping[str, Any]]
    inputs: Mapping[str, "tf.TensorSpec"]
    formats: tuple[str, ...] = ALL_FORMATS
    inputs_of: Callable[[Tree, int], Arrays] = only_input
    drawn: Callable[[Mapping[str, Any]], Callable[[Tree, int], Arrays]] | None = None
    compare: Callable[[Arrays, Arrays, Tree], dict[str, float]] = differences
    tolerances: Callable[[str], Limits] = close
    judge: Callable[[Any], dict[str, Any]] | None = None
    reads: Callable[[str], Tree] | None = None
    reads_many: Callable[[Sequence[str], str | None], Sequence[Example]] | None = None
    describe: Callable[[Arrays], Sequence[Mapping[str, Any]]] | None = None
    example: str = ""
    asks_network: bool = False
    probe: Callable[[Callable[[Arrays], Arrays], Tree], Mapping[str, float]] | None = None
    derived: tuple[str, ...] = ()
    of_length: Callable[[int], Tree] | None = None
    takes_examples: bool = True
    integers_may_fail: bool = False
    phone_length: int | None = None

    def inputs_for(self, specs: Mapping[str, Any]) -> Callable[[Tree, int], Arrays]:
        """Return `inputs_of` for what was opened, with shape and dtype of its inputs by name."""
        return self.inputs_of if self.drawn is None else self.drawn(specs)


def figure_of(row: Mapping[str, Any], name: str) -> Any:
    """Return a figure of a file's row, else of the task's judgement or a further endpoint; None without."""
    further = (one[name] for one in row.get("endpoints", {}).values() if name in one)
    return row.get(name, row.get("evaluation", {}).get(name, next(further, None)))


def columns_of(rows: Sequence[Mapping[str, Any]], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a task's columns, by figure, that some file's row has a figure for."""
    return {
        name: column
        for name, column in known.items()
        if any(figure_of(row, name) is not None for row in rows)
    }


def signature(endpoint: Endpoint) -> "list[tf.TensorSpec]":
    """Return the inputs of an endpoint in order, each with the name it has in every format."""
    import tensorflow as tf

    return [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in endpoint.inputs.items()]
