"""Writes a bundle: one network in every format, published only after verification."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasdl.data.passes import Batches
from kerasdl.errors import RunFailedError, UsageError, did_you_mean
from kerasdl.export import compiled, destination, operators, verify, warm_up
from kerasdl.export.artefact import Artefact
from kerasdl.export.card import describe, make_card, read_card, write_card
from kerasdl.export.destination import check_destination
from kerasdl.export.modes import DEFAULT_MODES, INTEGER, MODES
from kerasdl.export.plan import failed_rows, plan_files, planned_formats, write_files
from kerasdl.export.readme.text import readme_text
from kerasdl.export.recheck import (
    NotTheSameError,
    damaged_files,
    embed_samples,
    unlisted_files,
    verify_bundle,
)
from kerasdl.export.spec import ExportSpec
from kerasdl.export.tflite import Converter, TFLiteWriter
from kerasdl.export.verify import References
from kerasdl.files import hash_files, naming_full_disks
from kerasdl.inference.endpoint import ALL_FORMATS
from kerasdl.inference.worker.client import Worker
from kerasdl.recipe.own_files import OwnFiles
from kerasdl.report import cell, terminal
from kerasdl.report.blocks import Column, Table

__all__ = [
    "Bundle", "Files", "NotTheSameError", "check_destination", "damaged_files", "read_card", "unlisted_files",
    "verify_bundle", "write_bundle",
]  # fmt: skip

RECIPE_FILE = "recipe.py"

_FULL = "Nothing was published. Remove files or use another --exported-dir, then: kerasdl export RUN"
_OTHERS = ", or leave both flags out: then what cannot be converted is left out and named"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a bundle that are asked for.

    Attributes:
        formats: some of `ALL_FORMATS`; None for those that an endpoint has.
        tflite_modes: some of `MODES`; None for `DEFAULT_MODES`.
        dynamic_batch: let the TFLite files take any batch size; without it they take one example.
        tflite_io: type of inputs and outputs of int8 files, one of `IO_TYPES`.
        tflite_unroll: write every step of recurrent layers out instead of a loop, as MediaPipe needs it.
        new_signature: make it a version of `<name>` although that answers otherwise so far.
    """

    formats: Sequence[str] | None = None
    tflite_modes: Sequence[str] | None = None
    dynamic_batch: bool = False
    tflite_io: str = "float32"
    tflite_unroll: bool = False
    new_signature: bool = False

    def names(self, artefact: Artefact) -> bool:
        """Tell whether a file was asked for by name, by its format or its mode."""
        return artefact.format in (self.formats or ()) or artefact.kind in (self.tflite_modes or ())


DEFAULT_FILES = Files()


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
    _check_words(files)
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
        errors = write_files(plan)
        if errors and spec.expendable != INTEGER:
            errors = {file: operators.located(text, spec.endpoints[:1]) for file, text in errors.items()}
        _check_whole(plan, errors, files)
        written = [artefact for artefact in plan if artefact.file not in errors]
        references = References(spec.endpoints, batches)
        if any(artefact.kind == "saved_model" for artefact in written):
            signature |= warm_up.write_warm_up(spec, folder, references, signature["endpoints"])
        rows, others = _verify_artefacts(
            written, folder, references, (fresh, converter), files, spec.expendable
        )
        errors |= others
        _check_whole(plan, errors, files)
        written = [artefact for artefact in written if artefact.file not in others]
        # A state loses more at each of many steps: a recurrent network can do without integer files.
        can_do_without = tflite.recurrent or any(one.integers_may_fail for one in spec.endpoints)
        refused = {one.file for one in plan if one.file in errors and one.kind in INTEGER and can_do_without}
        card = make_card(
            spec,
            {**info, **signature},
            rows + failed_rows(plan, errors, refused),
            examples=rows[0]["examples"],
            dynamic_batch=tflite.dynamic_batch,
            tflite_io=files.tflite_io,
            tflite_unroll=files.tflite_unroll,
        )
        embedded = samples and embed_samples(samples, written, folder, references, fresh)
        if recipe_file is not None:
            OwnFiles(recipe_file).copy_to(folder / RECIPE_FILE)
        _write_texts(folder, spec, card, embedded)
        parent = place([artefact.format for artefact in written])
        return Bundle(destination.publish(folder, parent), card["artefacts"], spec.endpoints[0].example)


def _check_whole(plan: Iterable[Artefact], errors: Mapping[str, str], files: Files) -> None:
    """Raise a RunFailedError unless all is there that was asked for by name, and at least one file."""
    missing = [artefact for artefact in plan if artefact.file in errors]
    reasons = [f"{artefact.file}: {errors[artefact.file]}" for artefact in missing]
    if len(missing) == len(list(plan)):
        raise RunFailedError("\n".join(["Nothing could be exported.", *reasons]))
    if any(files.names(artefact) for artefact in missing):
        said = "Nothing was published: not all that was asked for by name could be written."
        advice = f"Leave it out of --formats or --tflite-modes{_OTHERS}."
        raise RunFailedError("\n".join([said, *reasons, advice]))


def _check_words(files: Files) -> None:
    asked = (("format", files.formats, ALL_FORMATS), ("TFLite mode", files.tflite_modes, MODES))
    for kind, words, known in asked:
        for word in words or ():
            if word not in known:
                near = did_you_mean(word, known)
                raise UsageError(f"There is no {kind} {word!r}; there are {', '.join(known)}.{near}")


def _verify_artefacts(
    artefacts: Sequence[Artefact],
    folder: Path,
    references: References,
    workers: tuple[Worker, Worker],
    asked: Files,
    expendable: Sequence[str],
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Compare every artefact with Keras; return a row for each, or raise with all that is wrong.

    A file of an expendable kind that was not asked for by name is deleted where it is too far from the
    network, and returned by name, with the reason.
    """
    rows, problems, refused, hashes = [], [], {}, hash_files(folder)
    for artefact in terminal.each("Verifying", artefacts, lambda one: one.file):
        row = {
            "file": artefact.file,
            "kind": artefact.kind,
            "endpoint": artefact.endpoints[0],
            "bytes": sum(file["bytes"] for path, file in hashes.items() if artefact.owns(path)),
            "sha256": hashes[artefact.file]["sha256"],
        }
        try:
            predictor = artefact.open(folder, workers[0])
            verify.check_interface(predictor, artefact, references.endpoints)
            figures, wrong = verify.compare(predictor, artefact, references)
            if artefact.kind == "saved_model":
                warm_up.replay(folder, predictor, largest=1)
            row |= figures
            if predictor.kind == "tflite":
                row["flex_operators"] = verify.flex_operators(folder / artefact.file)
                inputs_of = references.first_inputs
                row[compiled.KEY], others = compiled.compare(predictor, artefact, inputs_of, workers[1])
                wrong += others
        except RunFailedError as error:
            wrong = [str(error)]
        if wrong and artefact.kind in expendable and not asked.names(artefact):
            refused[artefact.file] = f"it is not the same network: {'; '.join(wrong)}"
            (folder / artefact.file).unlink()
            continue
        problems += [f"{artefact.file}: {problem}" for problem in wrong]
        rows.append(row)
    if problems or not rows:
        problems += [f"{file}: {reason}" for file, reason in refused.items()]
        advice = (
            "Nothing was published. Leave out what fails: kerasdl export RUN --formats ... --tflite-modes ..."
        )
        raise RunFailedError("\n".join([*problems, advice]))
    return rows, refused


def _write_texts(folder: Path, spec: ExportSpec, card: Mapping[str, Any], embedded: Mapping | None) -> None:
    """Write assets, README and, last, the card with the hashes of all other files."""
    for name, text in spec.assets.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(readme_text(card, spec.assets), encoding="utf-8")
    write_card(folder, {**card, "files": hash_files(folder), "samples": embedded})
