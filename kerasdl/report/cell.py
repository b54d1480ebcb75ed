"""Renders blocks as a piece of HTML for the cell of a notebook: no script, no font, nothing fetched."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from kerasdl.report.blocks import Block, Chart, Picture, Pictures, Table
from kerasdl.report.render import environment

_WIDTH, _HEIGHT, _EDGE = 300, 150, 8  # of a chart in pixels; `_EDGE` is left around its lines
_MOST_POINTS = 200  # of a line
_MOST_ROWS = 20  # of a table
_MOST_PICTURES, _MOST_BYTES = 10, 100_000  # of a cell
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # told apart on white and on black


@dataclasses.dataclass(frozen=True)
class _Line:
    """A line of a chart: its name, its colour and the points of an SVG polyline, a piece for each gap."""

    name: str
    color: str
    pieces: Sequence[str]


def render(title: str, blocks: Sequence[Block]) -> str:
    """Return a piece of HTML.

    Args:
        title: heading.
        blocks: what to show; figures, notices, texts, tables, charts and pictures.
    """
    shown, room = [], _MOST_BYTES
    for block in blocks:
        value, more = block, 0
        if isinstance(block, Chart):
            value = _drawn(block)
        elif isinstance(block, Table):
            value, more = block.rows[:_MOST_ROWS], max(len(block.rows) - _MOST_ROWS, 0)
        elif isinstance(block, Pictures):
            value, room = _some(block.items, room)
            more = len(block.items) - len(value)
        shown.append({"block": block, "value": value, "more": more})
    return environment().get_template("cell.html").render(title=title, blocks=shown)


def _some(items: Sequence[Picture], room: int) -> tuple[list[Picture], int]:
    """Return the first pictures for which there is room, and how much is left."""
    found: list[Picture] = []
    for item in items[:_MOST_PICTURES]:
        if len(item.source) > room:
            break
        room -= len(item.source)
        found.append(item)
    return found, room


def _drawn(chart: Chart) -> Mapping[str, Any]:
    """Return the lines of a chart in pixels, and the range of its axes."""
    traces = [trace for trace in chart.figure["data"] if trace.get("y") is not None]
    is_log = chart.figure["layout"].get("yaxis", {}).get("type") == "log"
    points = [
        [(float(x), _height(y, is_log)) for x, y in zip(trace["x"], trace["y"], strict=True)]
        for trace in traces
    ]
    known = [(x, y) for line in points for x, y in line if y is not None]
    if not known:
        return {"lines": [], "low": "", "high": "", "first": "", "last": ""}
    xs, ys = zip(*known, strict=True)
    across = _scale(min(xs), max(xs), _EDGE, _WIDTH - _EDGE)
    up = _scale(min(ys), max(ys), _HEIGHT - _EDGE, _EDGE)
    lines = [
        _Line(str(trace.get("name", "")), _COLORS[index % len(_COLORS)], _pieces(line, across, up))
        for index, (trace, line) in enumerate(zip(traces, points, strict=True))
    ]
    low, high = (f"{10**value if is_log else value:.4g}" for value in (min(ys), max(ys)))
    first, last = (f"{value:g}" for value in (min(xs), max(xs)))
    return {"lines": lines, "low": low, "high": high, "first": first, "last": last}


def _height(value: float | None, is_log: bool) -> float | None:
    if value is None or not math.isfinite(value) or (is_log and value <= 0):
        return None
    return math.log10(value) if is_log else float(value)


def _scale(low: float, high: float, begin: float, end: float):
    span = high - low
    return lambda value: begin + (end - begin) * ((value - low) / span if span else 0.5)


def _pieces(line: Sequence[tuple[float, float | None]], across, up) -> list[str]:
    """Return the points of each stretch of a line without gaps; of many points some are left out."""
    step, pieces = -(-len(line) // _MOST_POINTS), [[]]
    for index, (x, y) in enumerate(line):
        if y is None:
            pieces.append([])
        elif index % step == 0 or index == len(line) - 1:
            pieces[-1].append(f"{across(x):.1f},{up(y):.1f}")
    return [" ".join(piece if len(piece) > 1 else piece * 2) for piece in pieces if piece]
