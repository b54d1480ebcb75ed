"""Lists runs and searches in a table: what, when, on which data, how good, and where its bundle is."""

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.files import read_json
from kerasdl.recipe.document import decode
from kerasdl.report import index, metrics
from kerasdl.report.blocks import Block, Column, Section, Table, Text
from kerasdl.report.provenance import duration, short_type
from kerasdl.report.render import render
from kerasdl.runs import record, state
from kerasdl.runs.folder import Run
from kerasdl.runs.record import Record

_USUAL = ("accuracy", "fid", "mae", "loss")  # where the task does not say which metric counts


@dataclasses.dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        run: its folder.
        state: finished, active, interrupted, failed or damaged.
        started: time in ISO 8601; "" where it is not known.
        network: class of its network.
        data: kind and name of its data.
        metric: name of the metric that counts; "" where there is none yet.
        value: that of the test split, or of the validation split where the name begins with val_.
        seconds: time of training.
        bundles: folders of what was exported.
    """

    run: str
    state: str
    started: str = ""
    network: str = ""
    data: str = ""
    metric: str = ""
    value: float | None = None
    seconds: float | None = None
    bundles: tuple[str, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """The cells of a table."""
        figure = "" if self.value is None else f"{self.metric} {self.value:.4g}"
        taken = "" if self.seconds is None else duration(self.seconds)
        started = self.started[:16].replace("T", " ")
        more = f" (+{len(self.bundles) - 1})" if len(self.bundles) > 1 else ""
        bundle = f"{self.bundles[-1]}{more}" if self.bundles else ""
        return (self.run, started, self.data, figure, taken, self.state, bundle)


TITLES = ("run", "started", "data", "metric", "time", "state", "bundle")


def find(runs_dir: Path, words: Sequence[str] = (), order: str = "started") -> list[Row]:
    """Return the runs below a folder, the newest or the best first.

    Args:
        runs_dir: folder of the runs of all pipelines.
        words: only runs that have each of these words in one of their cells.
        order: "started", "run", "metric" or "seconds".

    Raises:
        UsageError: when the folder is not there.
    """
    if not runs_dir.is_dir():
        raise UsageError(f"There is no folder {runs_dir}. Train something first, or give --runs-dir.")
    rows = [row_of(file.parent) for file in sorted(runs_dir.glob("*/*/recipe.json"))]
    found = [row for row in rows if all(_has(row, word) for word in words)]
    return sorted(found, key=lambda row: _rank(row, order), reverse=order in ("started", "seconds"))


def row_of(folder: Path) -> Row:
    """Return the row of a run; one that cannot be read is called damaged."""
    try:
        read = record.read(folder)
        metric, value = main_figure(read)
        return Row(
            run=str(folder),
            state=state.of(read).name,
            started=str(read.status.get("started") or read.receipt.get("started") or ""),
            network=short_type(read.recipe.get("model")),
            data=short_type(read.recipe.get("data"), "path", "name"),
            metric=metric,
            value=value,
            seconds=read.seconds,
            bundles=tuple(read.receipt.get("artefacts", {})),
        )
    except (UsageError, RunFailedError):
        return Row(run=str(folder), state="damaged")


def main_figure(read: Record) -> tuple[str, float | None]:
    """Return name and value of the metric that a run is judged by."""
    try:
        names = [name.removeprefix("val_") for name in decode(read.recipe["task"], read.run.path).objectives]
    except (UsageError, KeyError, AttributeError):  # a task of code that is not trusted
        names = []
    for name in (*names, *_USUAL):
        if isinstance(value := read.test.get(name), (int, float)):
            return name, float(value)
    last = read.history[-1] if read.history else {}
    return next(
        ((f"val_{name}", last[f"val_{name}"]) for name in (*names, *_USUAL) if f"val_{name}" in last),
        ("", None),
    )


def write_index(path: Path, rows: Sequence[Row], searches_dir: Path) -> None:
    """Write a page that links reports of runs and searches, and comparisons that lie beside it or them."""
    columns = [Column(title) for title in TITLES]
    links = [_link(path, Path(row.run) / "report.html") for row in rows]
    blocks: list[Block] = [Table("Runs", columns, [row.shown for row in rows], sortable=True, links=links)]
    sections = [Section("Runs", blocks if rows else [Text("There are none.")])]
    if found := _searches(searches_dir):
        links = [_link(path, Path(name) / "report.html") for name, *_ in found]
        forms = {"search": None, "trials": ",", "objectives": None, "state": None}
        sections.append(Section("Searches", [Table.of("Searches", forms, found, links=links)]))
    places = {path.absolute().parent, Path.cwd(), searches_dir.absolute().parent}
    if compared := index.comparisons(sorted(places)):
        links = [_link(path, page) for page in compared]
        told = [[page.name, of] for page, of in compared.items()]
        told = Table.of("Comparisons", {"page": None, "runs": None}, told, links=links)
        sections.append(Section("Comparisons", [told]))
    page = render(title="Runs", subtitle="All runs and searches", notices=[], sections=sections)
    path.write_text(page, encoding="utf-8")


def _searches(folder: Path) -> list[list[Any]]:
    """Return path, number of trials, objectives and state of each search."""
    found = []
    for file in sorted(folder.glob("*/*/search.json")):
        document, trials = read_json(file), len(list(file.parent.glob("trial_*/trial.json")))
        aims = ", ".join(map(str, document.get("objectives", ())))
        goes_on = "active" if Run(file.parent).is_active() else "interrupted"
        found.append([str(file.parent), trials, aims, "finished" if document.get("finished") else goes_on])
    return found


def _link(page: Path, target: Path) -> str:
    """Return the address of a file as seen from a page; empty where it is not there."""
    return Path(os.path.relpath(target, page.parent)).as_posix() if target.is_file() else ""


def _has(row: Row, word: str) -> bool:
    return any(word.lower() in cell.lower() for cell in (*row.shown, row.network))


def _rank(row: Row, order: str) -> tuple:
    if order == "metric":
        smaller = metrics.direction(row.metric) != "max"
        if row.value is None or math.isnan(row.value):  # which no order holds: behind all others
            return (True, row.metric.removeprefix("val_"), 0.0)
        return (False, row.metric.removeprefix("val_"), row.value if smaller else -row.value)
    if order == "run":
        parent, number = os.path.split(row.run)
        return (parent, len(number), number)
    return (getattr(row, order) or (0 if order == "seconds" else ""),)
