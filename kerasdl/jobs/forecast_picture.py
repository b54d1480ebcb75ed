"""Draws a forecast as SVG: each target's past, forecast and band."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from kerasdl.jobs.forecast import Outlook

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM, _RIGHT = 860, 260, 64, 34, 34, 16
_MOST_TARGETS = 12
_NUM_TICKS = 4
_STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#1c1f23}.grid{stroke:#dfe3e6}.now{stroke:#8a929a;"
    "stroke-dasharray:4 4}.past,.next{fill:none;stroke-width:2}.past{stroke:#5b646d}.next{stroke:#0072b2}"
    ".band{fill:#84c0e4;opacity:.45}.name{font-weight:600}</style>"
)


def draw(outlook: "Outlook") -> str:
    """Return the picture: a panel for each target, at most twelve."""
    count = min(len(outlook.columns), _MOST_TARGETS)
    panels = [_panel(outlook, k, k * _HEIGHT) for k in range(count)]
    height = count * _HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img"><title>Forecast of '
        f"{escape(', '.join(outlook.columns))}</title>{_STYLE}"
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>{"".join(panels)}</svg>\n'
    )


def _panel(outlook: "Outlook", k: int, top: int) -> str:
    horizon = len(outlook.values)
    past = outlook.past[-3 * horizon :, k]
    values = outlook.values[:, k]
    band = outlook.quantiles[:, k, [0, -1]] if outlook.levels else values[:, None]
    everything = np.concatenate([past, values, band.ravel()]).astype(float)
    low, high = float(everything.min()), float(everything.max())
    room = 0.05 * (high - low) or 1.0
    low, high = low - room, high + room
    last = len(past) + horizon - 1

    def point(place: float, value: float) -> str:
        return f"{_x(place, last):.1f},{_y(value, low, high, top):.1f}"

    parts = [f'<text class="name" x="{_LEFT}" y="{top + 20}">{escape(outlook.columns[k])}</text>']
    parts += _grid(low, high, top)
    now = len(past) - 1
    parts.append(
        f'<line class="now" x1="{_x(now, last):.1f}" x2="{_x(now, last):.1f}" y1="{top + _TOP}" '
        f'y2="{top + _HEIGHT - _BOTTOM}"/>'
    )
    ahead = range(len(past), last + 1)
    if outlook.levels:
        edge = [point(place, value) for place, value in zip(ahead, band[:, 0], strict=True)]
        edge += [point(place, value) for place, value in zip(reversed(ahead), band[::-1, 1], strict=True)]
        parts.append(f'<polygon class="band" points="{" ".join(edge)}"/>')
    parts.append(_line("past", [point(place, value) for place, value in enumerate(past)]))
    following = [point(now, past[-1]), *(point(p, v) for p, v in zip(ahead, values, strict=True))]
    parts.append(_line("next", following))
    first = outlook.times[-len(past)]
    for place, text, anchor in (
        (0, first, "start"), (now, outlook.times[-1], "middle"), (last, outlook.next_times[-1], "end")
    ):  # fmt: skip
        parts.append(
            f'<text x="{_x(place, last):.1f}" y="{top + _HEIGHT - 12}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )
    return "".join(parts)


def _grid(low: float, high: float, top: int) -> list[str]:
    found = []
    for value in np.linspace(low, high, _NUM_TICKS + 2)[1:-1]:
        y = _y(float(value), low, high, top)
        found.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>'
        )
    return found


def _line(kind: str, points: Sequence[str]) -> str:
    return f'<polyline class="{kind}" points="{" ".join(points)}"/>'


def _x(place: float, last: int) -> float:
    return _LEFT + place / max(1, last) * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, low: float, high: float, top: int) -> float:
    return top + _TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)
