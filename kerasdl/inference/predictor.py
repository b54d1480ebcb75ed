"""The base class of opened artefacts: calls, checks of inputs, timing."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kerasdl.errors import UsageError, did_you_mean
from kerasdl.inference.worker.script import time_calls

if TYPE_CHECKING:
    import keras

#: Shape (None where open) and dtype of an input.
InputSpec = tuple[tuple[int | None, ...], str]


class Predictor:
    """An opened artefact.

    Attributes:
        kind: "keras", "saved_model", "tflite" or "onnx".
        path: what was opened.
        labels: class names, from inside the file (for a SavedModel from `labels.txt` beside it).
        inputs: shape and dtype by endpoint and input name.
        outputs: likewise of outputs, of a file that was opened in this process; else empty.
        network: the float32 network over raw examples that is called; None for a file.
    """

    kind: ClassVar[str]
    network: "keras.Model | None" = None

    def __init__(self, path: Path, labels: tuple[str, ...], inputs: Mapping[str, Mapping[str, InputSpec]]):
        self.path = path
        self.labels = labels
        self.inputs = inputs
        self.outputs: dict[str, Mapping[str, InputSpec]] = {}

    @property
    def default_endpoint(self) -> str:
        """The endpoint that `predict` uses: "serving_default", or else the first."""
        return "serving_default" if "serving_default" in self.inputs else next(iter(self.inputs))

    def call(self, endpoint: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run one endpoint on a batch of any size.

        Args:
            endpoint: one of `self.inputs`.
            inputs: an array (batch_size, ...) for each input name.

        Returns:
            An array (batch_size, ...) for each output name.

        Raises:
            UsageError: for inputs that do not fit.
        """
        return self._run(endpoint, self._prepare(endpoint, inputs))

    def predict(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """Run the default endpoint, which has one input, on features (batch_size, ...)."""
        names = list(self.inputs[self.default_endpoint])
        if len(names) != 1:
            raise UsageError(f"{self.path} takes {', '.join(names)}: give them by name with `call`.")
        return self.call(self.default_endpoint, {names[0]: features})

    def latency(self, endpoint: str, inputs: Mapping[str, np.ndarray]) -> float:
        """Return the median milliseconds of a call, warm."""
        return 1000 * statistics.median(self.durations(endpoint, inputs, seconds=0.5, calls=50))

    def durations(
        self, endpoint: str, inputs: Mapping[str, np.ndarray], *, seconds: float, calls: int | None = None
    ) -> list[float]:
        """Time one endpoint in its runtime; inputs are checked and converted once, before.

        Args:
            endpoint: one of `self.inputs`.
            inputs: an array (batch_size, ...) for each input name.
            seconds: about how long to measure; one call at least is timed.
            calls: at most so many calls. Defaults to as many as there is time for.

        Returns:
            The seconds of each call, warm.
        """
        prepared = self._prepare(endpoint, inputs)
        return time_calls(lambda: self._run(endpoint, prepared), seconds, calls)

    def one_by_one(self, endpoint: str) -> bool:
        """Tell whether a batch is run example by example, since the file takes one at a time."""
        return any(shape[0] is not None for shape, _ in self.inputs[endpoint].values())

    def _run(self, endpoint: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def _prepare(self, endpoint: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Check inputs and give them the dtype that the file wants."""
        if endpoint not in self.inputs:
            known = ", ".join(self.inputs)
            near = did_you_mean(endpoint, self.inputs)
            raise UsageError(f"{self.path} has no endpoint {endpoint!r}; it has {known}.{near}")
        specs = self.inputs[endpoint]
        if set(inputs) != set(specs):
            given = ", ".join(inputs)
            raise UsageError(f"{self.path}: {endpoint} takes {', '.join(specs)}, but was given {given}.")
        return {name: self._fit(name, np.asarray(inputs[name]), spec) for name, spec in specs.items()}

    def _fit(self, name: str, value: np.ndarray, spec: InputSpec) -> np.ndarray:
        shape, dtype = spec
        if value.shape[:1] == (0,):  # TensorFlow's convolutions fail on it with words about something else
            raise UsageError(f"{self.path}: {name} holds no example. Give one or more.")
        fits = len(value.shape) == len(shape) and all(
            wanted in (None, given) for wanted, given in zip(shape[1:], value.shape[1:], strict=True)
        )
        if not fits:
            shown = ", ".join("any" if size is None else str(size) for size in (None, *shape[1:]))
            raise UsageError(f"{self.path}: {name} has shape ({shown}), but was given {value.shape}.")
        if dtype == "string":
            return value.astype(object)
        if value.dtype == dtype:
            return value
        if not np.can_cast(value.dtype, dtype, "same_kind"):
            raise UsageError(f"{self.path}: {name} is {dtype}, but was given {value.dtype}.")
        fitted = value.astype(dtype, copy=False)
        # "same_kind" lets wider integers pass, and NumPy wraps what is too large around.
        if fitted.dtype.kind in "iu" and not np.array_equal(fitted, value):
            limits = np.iinfo(dtype)
            raise UsageError(
                f"{self.path}: {name} is {dtype}, {limits.min} to {limits.max}, but was given values from "
                f"{value.min()} to {value.max()}."
            )
        return fitted
