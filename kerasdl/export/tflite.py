"""Endpoints to TFLite files, converted in a process of their own."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasdl.errors import RunFailedError
from kerasdl.export import operators, representative
from kerasdl.export.modes import INTEGER
from kerasdl.export.saved_model import write_saved_model
from kerasdl.export.spec import ExportSpec
from kerasdl.inference import tflite_file
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.worker.client import Worker
from kerasdl.layers import export_mode


class Converter(Worker):
    """The process that converts: TensorFlow's converter can crash, and must not take a training run along.

    Example:
        >>> with Converter() as converter:
        ...     converter.start()  # while the network trains
        ...     converter.convert(folder, Path("x.int8.tflite"), "int8", ["encode"], {"encode": inputs})
    """

    gives_back = True

    def convert(
        self,
        source: Path,
        target: Path,
        mode: str,
        signatures: Sequence[str],
        calibration: Mapping[str, Mapping[str, np.ndarray]] | None = None,
        io: str = "float32",
    ) -> None:
        """Convert signatures of a SavedModel to one TFLite file.

        Args:
            source: folder of the SavedModel.
            target: path of the file.
            mode: one of `MODES`.
            signatures: names of the signatures to keep.
            calibration: real inputs (N, ...) by signature and name; the integer modes need them.
            io: type of inputs and outputs of an int8 file, one of `IO_TYPES`.

        Raises:
            RunFailedError: when the converter refuses or crashes.
        """
        self.ask(
            "convert",
            source=str(source.absolute()),
            target=str(target.absolute()),
            mode=mode,
            signatures=list(signatures),
            calibration=calibration,
            io=io,
        )


class TFLiteWriter:
    """Writes one network in several modes; what they have in common is traced once.

    Attributes:
        recurrent: whether the network goes through the steps of sequences.
        dynamic_batch: whether the files take any batch size: where that is asked for, and where a network has
            loops.

    Args:
        spec: what to write.
        converter: the process that converts.
        workspace: folder for the SavedModel that it converts; does not exist yet.
        dynamic_batch: let the files take any batch size; without it they take one example.
        io: type of inputs and outputs of int8 files, one of `IO_TYPES`. Defaults to "float32".
        unroll: write every step of recurrent layers out instead of a loop. Defaults to False.
    """

    def __init__(
        self,
        spec: ExportSpec,
        converter: Converter,
        workspace: Path,
        *,
        dynamic_batch: bool,
        io: str = "float32",
        unroll: bool = False,
    ):
        self._spec = spec
        self._io = io
        self._unroll = unroll
        self._converter = converter
        endpoints = [endpoint for endpoint in spec.endpoints if "tflite" in endpoint.formats]
        with export_mode.exporting("tflite"):
            self.recurrent = bool(operators.operators_of(endpoints) & operators.LOOPS)
        # Calibrating a loop over one example brings TensorFlow's converter down.
        self.dynamic_batch = dynamic_batch or (self.recurrent and not unroll)
        self._endpoints = [_for_phones(each, None if self.dynamic_batch else 1) for each in endpoints]
        self._source = workspace

    def write(self, target: Path, mode: str) -> None:
        """Write one file: builtin operators only; labels and tokeniser inside.

        Raises:
            RunFailedError: when it cannot be converted.
        """
        names = [endpoint.name for endpoint in self._endpoints]
        bare = [name for name in names if name not in self._spec.representative]
        if mode in INTEGER and bare:
            raise RunFailedError(f"{mode} needs representative samples of {', '.join(bare)}")
        if not self._source.exists():
            write_saved_model(self._endpoints, self._source, "tflite", unroll=self._unroll)
        calibration = self._calibration if mode in INTEGER else None
        self._converter.convert(self._source, target, mode, names, calibration, self._io)
        custom = tflite_file.custom_operators(target)
        if custom:
            target.unlink()
            raise RunFailedError(f"it needs operators that phones do not have ({', '.join(custom)})")
        tflite_file.embed(target, self._spec.name, self._spec.labels, self._spec.assets)

    @functools.cached_property
    def _calibration(self) -> dict[str, dict[str, np.ndarray]]:
        """The examples for the ranges of the integer modes, by signature and name."""
        found, samples = {}, self._spec.representative
        try:
            for endpoint in self._endpoints:
                single = _for_phones(endpoint, 1)
                found[endpoint.name] = representative.without_outliers(single, samples[endpoint.name])
        except (KeyError, ValueError, tf.errors.OpError) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            # TensorFlow's reason stands before the name of the node, after pages of calls.
            told = (line for line, after in itertools.pairwise(lines) if after.startswith("[[{{node"))
            reason = next(told, lines[0] if lines else type(error).__name__)
            raise RunFailedError(f"its representative samples cannot be run: {reason[:300]}") from error
        return found


def _for_phones(endpoint: Endpoint, batch_size: int | None) -> Endpoint:
    """Give an endpoint a batch size, float32 inputs (raw values, 0..255) for uint8, no derived outputs."""
    inputs = {}
    for name, spec in endpoint.inputs.items():
        dtype = tf.float32 if spec.dtype == tf.uint8 else spec.dtype
        sizes = [endpoint.phone_length if size is None else size for size in spec.shape[1:]]
        inputs[name] = tf.TensorSpec((batch_size, *sizes), dtype, name)

    def function(*tensors):
        outputs = endpoint.function(*tensors)
        return {name: value for name, value in outputs.items() if name not in endpoint.derived}

    return dataclasses.replace(endpoint, function=function, inputs=inputs)
