"""Plans the files of a bundle, with a writer for each."""

import functools
import logging
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasdl import machine
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export.artefact import Artefact
from kerasdl.export.onnx import write_onnx
from kerasdl.export.saved_model import write_saved_model
from kerasdl.export.spec import ExportSpec
from kerasdl.export.tflite import TFLiteWriter
from kerasdl.inference.endpoint import ALL_FORMATS
from kerasdl.report import terminal

_log = logging.getLogger(__name__)


def plan_files(
    spec: ExportSpec,
    folder: Path,
    tflite: TFLiteWriter,
    formats: Sequence[str] | None,
    tflite_modes: Sequence[str],
) -> Iterator[tuple[Artefact, Callable[[], None]]]:
    """Yield each file to write, with its writer.

    Raises:
        UsageError: for a format that was asked for and no endpoint has.
    """
    having = {
        kind: [endpoint for endpoint in spec.endpoints if kind in endpoint.formats]
        for kind in formats or ALL_FORMATS
    }
    if formats is None and (without := [kind for kind, endpoints in having.items() if not endpoints]):
        _log.info(f"{spec.name} takes what {' and '.join(without)} files cannot hold; they are left out.")
        having = {kind: endpoints for kind, endpoints in having.items() if endpoints}
    for kind, endpoints in having.items():
        names = tuple(endpoint.name for endpoint in endpoints)
        if not endpoints:
            raise UsageError(f"No endpoint of {spec.name} can be exported as {kind}. Leave that format out.")
        if kind == "saved_model":
            write = functools.partial(_write_saved_model, endpoints, folder, spec.resources)
            yield Artefact("saved_model.pb", kind, names), write
        elif kind == "tflite":
            for mode in tflite_modes:
                file = f"{spec.name}.{mode}.tflite"
                yield Artefact(file, mode, names), lambda f=file, m=mode: tflite.write(folder / f, m)
        else:
            for endpoint in endpoints:
                file = f"{spec.name}.onnx" if len(endpoints) == 1 else f"{spec.name}.{endpoint.name}.onnx"
                yield (
                    Artefact(file, kind, (endpoint.name,)),
                    lambda e=endpoint, f=file: write_onnx(spec, e, folder / f),
                )


def planned_formats(spec: ExportSpec, formats: Sequence[str] | None) -> list[str]:
    """Return the formats that a bundle will have, if all goes well."""
    return [kind for kind in formats or ALL_FORMATS if any(kind in e.formats for e in spec.endpoints)]


def _write_saved_model(endpoints: Sequence, folder: Path, resources: Sequence) -> None:
    """Write a SavedModel whose files lie in `folder` itself, all of them or none."""
    apart = folder.parent / "saved_model"
    try:
        write_saved_model(endpoints, apart, resources=resources)
        for path in apart.iterdir():
            path.rename(folder / path.name)
    finally:
        shutil.rmtree(apart, ignore_errors=True)


def write_files(plan: Mapping[Artefact, Callable[[], None]]) -> dict[str, str]:
    """Write all files that can be written; return why the others cannot, by name.

    A full disk is not a reason to leave a file out: such an error is raised.
    """
    errors = {}
    for artefact in terminal.each("Exporting", plan, lambda one: one.file):
        try:
            plan[artefact]()
        except RunFailedError as error:
            if machine.full_disk(error):
                raise
            errors[artefact.file] = f"it could not be converted: {error}"
    return errors


def failed_rows(
    plan: Mapping[Artefact, Any], errors: Mapping[str, str], refused: Collection[str]
) -> list[dict[str, Any]]:
    """Return the card's rows of the files that are not there; `refused` are those that nobody misses."""
    return [
        {"file": artefact.file, "kind": artefact.kind, "error": errors[artefact.file]}
        | ({"refused": True} if artefact.file in refused else {})
        for artefact in plan
        if artefact.file in errors
    ]
