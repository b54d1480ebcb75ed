"""A search in the terminal: while it runs, and what `kerasdl tune show` prints."""

import dataclasses
from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from kerasdl.report.provenance import duration
from kerasdl.search import dimensions
from kerasdl.search.record import SearchRecord, TrialRecord

_SHARED = "hyperparameters"  # title of the column that all share
_ROOM = 22  # characters that it needs
_STYLES = {"completed": "", "pruned": "yellow", "failed": "red", "running": "cyan"}


@dataclasses.dataclass(frozen=True)
class Running:
    """A trial that is being trained.

    Attributes:
        number: of the trial.
        epoch: epochs that have ended.
        epochs: of a whole trial.
        value: the first objective after the last epoch; None before there is one.
        seconds: since it started.
    """

    number: int
    epoch: int
    epochs: int
    value: float | None
    seconds: float


def live(record: SearchRecord, *, running: Sequence[Running], seconds_left: float | None) -> RenderableType:
    """Return what stands on the screen while a search runs.

    Args:
        record: the trials so far.
        running: trials that are being trained now.
        seconds_left: until the end of the search; None where nobody knows.
    """
    parts: list[RenderableType] = [Text(_counts(record, len(running), seconds_left)), _best(record)]
    if running:
        table = _table(("running", "epoch", _words(record.objectives[0].name), "time"), numbers=4)
        for trial in running:
            value = "" if trial.value is None else f"{trial.value:.4g}"
            epochs = f"{trial.epoch}/{trial.epochs}" if trial.epochs else ""
            table.add_row(f"trial {trial.number}", epochs, value, duration(trial.seconds))
        parts.append(table)
    return Group(*parts)


def trials(record: SearchRecord) -> RenderableType:
    """Return all trials: the best first, then those that do not count, and why trials failed."""
    if not record.trials:
        return Text("No trial has started yet.")
    ranked = record.ranked()
    order = {"completed": 0, "pruned": 1, "running": 2, "failed": 3}
    rest = [trial for trial in record.trials if trial not in ranked]
    rows = [*ranked, *sorted(rest, key=lambda trial: (order[trial.status], trial.number))]
    parts: list[RenderableType] = [Text(_counts(record)), _Trials(record, rows)]
    reasons = [trial for trial in rows if trial.reason and trial.status == "failed"]
    parts += [Text(f"trial {trial.number}: {_line(trial.reason)}", style="red") for trial in reasons]
    return Group(*parts)


@dataclasses.dataclass(frozen=True)
class _Trials:
    """A table as wide as the terminal lets it be.

    It has a column for each hyperparameter where there is room. Where there is not, other figures than the
    objectives' go first, then hyperparameters share one column, then time, then all objectives but the first.
    """

    record: SearchRecord
    rows: Sequence[TrialRecord]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        objectives = [objective.name for objective in self.record.objectives]
        found = {name for trial in self.rows for name in trial.figures}
        figures = [*objectives, *sorted(found - set(objectives))]
        forms = [(figures, True, True), (objectives, True, True), (objectives, False, True)]
        forms += [(objectives, False, False), (objectives[:1], False, False)]
        wide = options.update(max_width=10_000)
        for form in forms:
            if Measurement.get(console, wide, self._drawn(*form, " " * _ROOM)).maximum <= options.max_width:
                break
        yield self._drawn(*form)

    def _drawn(self, figures: Sequence[str], separate: bool, timed: bool, instead: str = "") -> Table:
        """Return the table; `instead` of the values in a shared column, to see how much room there is."""
        names = list(dict.fromkeys(name for trial in self.rows for name in trial.values))
        last = names if separate else [_SHARED]
        titles = ("trial", *(_words(name).replace(" ", "\n") for name in figures), "status")
        table = _table((*titles, *(["time"] if timed else []), *last), numbers=1 + len(figures))
        for trial in self.rows:
            cells = [str(trial.number), *(_figure(trial, name) for name in figures), _status(trial)]
            if timed:
                cells.append("" if trial.seconds is None else duration(trial.seconds))
            if separate:
                cells += [_line(_spelled(trial, name)) for name in names]
            else:
                cells.append(instead or _values(trial))
            table.add_row(*map(Text, cells), style=_STYLES[trial.status])
        return table


def _counts(record: SearchRecord, running: int | None = None, seconds_left: float | None = None) -> str:
    found = [trial.status for trial in record.trials]
    ended = len(found) - found.count("running")
    of_all = f" of {record.max_trials}" if record.max_trials else ""
    counts = {status: found.count(status) for status in ("completed", "pruned", "failed")}
    unfinished = found.count("running")
    counts |= {"unfinished": unfinished} if running is None else {"running": running}
    known = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    text = f"{_line(record.name)}: {ended}{of_all} trials" + (f" ({known})" if known else "")
    return text + ("" if seconds_left is None else f", {duration(seconds_left)} left")


def _best(record: SearchRecord) -> Text:
    best, objective = record.best(), record.objectives[0]
    if best is None:
        return Text("best     none yet")
    own = " (the recipe's own values)" if best.number == 0 else ""
    figures = ", ".join(
        f"{_words(o.name)} {best.figures[o.name]:.4g}" for o in record.objectives if o.name in best.figures
    )
    text = Text(f"best     trial {best.number}{own}: ")
    text.append(figures or objective.name, style="bold")
    return text.append(f"\n{_values(best)}")


def _table(titles: Sequence[str], *, numbers: int) -> Table:
    """Return an empty table; its first `numbers` columns are set flush right and not broken."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, title in enumerate(titles):
        side = "right" if index < numbers else "left"
        table.add_column(Text(title), justify=side, vertical="top", no_wrap=title != _SHARED, overflow="fold")
    return table


def _status(trial: TrialRecord) -> str:
    return trial.status if trial.feasible else "infeasible"


def _figure(trial: TrialRecord, name: str) -> str:
    return f"{trial.figures[name]:.4g}" if name in trial.figures else ""


def _spelled(trial: TrialRecord, name: str) -> str:
    return dimensions.spelled(trial.values[name]) if name in trial.values else ""


def _values(trial: TrialRecord) -> str:
    return "  ".join(_line(f"{name}={_spelled(trial, name)}") for name in trial.values)


def _words(name: str) -> str:
    return _line(name).replace("_", " ")


def _line(text: str) -> str:
    """Return a text of somebody else's as one line without control characters."""
    return "".join(c if c.isprintable() else " " for c in text)
