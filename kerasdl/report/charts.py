"""Traces, axes and layouts of plotly charts, and the names that they show."""

from collections.abc import Iterable, Sequence
from typing import Any

from kerasdl.report.blocks import label

#: Hover text of a trace that has a text for each point.
OWN_TEXT = "%{text}<extra></extra>"


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
    scale = {"type": "log", "dtick": 1, "tickformat": "~g"} if log else {"exponentformat": "power"}
    return {"title": {"text": label(title, limit)}} | scale | more


def counting_axis(title: str, first: float, last: float, room: float) -> dict[str, Any]:
    """Return an axis of whole numbers (epochs, trials) with room on both sides for the marks."""
    return {"title": {"text": title}, "range": [first - room, last + room], "tickformat": "d"} | (
        {"dtick": 1} if last <= 10 else {}
    )


def layout(height: int, xaxis: Any, yaxis: Any, *, legend: bool = True, **more: Any) -> dict[str, Any]:
    """Return the layout of a chart: its height in pixels, its axes, whether it has a legend."""
    shown = {"height": height, "hovermode": "closest", "showlegend": legend, "xaxis": xaxis, "yaxis": yaxis}
    return shown | more


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


def bars(names: Iterable[Any], values: Iterable[Any], hover: str, **more: Any) -> dict[str, Any]:
    """Return a trace of bars of one colour."""
    trace = {"type": "bar", "x": list(names), "y": list(values), "marker": {"color": "--chart-1"}}
    return trace | {"hovertemplate": f"{hover}<extra></extra>", "showlegend": False} | more


def _trace(mode: str, name: str, x: Iterable[Any], y: Iterable[Any], hover: str | None) -> dict[str, Any]:
    trace = {"type": "scatter", "mode": mode, "name": label(name), "x": list(x), "y": list(y)}
    return trace | ({"hovertemplate": hover} if hover else {"hoverinfo": "skip"})


def figure(traces: Sequence[Any], drawn: Any) -> dict[str, Any]:
    """Return the figure of a `Chart`: traces that have points, and their layout."""
    return {"data": [trace for trace in traces if len(trace["x"])], "layout": drawn}
