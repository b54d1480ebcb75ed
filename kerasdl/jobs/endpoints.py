"""Finds the endpoint that a command needs: of a target, or of the ONNX file beside it."""

import logging
from pathlib import Path

from kerasdl.errors import UsageError
from kerasdl.jobs import open as loading
from kerasdl.jobs.target import Target

_log = logging.getLogger(__name__)


def find(target: Target, *names: str) -> tuple[Target, str] | None:
    """Return the first of some endpoints that there is, and what has it; None where none is.

    An ONNX file has one endpoint alone; those of the same network lie beside it.
    """
    for name in names:
        if name in target.predictor.inputs:
            return target, name
    for name in names:
        if (path := _beside(target, name)) is not None:
            _log.info(f"{target.path.name} has no endpoint {name}: {path} does.")
            return loading.load(path), name
    return None


def need(target: Target, name: str, what: str, others: str = "") -> Target:
    """Return what has an endpoint.

    Args:
        target: the run, bundle or file.
        name: of the endpoint.
        what: what it is needed for: "describe images".
        others: what else would do, after "Give the run, the bundle or a file of one". Defaults to nothing.

    Raises:
        UsageError: when there is none.
    """
    if (found := find(target, name)) is not None:
        return found[0]
    raise UsageError(
        f"{target.path} cannot {what}: it has the endpoints {', '.join(target.predictor.inputs)}, but not "
        f"{name}, which VAEs have. Give the run, the bundle or a file of one{others}."
    )


def _beside(target: Target, name: str) -> Path | None:
    own = f".{target.predictor.default_endpoint}.onnx"
    if target.kind != "onnx" or not target.path.name.endswith(own):
        return None
    path = target.path.with_name(f"{target.path.name.removesuffix(own)}.{name}.onnx")
    return path if path.is_file() else None
