"""Charts: traces and axes of plotly, put together in one way, with the table of their numbers."""

import html
from collections.abc import Iterable, Sequence
from typing import Any

from kerasdl.report.blocks import Chart, Column, Table, label

#: Hover text of a trace that has a text for each point.
OWN_TEXT = "%{text}<extra></extra>"
_MOST_ROWS = 400  # of the table of a chart's numbers


def capital(text: str) -> str:
    """Return a text with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def spans_decades(values: Sequence[float]) -> bool:
    """Tell whether values are positive and span two decades, so that a logarithmic axis shows them better."""
    return bool(values) and min(values) > 0 and max(values) > 100 * min(values)


def axis(title: str, *, log: bool = False, limit: int = 60, **more: Any) -> dict[str, Any]:
    """Return an axis of values.

    Args:
        title: title of the axis, with the unit.
        log: whether it is logarithmic.
        limit: number of characters above which the title is shortened.
        **more: settings of plotly that replace or extend the usual ones.
    """
    scale = {"type": "log", "dtick": 1} if log else {}
    return {"title": {"text": label(title, limit)}, "tickformat": "~g"} | scale | more


def counting_axis(title: str, first: float, last: float, room: float) -> dict[str, Any]:
    """Return an axis of whole numbers (epochs, trials) with room on both sides for the marks."""
    ticks = {"dtick": 1} if last <= 10 else {}
    return axis(title, range=[first - room, last + room], tickformat="d", **ticks)


def named_axis(names: Sequence[str], limit: int = 28) -> dict[str, Any]:
    """Return a vertical axis with a name at 0, 1, 2, ..., the first one on top."""
    ticks = {"tickvals": list(range(len(names))), "ticktext": [label(name, limit) for name in names]}
    shown = {"range": [len(names) - 0.5, -0.5], "showgrid": False, "zeroline": False, "ticksuffix": " "}
    return axis("") | ticks | shown


def chart(
    title: str, traces: Sequence[Any], axes: tuple[Any, Any], summary: str, *, height: int = 400,
    half: bool = False, table: Table | None = None, **more: Any,
) -> Chart:  # fmt: skip
    """Return a chart of traces; those without points are left out.

    Args:
        title: title of the chart.
        traces: what `line`, `points` and `bars` return.
        axes: horizontal and vertical axis.
        summary: sentence for screen readers.
        height: height in pixels.
        half: whether it is half as wide as the page.
        table: table of its numbers. Defaults to the points of its traces.
        **more: settings of plotly's layout. A legend is shown where there are several traces.
    """
    shown = [trace for trace in traces if len(trace["x"])]
    table = table or _numbers(title, shown, axes)
    legend = {"hovermode": "closest", "showlegend": sum(t.get("showlegend", True) for t in shown) > 1}
    layout = {"height": height, "xaxis": axes[0], "yaxis": axes[1]} | legend | more
    data = [trace | {"name": label(trace["name"])} for trace in shown]
    return Chart(title, {"data": data, "layout": layout}, summary, table, half)


def line(
    name: str, x: Iterable[Any], y: Iterable[Any], style: Any, hover: str | None = OWN_TEXT, **more: Any
) -> dict[str, Any]:
    """Return a trace that is a line; `style` holds its colour, width and dash."""
    return _trace("lines", name, x, y, hover) | {"line": style} | more


def points(
    name: str, x: Iterable[Any], y: Iterable[Any], marker: Any, hover: str | None = OWN_TEXT, **more: Any
) -> dict[str, Any]:
    """Return a trace of points; `marker` holds their symbol, colour and size."""
    return _trace("markers", name, x, y, hover) | {"marker": marker} | more


def bars(x: Iterable[Any], y: Iterable[Any], hover: str, **more: Any) -> dict[str, Any]:
    """Return a trace of bars of one colour."""
    trace = {"type": "bar", "name": "", "x": list(x), "y": list(y), "marker": {"color": "--chart-1"}}
    return trace | {"hovertemplate": f"{hover}<extra></extra>", "showlegend": False} | more


def _trace(mode: str, name: str, x: Iterable[Any], y: Iterable[Any], hover: str | None) -> dict[str, Any]:
    trace = {"type": "scatter", "mode": mode, "name": name, "x": list(x), "y": list(y)}
    return trace | ({"hovertemplate": hover} if hover else {"hoverinfo": "skip"})


def _numbers(title: str, traces: Sequence[Any], axes: tuple[Any, Any]) -> Table | None:
    """Return a row for each place and a column for each trace; None where a trace has a place twice."""
    told = [trace for trace in traces if "hovertemplate" in trace]
    found = [dict(zip(trace["x"], trace["y"], strict=True)) for trace in told]
    if any(len(values) < len(trace["x"]) for values, trace in zip(found, told, strict=True)):
        return None
    places = list(dict.fromkeys(place for values in found for place in values))
    if not any(isinstance(place, str) for place in places):
        places.sort()
    step = -(-len(places) // _MOST_ROWS)
    rows = [
        [place, *(values.get(place) for values in found)]
        for index, place in enumerate(places)
        if index % step == 0 or index == len(places) - 1
    ]
    across, up = (html.unescape(one["title"]["text"]) for one in axes)
    names = [trace["name"] for trace in told] if len(told) > 1 else [up]
    return Table(title, [Column(across, "g"), *(Column(name, ".4g") for name in names)], rows)
