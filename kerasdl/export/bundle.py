"""Writes a bundle: one network in every format, published only after verification."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from kerasdl.data.passes import Batches
from kerasdl.export import destination, operators, verify, warm_up
from kerasdl.export.artefact import Artefact
from kerasdl.export.card import describe, make_card, read_card, write_card
from kerasdl.export.destination import check_destination
from kerasdl.export.modes import DEFAULT_MODES, INTEGER
from kerasdl.export.plan import failed_rows, plan_files, planned_formats, write_files
from kerasdl.export.readme.text import readme_text
from kerasdl.export.recheck import NotTheSameError, damaged_files, unlisted_files, verify_bundle
from kerasdl.export.references import References
from kerasdl.export.samples import embed
from kerasdl.export.spec import ExportSpec
from kerasdl.export.tflite import Converter, TFLiteWriter
from kerasdl.export.wanted import DEFAULT_FILES, Files
from kerasdl.files import hash_files, naming_full_disks
from kerasdl.inference.worker.client import Worker
from kerasdl.recipe.own_files import OwnFiles
from kerasdl.report import cell
from kerasdl.report.blocks import Column, Table

__all__ = [
    "Bundle", "Files", "NotTheSameError", "check_destination", "damaged_files", "read_card", "unlisted_files",
    "verify_bundle", "write_bundle",
]  # fmt: skip

RECIPE_FILE = "recipe.py"

_FULL = "Nothing was published. Remove files or use another --exported-dir, then: kerasdl export RUN"


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A published bundle.

    Attributes:
        path: its folder, `<root>/<name>/<version>`.
        rows: one for each file that was asked for: `file`, `kind`, `bytes`, `sha256`, `endpoint` (the first),
            its figures, `latency_ms`, and `endpoints`: the figures of each; or `file`, `kind`, `error`, and
            `refused` where the network can do without such a file.
        example: an argument of `kerasdl predict`; "" where it reads none.
    """

    path: Path
    rows: list[dict[str, Any]]
    example: str = ""

    def __repr__(self) -> str:
        made = [row["file"] for row in self.rows if "error" not in row]
        return f"<Bundle {self.path}: {', '.join(made)}>"

    def _repr_html_(self) -> str:
        rows = [
            [row["file"], row.get("bytes", 0) / 1e3 or None, row.get("latency_ms"), row.get("error", "")]
            for row in self.rows
        ]
        columns = [Column("file"), Column("size (kB)", ",.1f"), Column("latency (ms)", ".3f"), Column("")]
        return cell.render(str(self.path), [Table("Verified files", columns, rows)])

    @property
    def failures(self) -> dict[str, str]:
        """Why files are missing that could not be converted, by name, but for those that are expendable."""
        missing = [row for row in self.rows if "error" in row and not row.get("refused")]
        return {row["file"]: row["error"] for row in missing}


def write_bundle(
    spec: ExportSpec,
    *,
    root: Path,
    batches: Batches,
    converter: Converter,
    info: Mapping[str, Any],
    files: Files = DEFAULT_FILES,
    samples: Mapping[str, Any] | None = None,
    recipe_file: Path | None = None,
) -> Bundle:
    """Write, verify and publish one network as `<root>/<name>/<next version>/`.

    A file that was asked for by name and cannot be converted stops everything, and so does a full disk; one
    that comes by default is left out and named in `failures`. A file that gives other answers than Keras,
    beyond the tolerances of the endpoint, stops everything too, but for an integer file that comes by
    default: that is left out and named, since not every network bears 256 steps. The first endpoint of each
    file is compared on all batches; further ones, which may have files to decode, on the first batch only.

    Args:
        spec: what to write.
        root: folder of all bundles; the one of the versions is `destination.choose`'s.
        batches: returns batches to verify with, anew at each call.
        converter: the process that converts to TFLite.
        info: what the card tells besides: recipe, data, metrics. No paths of this machine.
        files: which files to write.
        samples: a few `features` and `targets` to embed, so that the bundle can be verified without the data.
        recipe_file: the user's file that defines the task or the data source; the bundle keeps a copy.

    Raises:
        UsageError: for unknown formats or modes, and what `check_destination` refuses.
        RunFailedError: when an artefact is not the same network, something that was asked for by name could
            not be written, or the disk is full.
    """
    files.check_words()
    signature = {"labels": list(spec.labels), "endpoints": [describe(one) for one in spec.endpoints]}
    place = functools.partial(
        destination.choose, root, spec.name, signature=signature, new_signature=files.new_signature
    )
    parent = place(planned_formats(spec, files.formats))
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(destination.workspace(parent))
        stack.enter_context(naming_full_disks(parent, advice=_FULL))  # while what was written is there
        folder = temporary / "bundle"  # the temporary folder itself is closed to other users
        folder.mkdir()
        fresh = stack.enter_context(Worker())  # opens the SavedModel; it starts while the files are written
        tflite = TFLiteWriter(
            spec,
            converter,
            temporary / "tflite",
            dynamic_batch=files.dynamic_batch,
            io=files.tflite_io,
            unroll=files.tflite_unroll,
        )
        plan = dict(plan_files(spec, folder, tflite, files.formats, files.tflite_modes or DEFAULT_MODES))
        if any(artefact.kind == "saved_model" for artefact in plan):
            fresh.start()
        errors = _write_all(plan, spec, files)
        written = [artefact for artefact in plan if artefact.file not in errors]
        references = References(spec.endpoints, batches)
        if any(artefact.kind == "saved_model" for artefact in written):
            signature |= warm_up.write_warm_up(spec, folder, references, signature["endpoints"])
        workers = fresh, converter
        rows, others = verify.verify_artefacts(written, folder, references, workers, files, spec.expendable)
        errors |= others
        files.check_whole(plan, errors)
        written = [artefact for artefact in written if artefact.file not in others]
        card = make_card(
            spec,
            {**info, **signature},
            rows + failed_rows(plan, errors, _refused(plan, errors, spec, tflite.recurrent)),
            examples=rows[0]["examples"],
            dynamic_batch=tflite.dynamic_batch,
            tflite_io=files.tflite_io,
            tflite_unroll=files.tflite_unroll,
        )
        embedded = samples and embed(samples, written, folder, references, fresh)
        if recipe_file is not None:
            OwnFiles(recipe_file).copy_to(folder / RECIPE_FILE)
        _write_texts(folder, spec, card, embedded)
        parent = place([artefact.format for artefact in written])
        return Bundle(destination.publish(folder, parent), card["artefacts"], spec.endpoints[0].example)


def _write_all(plan: Mapping[Artefact, Callable], spec: ExportSpec, files: Files) -> dict[str, str]:
    """Write the files of a plan; return why some could not be written, by name.

    Raises:
        RunFailedError: when one of them was asked for by name.
    """
    errors = write_files(plan)
    if errors and spec.expendable != INTEGER:
        errors = {file: operators.located(text, spec.endpoints[:1]) for file, text in errors.items()}
    files.check_whole(plan, errors)
    return errors


def _refused(
    plan: Iterable[Artefact], errors: Collection[str], spec: ExportSpec, recurrent: bool
) -> set[str]:
    """Return the failed files that a network can do without: a state loses more at each of many steps."""
    if not recurrent and not any(endpoint.integers_may_fail for endpoint in spec.endpoints):
        return set()
    return {artefact.file for artefact in plan if artefact.file in errors and artefact.kind in INTEGER}


def _write_texts(folder: Path, spec: ExportSpec, card: Mapping[str, Any], embedded: Mapping | None) -> None:
    """Write assets, README and, last, the card with the hashes of all other files."""
    for name, text in spec.assets.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(readme_text(card, spec.assets), encoding="utf-8")
    write_card(folder, {**card, "files": hash_files(folder), "samples": embedded})
