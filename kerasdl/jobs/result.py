"""What training returns and `open_run` opens: a run with its figures, and how a notebook shows it."""

import dataclasses
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export.bundle import Bundle
from kerasdl.inference.endpoint import columns_of, figure_of
from kerasdl.jobs import report
from kerasdl.jobs.runs import main_figure
from kerasdl.recipe import Recipe
from kerasdl.report import cell, curves, provenance
from kerasdl.report.blocks import Block, Column, Figures, Notice, Pictures, Table
from kerasdl.runs import folder as runs
from kerasdl.runs import record, state
from kerasdl.tasks.task import Task, numbers

if TYPE_CHECKING:
    import pandas

    from kerasdl.jobs.target import Target

_MOST_CURVES = 3  # more are on the page of the run


@dataclasses.dataclass(frozen=True, repr=False)
class Result:
    """A run, with the figures of its test split and the bundle where one was exported.

    Attributes:
        run: folder of the run.
        recipe: resolved recipe.
        metrics: metrics of the test split by name; empty before there are any.
        bundle: what was exported; None where nothing was, or it is no longer there.

    Example:
        >>> run = kerasdl.open_run("runs/lenet5/1")
        >>> run.metrics["accuracy"], run.history
    """

    run: runs.Run
    recipe: Recipe
    metrics: dict[str, Any]
    bundle: Bundle | None = None

    @property
    def path(self) -> Path:
        """Folder of the run."""
        return self.run.path

    @property
    def state(self) -> str:
        """Where the run stands: "finished", "active", "interrupted" or "failed"."""
        return state.of(self._read()).name

    @property
    def best_epoch(self) -> int | None:
        """Epoch whose network was kept, from 1; None before the end of training."""
        return self._read().metrics.get("best_epoch")

    @property
    def history(self) -> "pandas.DataFrame | list[dict[str, float | None]]":
        """Metrics of each epoch.

        With pandas a `DataFrame` whose index is the epoch, from 1; without it a list of rows with `epoch`.
        """
        rows = self._read().history
        if not _has_pandas():
            return rows
        import pandas

        found = pandas.DataFrame(rows, columns=list(rows[0]) if rows else ["epoch"])
        return found.astype({"epoch": int}).set_index("epoch")

    @property
    def scores(self) -> "pandas.Series | dict[str, float]":
        """The numbers among the test metrics: a `Series` named like the run where pandas is, else a dict."""
        found = numbers(self.metrics)
        if not _has_pandas():
            return found
        import pandas

        return pandas.Series(found, name=self._read().name, dtype=float)

    @property
    def report(self) -> Path | None:
        """Path of the run's page, `report.html`; None where it was not written."""
        path = self.run.path / report.FILE_NAME
        return path if path.is_file() else None

    def load(self, *, trust: bool = False) -> "Target":
        """Open the bundle, or else the best network of the run, to predict with it."""
        from kerasdl.jobs import open as opening

        return opening.load(self.run.path if self.bundle is None else self.bundle.path, trust=trust)

    def sentence(self) -> str:
        """Say in a line where the run lies, how good it is, and where its bundle is."""
        return ", ".join(filter(None, (f"{self.run.path}: {self._told()}", self._bundle_told())))

    def __repr__(self) -> str:
        return f"<Result {self.sentence()}>"

    def _told(self) -> str:
        if not self.run.recipe_file.is_file():
            return "its folder is gone"  # of a dry run, say
        try:
            name, value = main_figure(self._read())
        except RunFailedError:
            return "damaged"
        return "no metrics yet" if value is None else f"{name} {value:.4g}"

    def _bundle_told(self) -> str:
        return "" if self.bundle is None else str(self.bundle.path)

    def _read(self) -> record.Record:
        return record.read(self.run.path)

    def _repr_html_(self) -> str:
        try:
            blocks = self._blocks()
        except (UsageError, RunFailedError) as error:
            blocks = [Notice(str(error), "warning")]
        return cell.render(self.sentence(), blocks)

    def _blocks(self) -> list[Block]:
        read = self._read()
        sections = report.test_sections(read, self.recipe.task)
        of_test = [block for section in sections for block in section.blocks]
        found = [*report.notices(read)]
        found += [block for block in of_test if isinstance(block, Figures)][:1] or [
            report.plain_figures(read.test)
        ] * bool(read.test)
        kept = [
            {name: value for name, value in row.items() if not name.endswith(("learning_rate", "seconds"))}
            for row in read.history
        ]
        found += curves.of_history(kept, read.metrics.get("best_epoch"))[:_MOST_CURVES]
        found += [block for block in of_test if isinstance(block, Pictures)][:1]
        if self.bundle is not None:
            found.append(files_table(self.bundle, self.recipe.task))
        return found


def files_table(bundle: Bundle, task: Task) -> Table:
    """Return the files of a bundle with the figures that its task has for them."""
    known = columns_of(bundle.rows, task.columns)
    columns = [Column("file"), Column("size (kB)", ",.1f")]
    columns += [Column(title, form) for title, form in known.values()] + [Column("latency (ms)", ".3f")]
    rows = []
    for row in bundle.rows:
        figures = [figure_of(row, name) for name in known]
        size = row["bytes"] / 1e3 if "error" not in row else "left out" if row.get("refused") else "failed"
        rows.append([row["file"], size, *figures, row.get("latency_ms")])
    return Table(str(bundle.path), columns, rows)


def opened(run: runs.Run) -> Result:
    """Return the result of a run that is there, finished or not."""
    read = record.read(run.path)
    return Result(run, run.recipe(), dict(read.test), _newest_bundle(read))


def _newest_bundle(read: record.Record) -> Bundle | None:
    """Return the newest bundle of a run that is still there."""
    for name in reversed([*read.receipt.get("artefacts", {})]):
        if (found := provenance.find_bundle(read, name)) is not None:
            return Bundle(found[0], found[1]["artefacts"])
    return None


def _has_pandas() -> bool:
    return importlib.util.find_spec("pandas") is not None
