"""Something that predicts: a run, a bundle, or one exported file."""

import logging
from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, overload

import numpy as np

from kerasdl.data import from_text
from kerasdl.data.dataset import Dataset, DataSpec, Tree
from kerasdl.data.source import Source
from kerasdl.errors import UsageError
from kerasdl.files import parsing
from kerasdl.inference import given as named
from kerasdl.inference import reading
from kerasdl.inference.endpoint import Arrays, Endpoint, Example
from kerasdl.inference.predictor import Predictor
from kerasdl.jobs import likeness, unlike
from kerasdl.jobs.predictions import Predictions, add_top, joined
from kerasdl.report import terminal
from kerasdl.tasks.task import Task

_log = logging.getLogger(__name__)

_BATCH = 64  # examples of `predict_files` in a call: a table may have any number of rows


class Target:
    """Something that predicts, with the recipe parts needed to judge it.

    Attributes:
        path: what was opened.
        kind: "keras" (a run), "saved_model", "tflite" or "onnx".
        task: its task.
        data: the source it was trained on; its folder may not exist on this machine.
        spec: what is in each example.
        fingerprint: of the data it was trained on.
        fitted: what was fitted to the network after training, and is part of the predictor.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        open_predictor: Callable[[], Predictor],
        *,
        task: Task,
        data: Source,
        recorded: Mapping[str, Any],
        assets: Mapping[str, str],
        fitted: Mapping[str, Any],
        described_in: Path,
    ):
        self.path, self.kind = path, kind
        self.task, self.data, self.fitted = task, data, fitted
        self._open, self._predictor = open_predictor, None
        self._described_in = described_in
        with parsing(described_in, "Restore it."):
            self.spec, self.fingerprint = DataSpec.from_description(recorded, assets), recorded["fingerprint"]

    def __repr__(self) -> str:
        what = f", {len(self.labels)} classes" if self.labels else ""
        kind = f"{type(self.task).__name__} of {likeness.shapes(self.spec.inputs)}"
        return f"<Target {self.path}: {self.kind}, {kind}{what}>"

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the outputs; empty where there are none."""
        return self.spec.class_names

    @property
    def predictor(self) -> Predictor:
        """The predictor; a run's network is loaded on first use."""
        if self._predictor is None:
            self._predictor = self._open()
        return self._predictor

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """The task's endpoints by name, without a network to call."""
        with parsing(self._described_in, "Restore it."):
            found = self.task.endpoints(None, self.spec, self.fitted)
        return {endpoint.name: endpoint for endpoint in found}

    @property
    def _default_endpoint(self) -> Endpoint:
        """The endpoint that `predict` uses; to know that of a run, its network need not be loaded."""
        endpoints = self.endpoints
        if self.kind == "keras":
            return endpoints.get("serving_default") or next(iter(endpoints.values()))
        found = endpoints[self.predictor.default_endpoint]
        if found.asks_network:
            raise UsageError(
                f"{self.path} holds the endpoint {found.name} alone, which takes states beside each step. "
                f"Give its folder, {self.path.parent}; its README.md has a loop that hands states on."
            )
        return found

    @overload
    def predict(
        self, given: "str | PathLike[str] | Sequence[str | PathLike[str]]", *, top: int = 0,
        text_column: str | None = None,
    ) -> Predictions: ...  # fmt: skip
    @overload
    def predict(self, given: Tree) -> Arrays: ...
    def predict(self, given, *, top=0, text_column=None):
        """Predict for files, texts or arrays.

        Args:
            given: raw examples as an array (N, ...), for images uint8 0..255; a list of such examples; one
                example without the batch axis; a dict of arrays where the network takes several. Or what
                `kerasdl predict` takes, alone or in a list: an image file, a folder or a pattern of them; a
                text, or a file of texts.
            top: number of the most probable classes to list for each file or text. Defaults to none.
            text_column: column of the texts in tables. Defaults to one of a usual name, such as "text".

        Returns:
            Of arrays the outputs by name (`probabilities`, `class_ids`), each (N, ...). Of files and texts a
            list with an answer for each, {"file": ..., "class": ..., "probability": ...}, which has the
            outputs by name too.

        Raises:
            UsageError: for a file that is not there or cannot be read, and examples of another shape.

        Example:
            >>> model.predict("photo.jpg")[0]["class"]
            >>> model.predict(np.zeros((2, 8, 8, 1), np.uint8))["class_ids"]
        """
        texts = [given] if isinstance(given, (str, PathLike)) else given
        if isinstance(texts, (list, tuple)) and any(isinstance(one, (str, PathLike)) for one in texts):
            if not all(isinstance(one, (str, PathLike)) for one in texts):
                raise UsageError("Give files and texts, or arrays, but not both at once.")
            files = [file for one in texts for file in _files(fspath(one))]
            return self.predict_files(files, text_column=text_column, top=top)
        if top or text_column is not None:
            raise UsageError("top and text_column are for files and texts; the arrays returned have all.")
        return self._outputs(self._batch(given))

    def _batch(self, given: Tree) -> Tree:
        """Return examples as arrays with a batch axis."""
        if isinstance(given, Mapping) or isinstance(self.spec.inputs, Mapping):
            return given
        array, shape, dtype = np.asarray(given), self.spec.inputs.shape, self.spec.inputs.dtype
        reading.check_pixels(self.spec.inputs, array)
        if not isinstance(given, np.ndarray) and array.dtype.kind == "i" and dtype.startswith("uint"):
            fitted = array.astype(dtype)  # Python's numbers have no type of their own
            array = fitted if np.array_equal(fitted, array) else array
        is_one = len(array.shape) == len(shape) and all(
            wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
        )
        return array[None] if is_one else array

    def _outputs(self, features: Tree) -> Arrays:
        endpoint = self._default_endpoint
        inputs = endpoint.inputs_for(self.predictor.inputs[endpoint.name])(features, 0)
        reading.warn_of_gaps(inputs)
        return self.predictor.call(endpoint.name, inputs)

    def predict_files(
        self, files: Sequence[str | Path], *, text_column: str | None = None, top: int = 0
    ) -> Predictions:
        """Return the task's answer for each file or text, in order; of a table for each of its rows.

        Args:
            files: what `kerasdl predict` takes: image files; or texts, and files and tables of them.
            text_column: column of the texts in tables. Defaults to one of a usual name, such as "text".
            top: number of the most probable classes to list under `top`, where there are classes.

        Raises:
            UsageError: when one is missing or cannot be read, or the task reads none.
        """
        endpoint = self._default_endpoint
        if endpoint.describe is None:
            raise self._cannot_read()
        examples = self.read(files, text_column)
        answers, parts = [], []
        self._warn(examples)
        for start in range(0, len(examples), _BATCH):
            features = [example.features for example in examples[start : start + _BATCH]]
            outputs = self._outputs(reading.stack(features))
            parts.append(outputs)
            with parsing(self._described_in, "Restore it."):
                answers += endpoint.describe(outputs)
            if top and self.labels and outputs.get("probabilities", np.zeros(0)).ndim == 2:
                add_top(answers[start:], outputs["probabilities"], self.labels, top)
        told = [{**example.about, **answer} for example, answer in zip(examples, answers, strict=True)]
        together = {name: joined([part[name] for part in parts]) for name in parts[0]} if parts else {}
        return Predictions(told, together, [example.features for example in examples])

    def _warn(self, examples: Sequence[Example]) -> None:
        files = [one.about["file"] for one in examples if "file" in one.about and "row" not in one.about]
        if len(files) == len(examples):
            images = [example.features for example in examples]
            endpoint = self._default_endpoint.name
            for note in unlike.notes(self.path, self.kind, self.spec, endpoint, files, images):
                _log.warning(f"{note} Its answer may mean little.")

    def read(self, files: Sequence[str | Path], text_column: str | None = None) -> list[Example]:
        """Return the raw examples that files and texts of a command line hold; see `predict_files`."""
        endpoint = self._default_endpoint
        if endpoint.reads is None:
            raise self._cannot_read()
        return reading.read(endpoint, list(map(str, files)), text_column)

    def _cannot_read(self) -> UsageError:
        command = self.task.try_command(str(self.path), list(self.endpoints), "")
        way = f"Try {' '.join(command[:2])}, or use" if command else "Use"
        return UsageError(
            f"{type(self.task).__name__} does not say how to read an example from the command line. {way} "
            "kerasdl.load(...).predict(features) in Python."
        )

    def load_data(self, text: str | None = None, *, same: bool = False) -> Dataset:
        """Load the data this was trained on, or other data of its kind; images of any size become its own.

        Args:
            text: what `--data` takes; where the data is now. Defaults to where it was.
            same: refuse other data than that of the training.

        Raises:
            UsageError: when it cannot be loaded, or has other examples or classes.
        """
        if text is None and self.kind != "keras" and self.data.place is not None:
            raise UsageError(
                f"{self.path} was trained on {self.data.place!r}, but an exported file does not record where "
                "that is. Give the place with --data."
            )
        with terminal.status("Loading the data"):
            dataset = self.source(text).load()
        for note in dataset.notes if text is not None else ():
            _log.warning(note)
        likeness.check(self.path, self.spec, dataset.spec)
        if same and dataset.fingerprint != self.fingerprint:
            raise UsageError(
                f"This is not the data that {self.path} was trained on (fingerprint "
                f"{dataset.fingerprint[:12]}, not {self.fingerprint[:12]}): it has changed since. "
                "Train again."
            )
        return dataset

    def source(self, text: str | None = None) -> Source:
        """Return the source of the data, or of that at another place, reading it as for the training."""
        source = self.data if text is None else self.data.moved_to(from_text(text, self.data))
        return source.like(self.spec)


def _files(text: str) -> list[str]:
    """Return the files that a path, a folder or a pattern stands for; else the text itself."""
    return [text] if text == "-" else named.expand([text], ())
