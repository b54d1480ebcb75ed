"""Charts of metrics over epochs, of one run or of several."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from kerasdl.report import charts
from kerasdl.report.blocks import Chart, Column, Table
from kerasdl.report.charts import capital
from kerasdl.report.metrics import words

_MOST_POINTS = 2000  # of a line; a page of 10,000 epochs would be megabytes of numbers
_MOST_NAMES = 8  # lines that a legend names; more are named when they are pointed at
_MOST_ROWS = 400  # of a line's table
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")  # told apart without colours
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross")


@dataclasses.dataclass(frozen=True)
class Series:
    """A line: its name and its points; None where there is no value."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]


def lines(
    title: str,
    series: Sequence[Series],
    *,
    y_title: str,
    best: int | None = None,
    half: bool = True,
    log: bool | None = None,
    x_title: str = "epoch",
) -> Chart:
    """Return a chart of lines over epochs.

    Args:
        title: title of the chart.
        series: lines to draw.
        y_title: title of the vertical axis, with the unit.
        best: epoch to mark.
        half: whether the chart is half as wide as the page.
        log: whether the vertical axis is logarithmic. Defaults to whether positive values span two decades.
        x_title: title of the horizontal axis. Defaults to "epoch".
    """
    series = [_thinned(line, best, _MOST_POINTS) for line in series]
    if log is None:
        log = charts.spans_decades([value for line in series for value in line.y if value is not None])
    last = max((x for line in series for x in line.x), default=1)
    drawn = charts.layout(
        300,
        charts.counting_axis(x_title, 1, last, 0.03 * last),
        charts.axis(y_title, log=log),
        legend=1 < len(series) <= _MOST_NAMES,
        **{"hovermode": "x unified" if len(series) <= _MOST_NAMES else "closest"} | _mark(best, last),
    )
    figure = {"data": [_trace(line, index) for index, line in enumerate(series)], "layout": drawn}
    table = _table(title, [_thinned(line, best, _MOST_ROWS) for line in series])
    return Chart(title, figure, _summary(series, best), table, half)


def of_history(history: Sequence[dict[str, Any]], best: int | None) -> list[Chart]:
    """Return the charts of a run's history.

    Args:
        history: a row for each epoch: `epoch`, figures, `val_` before those of the validation split,
            `<optimizer>_learning_rate`, `seconds`.
        best: epoch whose weights were kept.
    """
    if not history:
        return []
    names = [name for name in history[0] if name != "epoch"]
    epochs = [row["epoch"] for row in history]

    def series(name: str, title: str) -> Series:
        return Series(title, epochs, [row.get(name) for row in history])

    rates = [name for name in names if name.endswith("_learning_rate") or name == "learning_rate"]
    bases = dict.fromkeys(
        name.removeprefix("val_") for name in names if name not in rates and name != "seconds"
    )
    found = []
    for base in sorted(bases, key=lambda name: (name != "loss", name)):
        pair = {base: "training", f"val_{base}": "validation"}
        shown = [series(name, title) for name, title in pair.items() if name in names]
        found.append(lines(capital(words(base)), shown, y_title=axis_title(base), best=best))
    if rates:
        shown = [series(name, words(name.removesuffix("_learning_rate"))) for name in rates]
        found.append(lines("Learning rate", shown, y_title="learning rate", best=best))
    if "seconds" in names:
        shown = [series("seconds", "seconds")]
        found.append(lines("Time of each epoch", shown, y_title="seconds", best=best, log=False))
    return found


def axis_title(name: str) -> str:
    """Return the title of the axis of a figure of the history."""
    base = name.removeprefix("val_").removeprefix("optimizer_")
    return "loss per example" if base == "loss" else words(base)


def title(name: str) -> str:
    """Return the title of a chart of one figure of the history."""
    if name == "seconds":
        return "Time of each epoch"
    if name.endswith("learning_rate"):
        return capital(words(name.removeprefix("optimizer_")))
    return capital(words(name if name.startswith("val_") else f"training {name}"))


def _thinned(line: Series, best: int | None, most: int) -> Series:
    step = -(-len(line.x) // most)
    if step <= 1:
        return line
    last = len(line.x) - 1
    kept = [index for index, x in enumerate(line.x) if index % step == 0 or index == last or x == best]
    return Series(line.name, [line.x[index] for index in kept], [line.y[index] for index in kept])


def _trace(line: Series, index: int) -> dict[str, Any]:
    color = f"--chart-{index % 7 + 1}"
    return charts.line(
        line.name,
        [int(x) for x in line.x],
        [None if y is None else float(f"{y:.6g}") for y in line.y],
        {"color": color, "width": 2, "dash": _DASHES[index % len(_DASHES)]},
        "%{y:.4g}",
        mode="lines+markers" if len(line.x) <= 30 else "lines",
        marker={"color": color, "size": 6, "symbol": _SYMBOLS[index % len(_SYMBOLS)]},
    )


def _mark(best: int | None, last: float) -> dict[str, Any]:
    if best is None:
        return {}
    line = {"color": "--muted", "width": 1, "dash": "dot"}
    side = "right" if best > 0.8 * last else "center"  # beside the chart it would be cut
    place = {"xref": "x", "yref": "paper"}
    text = {"text": f"best epoch {best}", "showarrow": False, "font": {"size": 12, "color": "--muted"}}
    return {
        "shapes": [{"type": "line", "x0": best, "x1": best, "y0": 0, "y1": 1, "line": line, **place}],
        "annotations": [{"x": best, "y": 1, "yanchor": "bottom", "xanchor": side, **place, **text}],
    }


def _summary(series: Sequence[Series], best: int | None) -> str:
    if len(series) > _MOST_NAMES:
        return f"{len(series)} lines; each has its name where it is pointed at, and all are in the table."
    parts = []
    for line in series:
        known = [(x, y) for x, y in zip(line.x, line.y, strict=True) if y is not None]
        if known:
            (first, low), (last, high) = known[0], known[-1]
            name = "" if len(series) == 1 else f"{line.name}: "
            ends = f"{low:.4g} in epoch {first:g}" + (
                f", {high:.4g} in epoch {last:g}" if last > first else ""
            )
            parts.append(f"{name}{ends}")
    marked = f"; best epoch {best}" if best is not None else ""
    return f"{'; '.join(parts) or 'no finite value'}{marked}."


def _table(title: str, series: Sequence[Series]) -> Table:
    epochs = sorted({x for line in series for x in line.x})
    found = [dict(zip(line.x, line.y, strict=True)) for line in series]
    rows = [[int(epoch), *(values.get(epoch) for values in found)] for epoch in epochs]
    return Table(f"{title} by epoch", [Column("epoch", "d"), *(Column(s.name, ".4g") for s in series)], rows)
