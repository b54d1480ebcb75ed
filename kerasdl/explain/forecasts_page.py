"""What is shown of explanations of forecasts: a chart for each column, and tables in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.explain.words_page import TITLES
from kerasdl.report import charts
from kerasdl.report.blocks import Block, Chart, Notice, Section, Table, Text

_MOST_COLUMNS = 12  # that have a chart
_SHOWN = 8  # values in a terminal
_ROUNDING = 1e-4  # scores of a column beside those of another, below which they are taken for 0
_LEGEND = (
    "Each value of the past has a score: what it adds to the forecast, in the units of the column that is "
    "forecast. It is compared with a flat window, in which each column stays at its mean over this window: "
    "the level is known, and what came when is not."
)
_OF_METHODS = {
    "integrated-gradients": "Integrated gradients sum to the difference of the two forecasts.",
    "occlusion": "Occlusion puts one value at the mean of its column, and tells how far the forecast falls.",
}
#: How the scores of a column are told as one number: they have a sum by one method alone.
_WHOLE = {
    "integrated-gradients": ("sum", sum),
    "occlusion": ("largest", lambda scores: max(scores, key=abs)),
}


def notices(about: Mapping[str, Any]) -> list[Block]:
    """Return the notices of a page about explanations of forecasts."""
    legend = [_LEGEND, *(_OF_METHODS[name] for name in about["methods"])]
    if (rows := max(row.get("block", 1) for row in about["windows"])) > 1:
        legend.append(f"Here it replaces {rows} neighbouring values at a time, which have the same score.")
    return [Notice(" ".join(legend)), *(Notice(note, "warning") for note in about["notes"])]


def sections(about: Mapping[str, Any]) -> list[Section]:
    """Return a section for each window."""
    return [Section(row["name"], [Text(described(row)), *_charts(row)]) for row in about["windows"]]


def section(about: Mapping[str, Any]) -> Section:
    """Return the part of a run's page that holds all windows."""
    found = notices(about)
    for row in about["windows"]:
        found += [Text(f"{row['name']}: {described(row)}"), *_charts(row)]
    return Section("Explanations", found)


def described(row: Mapping[str, Any]) -> str:
    """Return a sentence about the forecast of a window."""
    ahead = row["ahead"]
    what = f"{ahead} {'row' if ahead == 1 else 'rows'} ahead"
    if ahead is None:
        what = f"mean of the next {row['horizon']} rows"
    came = f" (what came: {row['came']:,.6g})" if "came" in row else ""
    return (
        f"{row['column']}, {what}: {row['forecast']:,.6g}{came}; {row['flat']:,.6g} for a flat window, "
        f"{row['forecast'] - row['flat']:+,.4g} by the shape of this one"
    )


def lines(row: Mapping[str, Any]) -> list[Any]:
    """Return what a terminal shows of a window: its forecast, the columns and the values that count most."""
    from rich.text import Text as RichText

    methods, names = list(row["scores"]), _counting(row)
    found: list[Any] = [RichText(f"{row['name']}: {described(row)}", "bold")]
    if len(row["values"]) > 1:
        found.append(_by_column(row, names))
    places = [(name, place) for name in names for place in range(len(row["values"][name]))]
    first = row["scores"][methods[0]]
    places.sort(key=lambda one: -abs(first[one[0]][one[1]]))
    told = [
        [place - len(row["values"][name]) + 1, name, row["values"][name][place],
         *(row["scores"][method][name][place] for method in methods)]
        for name, place in places[:_SHOWN]
    ]  # fmt: skip
    titles = {"row": "d", "column": None, "value": ",.6g"}
    titles |= {TITLES[method].lower(): "+.4g" for method in methods}
    return [*found, Table.of("Values that count most (row 0 is the last one seen)", titles, told)]


def _counting(row: Mapping[str, Any]) -> list[str]:
    """Return the columns whose scores are more than rounding, that with the largest scores first."""
    size = {
        name: max(float(np.abs(scores[name]).sum()) for scores in row["scores"].values())
        for name in row["values"]
    }
    least = _ROUNDING * max(size.values())
    return sorted((name for name in size if size[name] > least), key=lambda name: -size[name])


def _charts(row: Mapping[str, Any]) -> list[Block]:
    names = _counting(row)
    found: list[Block] = [_chart(row, name) for name in names[:_MOST_COLUMNS]]
    if len(rest := [name for name in row["values"] if name not in names]):
        found.append(Text(f"Columns that add nothing: {', '.join(rest)}."))
    if len(names) > _MOST_COLUMNS:
        found.append(_by_column(row, names))
    return found


def _by_column(row: Mapping[str, Any], names: Sequence[str]) -> Table:
    """Return the table of what each column adds as a whole."""
    forms = {f"{TITLES[method].lower()}, {_WHOLE[method][0]}": "+.4g" for method in row["scores"]}
    cells = [
        [name, *(_whole(method, scores[name]) for method, scores in row["scores"].items())] for name in names
    ]
    return Table.of("Columns", {"column": None} | forms, cells, sortable=True)


def _whole(method: str, scores: Sequence[float]) -> float:
    return _WHOLE[method][1](scores)


def _chart(row: Mapping[str, Any], name: str) -> Chart:
    """Return the chart of a column: its values above, their scores below."""
    values = row["values"][name]
    x, mean = list(range(1 - len(values), 1)), float(np.mean(values))
    traces = [
        charts.line("mean", [x[0], 0], [mean, mean], {"color": "--muted", "width": 1, "dash": "dot"}, None),
        charts.line(name, x, _short(values), {"color": "--chart-4", "width": 1.5}, "%{y:.4g} at %{x}"),
    ]
    if (found := row["scores"].get("integrated-gradients")) is not None:
        title = TITLES["integrated-gradients"]
        traces.append(
            charts.bars(x, _short(found[name]), "%{y:+.4g} at %{x}", yaxis="y2", name=title, showlegend=True)
        )
    if (found := row["scores"].get("occlusion")) is not None:
        traces.append(
            charts.line(TITLES["occlusion"], x, _short(found[name]), {"color": "--chart-2", "width": 1.5},
                        "%{y:+.4g} at %{x}", yaxis="y2")
        )  # fmt: skip
    axes = (
        charts.axis("rows from the last one seen", tickformat="d", anchor="y2"),
        charts.axis(name, domain=[0.5, 1]),
    )
    below = charts.axis("adds", domain=[0, 0.42])
    said = ", ".join(
        f"{TITLES[method].lower()}, {_WHOLE[method][0]}: {_whole(method, scores[name]):+.4g}"
        for method, scores in row["scores"].items()
    )
    summary = f"What {name} adds to the forecast of {row['column']}; {said}."
    return charts.chart(f"{name} and what it adds", traces, axes, summary, height=420, yaxis2=below)


def _short(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
