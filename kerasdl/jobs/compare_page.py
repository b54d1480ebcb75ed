"""The page of a comparison of runs."""

from kerasdl.jobs.compare import Comparison, Difference
from kerasdl.report import curves
from kerasdl.report.blocks import Block, Chart, Column, Notice, Section, Table, Text
from kerasdl.report.render import render

#: What McNemar's test says, and what it does not.
MEANING = (
    "McNemar's test on the same test examples says whether these two trained networks differ, not whether "
    "their recipes do: with another seed, each recipe gives another network."
)


def page(comparison: Comparison) -> str:
    """Return the HTML of a comparison."""
    sections = [
        Section("Figures", [figures_table(comparison)]),
        Section("Beyond chance", verdicts(comparison)),
        Section("Curves", _curves(comparison)),
        Section("Recipes", [recipes_table(comparison)]),
        Section("Versions, hardware and data", [surroundings_table(comparison)]),
    ]
    return render(
        title=" and ".join(comparison.names)
        if len(comparison.names) == 2
        else f"{len(comparison.names)} runs",
        subtitle="Comparison of training runs",
        notices=[],
        sections=sections,
    )


def figures_table(comparison: Comparison) -> Table:
    """Return the figures of each run, with intervals where there are any."""
    rows = []
    for name, values in comparison.figures.items():
        intervals = comparison.intervals.get(name, [None] * len(values))
        rows.append([name, *map(_figure, values, intervals)])
    columns = [Column("figure"), *(Column(name, "") for name in comparison.names)]
    return Table("Figures, with 95 % intervals", columns, rows)


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
        Text(f"{difference.run} against {first}{_signed(difference)}: {difference.sentence()}")
        for difference in comparison.differences
    ]
    tested = [difference for difference in comparison.differences if difference.tested is not None]
    if len(tested) > 1:
        blocks.append(Text(correction(len(tested))))
    return [*blocks, Notice(MEANING)] if tested else blocks


def _signed(difference: Difference) -> str:
    points = None if difference.tested is None else difference.tested.figures.get("points")
    return "" if points is None else f" ({points:+.2f} points)"


def correction(count: int) -> str:
    """Return a note on the correction for several comparisons."""
    return f"{count} comparisons were made; each p is corrected for that (Holm)."


def _differing(caption: str, values, comparison: Comparison, same: str) -> Block:
    if not values:
        return Text(same)
    columns = [Column("setting"), *map(Column, comparison.names)]
    rows = [
        [name, *("not set" if text is None else text for text in texts)] for name, texts in values.items()
    ]
    return Table(caption, columns, rows)


def _figure(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return ""
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if abs(value) < 100 else f"{value:,.0f}"
    return text if interval is None else f"{text} ({interval[0]:.4f} to {interval[1]:.4f})"


def _curves(comparison: Comparison) -> list[Block]:
    names = dict.fromkeys(
        name for read in comparison.runs for row in read.history[:1] for name in row if name != "epoch"
    )
    charts: list[Chart] = []
    for name in sorted(names, key=_order):
        series = [
            curves.Series(title, [row["epoch"] for row in read.history], [row[name] for row in read.history])
            for title, read in zip(comparison.names, comparison.runs, strict=True)
            if read.history and name in read.history[0]
        ]
        charts.append(curves.lines(curves.title(name), series, y_title=curves.axis_title(name)))
    return list(charts) or [Text("No run has ended an epoch, so there are no curves.")]


def _order(name: str) -> tuple:
    """Return a sort key: loss first, training beside validation, times last."""
    base = name.removeprefix("val_")
    last = name.endswith("learning_rate") or name == "seconds"
    return (last, base != "loss", base, base == name)
