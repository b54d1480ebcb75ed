"""The page of a comparison of runs."""

import dataclasses
import math
from collections.abc import Sequence

from kerasdl.jobs.compare import Comparison, Difference
from kerasdl.report import charts, curves, index, metrics
from kerasdl.report.blocks import (
    Block,
    Chart,
    Column,
    Notice,
    Section,
    Table,
    Text,
    label,
    turned,
)  # fmt: skip
from kerasdl.report.render import render

_MOST_COLUMNS = 3  # runs that have a column each; more have a row each
_MOST_ROWS = 6  # figures that have a column each beside each other
_BETTER = {"max": "higher is better", "min": "lower is better"}
#: What McNemar's test says, and what it does not.
MEANING = (
    "McNemar's test on the same test examples says whether these two trained networks differ, not whether "
    "their recipes do: with another seed, each recipe gives another network."
)


def page(comparison: Comparison) -> str:
    """Return the HTML of a comparison."""

    def fitted(block: Block) -> list[Block]:
        if not isinstance(block, Table) or len(comparison.names) <= _MOST_COLUMNS:
            return [block]
        starts = range(0, len(block.rows), _MOST_ROWS)
        parts = [dataclasses.replace(block, rows=block.rows[at : at + _MOST_ROWS]) for at in starts]
        return [turned(part) for part in parts]

    return render(
        title=" and ".join(comparison.names)
        if len(comparison.names) == 2
        else f"{len(comparison.names)} runs",
        subtitle=index.COMPARISON,
        notices=verdicts(comparison),
        sections=[
            Section("Settings that differ", fitted(recipes_table(comparison))),
            Section("Figures", [*fitted(figures_table(comparison)), *_intervals(comparison)]),
            Section("Curves", _curves(comparison)),
            Section("Versions, hardware and data", fitted(surroundings_table(comparison))),
        ],
    )


def figures_table(comparison: Comparison, *, brief: bool = False) -> Table:
    """Return the figures of each run, with their difference from the first one's and which is better.

    Args:
        comparison: the runs.
        brief: leave out the differences of more than two runs, and mark the best value by a star.
    """
    names, rows = comparison.names, []
    for name, values in comparison.figures.items():
        intervals = comparison.intervals.get(name, [None] * len(values))
        direction = None if name.startswith("baselines") else metrics.direction(name)
        title, changes = metrics.words(name), [_change(values[0], value, direction) for value in values[1:]]
        if len(names) == 2:
            rows.append([title, *map(_figure, values, intervals), *changes])
            continue
        best, cells = _best(values, direction), []
        for value, change in zip(values, ["", *changes], strict=True):
            marks = ([] if brief else change.split()[:1]) + (["best"] if value == best is not None else [])
            star, said = "*" * (brief and "best" in marks), ", ".join(marks)
            cells.append(_figure(value, None) + (star if brief or not said else f" ({said})"))
        rows.append([title + (f" ({_BETTER[direction]})" if direction and not brief else ""), *cells])
    last = [Column(f"{names[1]} against {names[0]}", "")] if len(names) == 2 else []
    titles = [Column("figure"), *(Column(name, "") for name in names), *last]
    shown = "* is the best" if brief else f"differences from {names[0]} in brackets"
    return Table(f"Figures, {'with 95 % intervals' if last else shown}", titles, rows)


def _best(values: Sequence[float | None], direction: str | None) -> float | None:
    """Return the best of some values; None where none is better than all the others."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    if direction is None or len(set(known)) < 2:
        return None
    return max(known) if direction == "max" else min(known)


def _change(before: float | None, after: float | None, direction: str | None) -> str:
    """Return how far a figure is from that of the first run: "+0.0120 better"."""
    if before is None or after is None or before == after or math.isnan(after - before):
        return ""
    change = after - before
    word = {None: ""}.get(direction, "better" if (change > 0) == (direction == "max") else "worse")
    return f"{_short(change, '+')} {word}".strip()


def _intervals(comparison: Comparison) -> list[Block]:
    """Return a chart for each figure that has intervals: its value for each run."""
    found = []
    for name, intervals in comparison.intervals.items():
        values = comparison.figures.get(name, [None] * len(intervals))
        rows = [row for row in zip(comparison.names, values, intervals, strict=True) if None not in row]
        if not rows:
            continue
        names, known, ends = zip(*rows, strict=True)
        above, below = ([abs(end[side] - x) for x, end in zip(known, ends, strict=True)] for side in (1, 0))
        trace = charts.points(
            name, known, range(len(rows)), {"color": "--chart-1", "size": 9},
            "%{text}: %{x:.4f}<extra></extra>", text=[*map(label, names)],
            error_x={"symmetric": False, "array": above, "arrayminus": below, "color": "--muted"},
        )  # fmt: skip
        title = f"{charts.capital(metrics.words(name))} with 95 % intervals"
        table = Table.of(title, {"run": None, name: ".4f", "from": ".4f", "to": ".4f"},
                      [[run, value, *end] for run, value, end in rows])  # fmt: skip
        axes = (charts.axis(metrics.words(name)), charts.named_axis(names))
        said = f"{title}: {min(known):.4f} to {max(known):.4f}."
        found.append(charts.chart(title, [trace], axes, said, height=90 + 28 * len(rows), table=table))
    return found


def recipes_table(comparison: Comparison) -> Block:
    """Return the settings that differ."""
    return _differing("Settings that differ", comparison.recipes, comparison, "The recipes are the same.")


def surroundings_table(comparison: Comparison) -> Block:
    """Return a table of differences in versions, hardware and data."""
    same = "Versions, hardware and data are the same."
    return _differing("Versions, hardware and data that differ", comparison.surroundings, comparison, same)


def verdicts(comparison: Comparison) -> list[Block]:
    """Return the verdict on each run against the first."""
    first = comparison.names[0]
    blocks: list[Block] = [
        Text(f"{difference.run} {_against(difference)} {first}: {difference.sentence()}")
        for difference in comparison.differences
    ]
    tested = [difference for difference in comparison.differences if difference.tested is not None]
    if len(tested) > 1:
        blocks.append(Text(correction(len(tested))))
    return [*blocks, Notice(MEANING)] if tested else blocks


def _against(difference: Difference) -> str:
    gain = difference.gain
    return f"did {'better' if gain > 0 else 'worse'} than" if gain else "against"


def correction(count: int) -> str:
    """Return a note on the correction for several comparisons."""
    return f"{count} comparisons were made; each p is corrected for that (Holm)."


def _differing(caption: str, values, comparison: Comparison, same: str) -> Block:
    if not values:
        return Text(same)
    titles = [Column("setting"), *map(Column, comparison.names)]
    rows = [
        [name, *("not set" if text is None else text for text in texts)] for name, texts in values.items()
    ]
    return Table(caption, titles, rows)


def _figure(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return ""
    text = _short(value)
    return text if interval is None else f"{text} ({_short(interval[0])} to {_short(interval[1])})"


def _short(value: float, sign: str = "") -> str:
    """Return a number in few digits; none that is not 0 looks like it."""
    if isinstance(value, int):
        return f"{value:{sign},}"
    if abs(value) >= 100:
        return f"{value:{sign},.0f}"
    return f"{value:{sign}.4f}" if abs(value) >= 1e-3 or not value else f"{value:{sign}.2e}"


def _curves(comparison: Comparison) -> list[Block]:
    read = dict(zip(comparison.names, (read.history for read in comparison.runs), strict=True))
    found: list[Chart] = []
    for name in curves.ordered(name for rows in read.values() for row in rows[:1] for name in row):
        series = {
            run: {row["epoch"]: row[name] for row in rows}
            for run, rows in read.items()
            if rows and name in rows[0]
        }
        found.append(curves.lines(curves.title(name), series, y_title=curves.axis_title(name)))
    return list(found) or [Text("No run has ended an epoch, so there are no curves.")]
