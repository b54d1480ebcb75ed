"""Charts of metrics over epochs, of one run or of several."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kerasdl.report import charts
from kerasdl.report.blocks import Chart
from kerasdl.report.charts import capital
from kerasdl.report.metrics import words

_MOST_POINTS = 2000  # of a line; a page of 10,000 epochs would be megabytes of numbers
_MOST_NAMES = 8  # lines that a legend names; more are named when they are pointed at
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")  # told apart without colours
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross")

Points = Mapping[float, float | None]  # of a line; None where there is no value


def lines(
    title: str, series: Mapping[str, Points], *, y_title: str, best: int | None = None, half: bool = True,
    log: bool | None = None, x_title: str = "epoch", summary: str = "", **more: Any,
) -> Chart:  # fmt: skip
    """Return a chart of lines over epochs.

    Args:
        title: title of the chart.
        series: points of each line, by its name.
        y_title: title of the vertical axis, with the unit.
        best: epoch to mark.
        half: whether the chart is half as wide as the page.
        log: whether the vertical axis is logarithmic. Defaults to whether positive values span two decades.
        x_title: title of the horizontal axis. Defaults to "epoch".
        summary: sentence for screen readers. Defaults to the ends of each line.
        **more: settings of plotly's vertical axis.
    """
    series = {name: _thinned(points, best) for name, points in series.items()}
    if log is None:
        log = charts.spans_decades(
            [y for points in series.values() for y in points.values() if y is not None]
        )
    last = max((x for points in series.values() for x in points), default=1)
    few = len(series) <= _MOST_NAMES
    return charts.chart(
        title, [_trace(name, points, index) for index, (name, points) in enumerate(series.items())],
        (charts.counting_axis(x_title, 1, last, 0.03 * last), charts.axis(y_title, log=log, **more)),
        summary or _summary(series, best, x_title), height=300, half=half,
        showlegend=few and len(series) > 1, hovermode="x unified" if few else "closest", **_mark(best, last),
    )  # fmt: skip


def of_history(history: Sequence[dict[str, Any]], best: int | None) -> list[Chart]:
    """Return the charts of a run's history, training beside validation.

    Args:
        history: a row for each epoch: `epoch`, figures, `val_` before those of the validation split,
            `<optimizer>_learning_rate`, `seconds`.
        best: epoch whose weights were kept.
    """
    found: dict[str, dict[str, Points]] = {}
    for name in ordered(name for row in history[:1] for name in row):
        base, part = name.removeprefix("val_"), "validation" if name.startswith("val_") else "training"
        if name.endswith("learning_rate"):
            base, part = "learning_rate", words(name.removesuffix("_learning_rate"))
        drawn = found.setdefault(base, {})
        drawn[part] = {row["epoch"]: row.get(name) for row in history}
    return [
        lines(capital(title(base).removeprefix("Training ")), dict(sorted(drawn.items())), best=best,
              y_title=axis_title(base), log=False if base == "seconds" else None)
        for base, drawn in found.items()
    ]  # fmt: skip


def ordered(names: Iterable[str]) -> list[str]:
    """Return the names of a history's figures: the loss first, learning rates and times last."""

    def rank(name: str) -> tuple:
        base = name.removeprefix("val_")
        return (base == "seconds", base.endswith("learning_rate"), base != "loss", base, base == name)

    return sorted((name for name in dict.fromkeys(names) if name != "epoch"), key=rank)


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
    return capital(words(name) if name.startswith("val_") else f"training {words(name)}")


def _thinned(points: Points, best: int | None) -> Points:
    step, last = -(-len(points) // _MOST_POINTS), len(points) - 1
    kept = enumerate(points.items())
    return {x: y for index, (x, y) in kept if index % step == 0 or index == last or x == best}


def _trace(name: str, points: Points, index: int) -> dict[str, Any]:
    color = f"--chart-{index % 7 + 1}"
    return charts.line(
        name, map(int, points), [None if y is None else float(f"{y:.6g}") for y in points.values()],
        {"color": color, "width": 2, "dash": _DASHES[index % len(_DASHES)]}, "%{y:.4g}",
        mode="lines+markers" if len(points) <= 30 else "lines",
        marker={"color": color, "size": 6, "symbol": SYMBOLS[index % len(SYMBOLS)]},
    )  # fmt: skip


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


def _summary(series: Mapping[str, Points], best: int | None, x_title: str) -> str:
    if len(series) > _MOST_NAMES:
        return f"{len(series)} lines; each has its name where it is pointed at, and all are in the table."
    parts = []
    for name, points in series.items():
        known = [(x, y) for x, y in points.items() if y is not None]
        ends = [f"{y:.4g} in {x_title} {x:g}" for x, y in dict.fromkeys((*known[:1], *known[-1:]))]
        if ends:
            parts.append(("" if len(series) == 1 else f"{name}: ") + ", ".join(ends))
    marked = f"; best epoch {best}" if best is not None else ""
    return f"{'; '.join(parts) or 'no finite value'}{marked}."
