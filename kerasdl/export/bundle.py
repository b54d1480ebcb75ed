"""One network in every format, verified, in a folder that appears only when all of it is right."""

import contextlib
import dataclasses
import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasdl.errors import RunFailedError, UsageError, did_you_mean
from kerasdl.export import labels, verify
from kerasdl.export.card import hash_files, make_card, read_card, write_card
from kerasdl.export.onnx_file import write_onnx
from kerasdl.export.process import Worker
from kerasdl.export.readme import readme_text
from kerasdl.export.recheck import embed_samples, verify_bundle
from kerasdl.export.saved_model import write_saved_model
from kerasdl.export.spec import ALL_FORMATS, ExportSpec
from kerasdl.export.tflite import MODES, Converter, TFLiteWriter
from kerasdl.export.verify import Artefact, Batches, Reference

__all__ = ["Bundle", "read_card", "verify_bundle", "write_bundle"]


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A published bundle.

    Attributes:
        path: its folder, `<root>/<name>/<version>`.
        rows: one for each file that was asked for: `file`, `kind`, `endpoint`, `bytes`, `sha256`, the figures
            of the comparison, `evaluation`, `latency_ms`; or `file`, `kind`, `error`.
    """

    path: Path
    rows: list[dict[str, Any]]

    @property
    def failures(self) -> dict[str, str]:
        """Why files are missing that could not be converted, by name."""
        return {row["file"]: row["error"] for row in self.rows if "error" in row}


def write_bundle(
    spec: ExportSpec,
    *,
    task: Any,
    root: Path,
    batches: Batches,
    converter: Converter,
    info: Mapping[str, Any],
    formats: Sequence[str] = ALL_FORMATS,
    tflite_modes: Sequence[str] = MODES[:4],
    dynamic_batch: bool = False,
    samples: Mapping[str, Any] | None = None,
) -> Bundle:
    """Write, verify and publish one network as `<root>/<name>/<next version>/`.

    A file that cannot be converted is left out and named in `failures`; the others are published. A file that
    gives other answers than Keras, beyond the task's tolerances, stops everything.

    Args:
        spec: what to write.
        task: has `compare`, `evaluate` and `tolerances`.
        root: folder of all bundles.
        batches: returns (features, labels) batches to verify with, anew at each call.
        converter: the process that converts to TFLite.
        info: what the card tells besides: recipe, data, metrics. No paths of this machine.
        formats: some of `ALL_FORMATS`.
        tflite_modes: some of `MODES`.
        dynamic_batch: let the TFLite files take any batch size; without it they take one example.
        samples: a few `features` and `labels` to embed, so that the bundle can be verified without the data.

    Raises:
        UsageError: for unknown formats or modes, and names that cannot be file names.
        RunFailedError: when an artefact is not the same network, or nothing could be written.
    """
    _check_arguments(spec, formats, tflite_modes)
    parent = root / spec.name
    parent.mkdir(parents=True, exist_ok=True)
    # Beside the versions, so that publishing is one rename; TF Serving looks at numbers only.
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(dir=parent, prefix=".exporting-"))
        folder = Path(temporary) / "bundle"  # the temporary folder itself is closed to other users
        folder.mkdir()
        fresh = stack.enter_context(Worker())  # opens the SavedModel; it starts while the files are written
        fresh.start()
        tflite = TFLiteWriter(spec, converter, Path(temporary) / "tflite", dynamic_batch=dynamic_batch)
        plan = dict(_plan(spec, folder, tflite, formats, tflite_modes))
        errors = _write_artefacts(plan)
        written = [artefact for artefact in plan if artefact.file not in errors]
        if not written:
            reasons = [f"{file}: {reason}" for file, reason in errors.items()]
            raise RunFailedError("\n".join(["Nothing could be exported.", *reasons]))
        reference = verify.make_reference(spec.endpoints[0], batches)
        rows = _verify_artefacts(written, folder, spec, reference, task, fresh)
        rows += _failed_rows(plan, errors)
        card = make_card(spec, info, rows, examples=len(reference.labels), dynamic_batch=dynamic_batch)
        embedded = None if samples is None else embed_samples(samples, written, folder, reference, fresh)
        _write_texts(folder, spec, card, embedded)
        return Bundle(_publish(folder, parent), rows)


def _check_arguments(spec: ExportSpec, formats: Sequence[str], tflite_modes: Sequence[str]) -> None:
    if not spec.name or Path(spec.name).name != spec.name or spec.name.startswith("."):
        raise UsageError(f"{spec.name!r} cannot be the name of a folder. Use letters, digits, - and _.")
    for kind, words, known in (("format", formats, ALL_FORMATS), ("TFLite mode", tflite_modes, MODES)):
        for word in words:
            if word not in known:
                near = did_you_mean(word, known)
                raise UsageError(f"There is no {kind} {word!r}; there are {', '.join(known)}.{near}")


def _plan(
    spec: ExportSpec, folder: Path, tflite: TFLiteWriter, formats: Sequence[str], tflite_modes: Sequence[str]
) -> Iterator[tuple[Artefact, Callable[[], None]]]:
    """Yield each file that is asked for, with what writes it."""
    having = {kind: [e for e in spec.endpoints if kind in e.formats] for kind in formats}
    for kind, endpoints in having.items():
        names = tuple(endpoint.name for endpoint in endpoints)
        if not endpoints:
            raise UsageError(f"No endpoint of {spec.name} can be exported as {kind}. Leave that format out.")
        if kind == "saved_model":
            yield Artefact("saved_model.pb", kind, names), lambda e=endpoints: _write_saved_model(e, folder)
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


def _write_saved_model(endpoints: Sequence, folder: Path) -> None:
    """Write a SavedModel whose files lie in `folder` itself, all of them or none."""
    apart = folder.parent / "saved_model"
    try:
        write_saved_model(endpoints, apart)
        for path in apart.iterdir():
            path.rename(folder / path.name)
    finally:
        shutil.rmtree(apart, ignore_errors=True)


def _write_artefacts(plan: Mapping[Artefact, Callable[[], None]]) -> dict[str, str]:
    """Write all files that can be written; return why the others cannot, by name."""
    errors = {}
    for artefact, write in plan.items():
        try:
            write()
        except RunFailedError as error:
            errors[artefact.file] = f"it could not be converted: {error}"
    return errors


def _failed_rows(plan: Mapping[Artefact, Any], errors: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"file": artefact.file, "kind": artefact.kind, "error": errors[artefact.file]}
        for artefact in plan
        if artefact.file in errors
    ]


def _verify_artefacts(
    artefacts: Sequence[Artefact],
    folder: Path,
    spec: ExportSpec,
    reference: Reference,
    task: Any,
    worker: Worker,
) -> list[dict[str, Any]]:
    """Compare every artefact with the reference; return a row for each, or raise with all that is wrong."""
    rows, problems, files = [], [], hash_files(folder)
    endpoints = {endpoint.name: endpoint for endpoint in spec.endpoints}
    for artefact in artefacts:
        row = {
            "file": artefact.file,
            "kind": artefact.kind,
            "endpoint": artefact.endpoints[0],
            "bytes": sum(file["bytes"] for path, file in files.items() if artefact.owns(path)),
            "sha256": files[artefact.file]["sha256"],
        }
        try:
            predictor = artefact.open(folder, worker)
            verify.check_interface(predictor, artefact, endpoints)
            if reference.endpoint in artefact.endpoints:
                row |= verify.measure(predictor, reference, task)
                verify.check_tolerances(row, task.tolerances(artefact.kind))
            if predictor.kind == "tflite":
                row["flex_operators"] = verify.flex_operators(folder / artefact.file)
        except RunFailedError as error:
            problems.append(f"{artefact.file}: {error}")
        rows.append(row)
    if problems:
        advice = "Nothing was published. Leave out what fails with --formats or --tflite-modes."
        raise RunFailedError("\n".join([*problems, advice]))
    return rows


def _write_texts(folder: Path, spec: ExportSpec, card: Mapping[str, Any], embedded: Mapping | None) -> None:
    """Write labels, README and, last, the card with the hashes of all other files."""
    if spec.labels:
        (folder / labels.FILE_NAME).write_text(labels.to_text(spec.labels), encoding="utf-8")
    (folder / "README.md").write_text(readme_text(card), encoding="utf-8")
    write_card(folder, {**card, "files": hash_files(folder), "samples": embedded})


def _publish(folder: Path, parent: Path) -> Path:
    """Rename a finished folder to the next free integer; of two exporters at once each gets its own."""
    while True:
        taken = [int(path.name) for path in parent.iterdir() if path.name.isdecimal()]
        path = parent / str(max(taken, default=0) + 1)
        try:
            return folder.rename(path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
