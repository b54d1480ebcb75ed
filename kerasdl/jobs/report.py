"""Writes `report.html`: one self-contained page about a run."""

import contextlib
import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl import public
from kerasdl.errors import UsageError
from kerasdl.explain import page as explanations
from kerasdl.files import parsing, writing
from kerasdl.recipe.document import decode
from kerasdl.report import curves, pictures, provenance
from kerasdl.report.blocks import Block, Code, Column, Notice, Picture, Pictures, Section, Table, Text
from kerasdl.report.render import render
from kerasdl.runs import record, state
from kerasdl.runs.documents import COMPARED, GALLERY, SAMPLE_PICTURES, SAMPLES, sample_picture
from kerasdl.runs.folder import Run
from kerasdl.runs.record import Record
from kerasdl.tasks.task import Task, numbers

_log = logging.getLogger(__name__)

FILE_NAME = "report.html"
_FRAMES, _SIDE, _COLOURS = 8, 256, 16  # of a film of samples; pixels


def write_report(run: Run) -> Path:
    """Write the report of a run from the files that exist; return its path.

    It needs neither the data nor Keras.

    Raises:
        UsageError: when the folder is not a run folder, or cannot be written to.
        RunFailedError: when a file of it is damaged, or the disk is full.
    """
    read = record.read(run.path)
    task, problem = _task(read) if read.test else (None, "")
    with parsing(run.path / "receipt.json"):
        found: list[Section | None] = [provenance.hyperparameters(read), provenance.overview(read)]
    tested = test_sections(read, task)
    charts = [] if read.is_imported else [Section("Training", _training(read))]
    found += [*tested[:1], *charts, *tested[1:]]
    explained = f"{explanations.FOLDER}/{explanations.FILE_NAME}"
    found += [
        _samples(read),
        _kept(read, explained, "about", explanations.section, ", or write it anew: kerasdl explain"),
        _kept(read, "augmented.npz", "images", _augmentation),
    ]
    found.append(provenance.artefacts(read, {} if task is None else task.columns))
    found.append(provenance.receipt(read))
    sections = [section for section in found if section is not None]
    with parsing(run.path / "metrics.json"):  # charts cannot draw what is not finite
        page = render(
            title=read.name,
            subtitle="Report of an imported model" if read.is_imported else "Report of a training run",
            notices=[*notices(read), *([Notice(problem, "warning")] if problem else [])],
            sections=sections,
            every=_seconds_between(read),
        )
    path = run.path / FILE_NAME
    with writing(path, "The report lies in the folder of its run: make that writable."):
        run.write(FILE_NAME, page)
    return path


def notices(read: Record) -> list[Block]:
    """Return where a run stands, and what should be known of its result."""
    said = read.metrics.get("verdicts", ())
    verdicts = [Notice(verdict["text"], "warning", command=verdict["command"]) for verdict in said]
    return [*_of_state(read), *verdicts]


def _of_state(read: Record) -> list[Block]:
    where = state.of(read)
    if where.name == "finished":
        return [Notice(where.text)] if where.text else []
    if where.name == "active":
        now = datetime.now().astimezone()
        again = f"kerasdl report {shlex.quote(str(read.run.path))}"
        said = (
            f"{where.text} This page shows what was there at {now:%H:%M} ({now:%Y-%m-%d}). It is written "
            "again while the run goes on, and reloads itself; to write it now:"
        )
        return [Notice(said, command=again)]
    return [Notice(where.text, "error" if where.name == "failed" else "warning", where.command)]


def _seconds_between(read: Record) -> float | None:
    """Return the seconds after which the page of a run under way will be written again, about."""
    if state.of(read).name != "active":
        return None
    return max([5.0, *(row.get("seconds") or 0.0 for row in read.history[-1:])])


def _training(read: Record) -> list[Block]:
    charts = curves.of_history(read.history, read.metrics.get("best_epoch"))
    return list(charts) or [Notice("No epoch has ended yet, so there are no curves.")]


def _samples(read: Record) -> Section | None:
    """Return what the network made after each epoch: texts, the last one first, or some pictures."""
    rows = read.run.read_json(SAMPLES).get("samples", [])
    told = [row for row in reversed(rows) if "text" in row]
    texts = [Code(f"epoch {row['epoch']}", row["text"], open=row is told[0]) for row in told]
    drawn = [row["epoch"] for row in rows if (read.run.path / sample_picture(row["epoch"])).is_file()]
    blocks = [*texts, *(_film(read, drawn) if drawn else [])]
    return Section("Samples by epoch", blocks) if blocks else None


def _film(read: Record, epochs: Sequence[int]) -> list[Block]:
    best, count = read.metrics.get("best_epoch"), len(epochs)
    # The early epochs differ most.
    places = {round(count**share) - 1 for share in np.linspace(0, 1, _FRAMES)}
    items = []
    for place in sorted(places | ({epochs.index(best)} if best in epochs else set())):
        path = read.run.path / sample_picture(epochs[place])
        with parsing(path, "Delete it."):
            pixels = pictures.enlarged(pictures.read_png(path), _SIDE)
            most = 3 * _SIDE // 2
            source = pictures.data_uri(pixels, exact=most, reduced=most, colours=_COLOURS * pixels.shape[-1])
        said = f"epoch {epochs[place]}{', whose network was kept' if epochs[place] == best else ''}"
        items.append(Picture(*source, alt=f"Samples after {said}", caption=said))
    text = "Made from the same noise after each epoch, with the weights that would have been saved."
    if len(items) < count:
        text += f" {len(items)} of {count:,} epochs are shown; the folder {SAMPLE_PICTURES} has all."
    return [Text(text), Pictures(items, strip=True)]


def _augmentation(arrays: Mapping[str, np.ndarray] | None) -> Section | None:
    """Return a table of augmented images (rows, 1 + copies, height, width, channels), the originals first."""
    images = None if arrays is None else arrays["images"]
    if images is None or images.ndim < 4 or images.size == 0 or not pictures.is_picture(images.shape[2:]):
        return None
    rows = []
    for number, row in enumerate(images, 1):
        names = [f"Original {number}", *(f"Copy {copy} of {number}" for copy in range(1, len(row)))]
        cells = (Picture(*pictures.data_uri(image), name, "") for image, name in zip(row, names, strict=True))
        rows.append([f"{number}", *cells])
    said = "What the network saw of some training images: each epoch draws other copies."
    forms = {"": None, "original": None} | {f"copy {copy}": None for copy in range(1, images.shape[1])}
    return Section("Augmentation", [Text(said), Table.of("Augmented images", forms, rows)])


def _kept(read: Record, name: str, needed: str, part: Callable, otherwise: str = "") -> Section | None:
    """Return the section on arrays that a run keeps in a file; None where it has none."""
    repair = f"Delete it{otherwise}."
    with parsing(read.run.path / name, repair):
        return part(read.arrays(name, needed, repair=repair))


def _task(read: Record) -> tuple[Task | None, str]:
    """Load the task of a run, or return the reason why that fails."""
    try:
        task = decode(read.recipe.get("task"), read.run.path)
        if isinstance(task, Task):
            return task, ""
        error = "It is not a task."
    except UsageError as raised:
        error = str(raised)
    problem = f"The run's task cannot be loaded, so its test figures are plain numbers here. {error}"
    _log.warning(problem)
    return None, problem


def test_sections(read: Record, task: Task | None) -> list[Section]:
    """Return the sections on the test split; none before there are figures of it."""
    if not read.test:
        return []
    found, kept = [], [read.arrays(name) for name in ("mistakes.npz", COMPARED, GALLERY)]
    arrays = {name: value for part in kept for name, value in (part or {}).items()} or None
    if task is not None:
        own = public.name_of(type(task)) is None  # a mistake in a task of the user's is no damaged file
        path = read.run.path / "metrics.json"
        with contextlib.nullcontext() if own else parsing(path):
            found = task.sections(read.test, read.labels, arrays)
    return list(found) or [Section("Test figures", [plain_figures(read.test)])]


def plain_figures(figures: Mapping[str, Any]) -> Table:
    """Return the numbers among some figures as a table."""
    rows = [
        [name.replace("_", " "), f"{value:,}" if isinstance(value, int) else f"{value:.4g}"]
        for name, value in numbers(figures).items()
    ]
    return Table("Figures on the test split", [Column("figure"), Column("value", "")], rows)
