"""One exported file, and how it is opened to be checked."""

import dataclasses
from pathlib import Path

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.inference import graph, runtimes
from kerasdl.inference.predictor import Predictor
from kerasdl.inference.worker.client import Worker


@dataclasses.dataclass(frozen=True)
class Artefact:
    """One exported file.

    Attributes:
        file: its name in the bundle; "saved_model.pb" stands for all files of the SavedModel.
        kind: "saved_model", a TFLite mode, or "onnx"; tolerances go by it.
        endpoints: what can be called in it.
    """

    file: str
    kind: str
    endpoints: tuple[str, ...]

    @property
    def format(self) -> str:
        """The format: "saved_model", "tflite" or "onnx"."""
        return self.kind if self.kind in ("saved_model", "onnx") else "tflite"

    def owns(self, path: str) -> bool:
        """Tell whether a file of the bundle, given by its relative path, is (a part of) this artefact."""
        if self.kind != "saved_model":
            return path == self.file
        return path in ("saved_model.pb", "fingerprint.pb") or path.startswith(("variables/", "assets"))

    def open(self, folder: Path, worker: Worker) -> Predictor:
        """Open it in its own runtime, with the worker's number of threads.

        A SavedModel is opened by the worker: a process that has neither Keras nor kerasdl.

        Raises:
            UsageError: when a SavedModel reaches beyond itself and is not trusted.
            RunFailedError: when it cannot be opened.
        """
        if self.kind == "saved_model":
            graph.check(folder)
        try:
            if self.kind == "saved_model":
                return _SavedModelElsewhere(folder, worker)
            return runtimes.open_artifact(folder / self.file, num_threads=worker.num_threads)
        except (UsageError, RunFailedError) as error:
            raise RunFailedError(f"cannot be opened: {error}") from error


class _SavedModelElsewhere(Predictor):
    """A SavedModel that a worker process has loaded."""

    kind = "saved_model"

    def __init__(self, folder: Path, worker: Worker):
        self._worker = worker
        super().__init__(folder, (), worker.ask("load", path=str(folder.absolute())))

    def durations(self, endpoint, inputs, *, seconds, calls=None):
        prepared = self._prepare(endpoint, inputs)
        return self._worker.ask("durations", endpoint=endpoint, inputs=prepared, seconds=seconds, calls=calls)

    def _run(self, endpoint, inputs):
        return self._worker.ask("call", endpoint=endpoint, inputs=inputs)
