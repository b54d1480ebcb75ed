"""Writes a bundle: one network in every format, published only after verification."""

import contextlib
import dataclasses
import errno
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasdl.data.passes import Batches
from kerasdl.errors import RunFailedError, UsageError, did_you_mean
from kerasdl.export import verify
from kerasdl.export.artefact import Artefact
from kerasdl.export.card import make_card, read_card, write_card
from kerasdl.export.plan import failed_rows, plan_files, write_files
from kerasdl.export.readme.text import readme_text
from kerasdl.export.recheck import NotTheSameError, damaged_files, embed_samples, verify_bundle
from kerasdl.export.spec import ExportSpec
from kerasdl.export.tflite import DEFAULT_MODES, MODES, Converter, TFLiteWriter
from kerasdl.export.verify import References
from kerasdl.files import free_version, hash_files
from kerasdl.inference.endpoint import ALL_FORMATS
from kerasdl.inference.worker.client import Worker
from kerasdl.recipe.own_files import OwnFiles

__all__ = [
    "Bundle", "NotTheSameError", "check_destination", "damaged_files", "read_card", "verify_bundle",
    "write_bundle",
]  # fmt: skip

RECIPE_FILE = "recipe.py"


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A published bundle.

    Attributes:
        path: its folder, `<root>/<name>/<version>`.
        rows: one for each file that was asked for: `file`, `kind`, `bytes`, `sha256`, `endpoint` (the first),
            its figures, `latency_ms`, and `endpoints`: the figures of each; or `file`, `kind`, `error`.
        example: an argument of `kerasdl predict`; "" where it reads none.
    """

    path: Path
    rows: list[dict[str, Any]]
    example: str = ""

    @property
    def failures(self) -> dict[str, str]:
        """Why files are missing that could not be converted, by name."""
        return {row["file"]: row["error"] for row in self.rows if "error" in row}


def write_bundle(
    spec: ExportSpec,
    *,
    root: Path,
    batches: Batches,
    converter: Converter,
    info: Mapping[str, Any],
    formats: Sequence[str] | None = None,
    tflite_modes: Sequence[str] = DEFAULT_MODES,
    dynamic_batch: bool = False,
    samples: Mapping[str, Any] | None = None,
    recipe_file: Path | None = None,
) -> Bundle:
    """Write, verify and publish one network as `<root>/<name>/<next version>/`.

    A file that cannot be converted is left out and named in `failures`; the others are published. A file that
    gives other answers than Keras, beyond the tolerances of the endpoint, stops everything. The first
    endpoint of each file is compared on all batches; further ones, which may have files to decode, on the
    first batch only.

    Args:
        spec: what to write.
        root: folder of all bundles.
        batches: returns batches to verify with, anew at each call.
        converter: the process that converts to TFLite.
        info: what the card tells besides: recipe, data, metrics. No paths of this machine.
        formats: some of `ALL_FORMATS`; None for those that an endpoint has.
        tflite_modes: some of `MODES`.
        dynamic_batch: let the TFLite files take any batch size; without it they take one example.
        samples: a few `features` and `targets` to embed, so that the bundle can be verified without the data.
        recipe_file: the user's file that defines the task or the data source; the bundle keeps a copy.

    Raises:
        UsageError: for unknown formats or modes, and what `check_destination` refuses.
        RunFailedError: when an artefact is not the same network, or nothing could be written.
    """
    _check_words(formats or (), tflite_modes)
    parent = check_destination(root, spec.name)
    # Beside the versions, so that publishing is one rename; TF Serving looks at numbers only.
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(dir=parent, prefix=".exporting-"))
        folder = Path(temporary) / "bundle"  # the temporary folder itself is closed to other users
        folder.mkdir()
        fresh = stack.enter_context(Worker())  # opens the SavedModel; it starts while the files are written
        tflite = TFLiteWriter(spec, converter, Path(temporary) / "tflite", dynamic_batch=dynamic_batch)
        plan = dict(plan_files(spec, folder, tflite, formats, tflite_modes))
        if any(artefact.kind == "saved_model" for artefact in plan):
            fresh.start()
        errors = write_files(plan)
        written = [artefact for artefact in plan if artefact.file not in errors]
        if not written:
            reasons = [f"{file}: {reason}" for file, reason in errors.items()]
            raise RunFailedError("\n".join(["Nothing could be exported.", *reasons]))
        references = References(spec.endpoints, batches)
        rows = _verify_artefacts(written, folder, references, fresh)
        card = make_card(
            spec,
            info,
            rows + failed_rows(plan, errors),
            examples=rows[0]["examples"],
            dynamic_batch=dynamic_batch,
        )
        embedded = samples and embed_samples(samples, written, folder, references, fresh)
        if recipe_file is not None:
            OwnFiles(recipe_file).copy_to(folder / RECIPE_FILE)
        _write_texts(folder, spec, card, embedded)
        return Bundle(_publish(folder, parent), card["artefacts"], spec.endpoints[0].example)


def check_destination(root: Path, name: str) -> Path:
    """Make the folder of a network's versions, or raise before any work is done.

    Returns:
        `<root>/<name>`, in which folders can be made.

    Raises:
        UsageError: for a name that cannot be a folder's, and a folder that cannot be written.
    """
    if not name or not name.isprintable() or Path(name).name != name or name.startswith("."):
        raise UsageError(f"{name!r} cannot be the name of a folder. Use letters, digits, - and _.")
    parent = root / name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix=".exporting-"):
            return parent
    except OSError as error:
        raise UsageError(
            f"No bundle can be written to {parent}: {error.strerror}. Use --exported-dir."
        ) from error


def _check_words(formats: Sequence[str], tflite_modes: Sequence[str]) -> None:
    for kind, words, known in (("format", formats, ALL_FORMATS), ("TFLite mode", tflite_modes, MODES)):
        for word in words:
            if word not in known:
                near = did_you_mean(word, known)
                raise UsageError(f"There is no {kind} {word!r}; there are {', '.join(known)}.{near}")


def _verify_artefacts(
    artefacts: Sequence[Artefact], folder: Path, references: References, worker: Worker
) -> list[dict[str, Any]]:
    """Compare every artefact with Keras; return a row for each, or raise with all that is wrong."""
    rows, problems, files = [], [], hash_files(folder)
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
            verify.check_interface(predictor, artefact, references.endpoints)
            figures, beyond = verify.compare(predictor, artefact, references)
            problems += [f"{artefact.file}: {problem}" for problem in beyond]
            row |= figures
            if predictor.kind == "tflite":
                row["flex_operators"] = verify.flex_operators(folder / artefact.file)
        except RunFailedError as error:
            problems.append(f"{artefact.file}: {error}")
        rows.append(row)
    if problems:
        advice = (
            "Nothing was published. Leave out what fails: kerasdl export RUN --formats ... --tflite-modes ..."
        )
        raise RunFailedError("\n".join([*problems, advice]))
    return rows


def _write_texts(folder: Path, spec: ExportSpec, card: Mapping[str, Any], embedded: Mapping | None) -> None:
    """Write assets, README and, last, the card with the hashes of all other files."""
    for name, text in spec.assets.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(readme_text(card), encoding="utf-8")
    write_card(folder, {**card, "files": hash_files(folder), "samples": embedded})


def _publish(folder: Path, parent: Path) -> Path:
    """Rename a finished folder to the next free integer; of two exporters at once each gets its own."""
    while True:
        try:
            return folder.rename(free_version(parent))
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
