"""Compares TFLite files in LiteRT's CompiledModel, which apps use, with the interpreter's answers."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasdl.errors import RunFailedError
from kerasdl.export.artefact import Artefact
from kerasdl.inference.endpoint import close, differences
from kerasdl.inference.runtimes import TFLitePredictor
from kerasdl.inference.worker.client import Worker

_log = logging.getLogger(__name__)

#: Key of the figures in a card's row.
KEY = "compiled_model"
_EXAMPLES = 4


def compare(
    predictor: TFLitePredictor,
    artefact: Artefact,
    inputs_of: Callable[[str], Mapping[str, np.ndarray]],
    worker: Worker,
) -> tuple[dict[str, Any], list[str]]:
    """Run the first examples in CompiledModel, in the worker, since it may bring its process down.

    Args:
        predictor: the file, opened in the interpreter.
        artefact: the file.
        inputs_of: takes an endpoint and returns an array (N, ...) for each of its inputs.
        worker: the process to run it in.

    Returns:
        For each endpoint the figures of `differences` from the interpreter and the number of `examples`, or
        as `error` why it cannot be run; and what lies beyond the limits for such files, in words.
    """
    found, problems = {}, []
    for name in artefact.endpoints:
        few = {key: value[:_EXAMPLES] for key, value in inputs_of(name).items()}
        try:
            found[name] = _figures(predictor, name, few, worker)
        except RunFailedError as error:
            _log.info(
                f"{artefact.file}: LiteRT's CompiledModel cannot run {name} ({error}); its Interpreter does."
            )
            found[name] = {"error": str(error)}
            continue
        problems += [
            f"{name} in LiteRT's CompiledModel: {figure} from the interpreter is {found[name][figure]:.3g}, "
            f"but has to be <= {limit:g}"
            for figure, (_, limit) in close(artefact.kind).items()
            if figure != "spread_difference" and not found[name][figure] <= limit
        ]
    return found, problems


def _figures(
    predictor: TFLitePredictor, endpoint: str, inputs: Mapping[str, np.ndarray], worker: Worker
) -> dict[str, float]:
    stored = predictor.as_stored(endpoint, inputs)
    path = str(predictor.path.absolute())
    actual = predictor.as_real(endpoint, worker.ask("compiled", path=path, endpoint=endpoint, inputs=stored))
    expected = predictor.call(endpoint, inputs)
    examples = len(next(iter(inputs.values())))
    return {**differences({name: expected[name] for name in actual}, actual, None), "examples": examples}
