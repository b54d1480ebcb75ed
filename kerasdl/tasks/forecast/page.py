"""How forecasts are shown: figures beside simple methods, errors by horizon, windows with bands."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.report import charts
from kerasdl.report.blocks import Chart, Column, Figure, Figures, Section, Table, Text

_PAST = 2  # horizons of the past that a chart of a window shows
_FORMS = {"mse": ".4f", "mae": ".4f", "mae_raw": ".4g", "mase": ".3f"}
_TITLES = {"mse": "MSE", "mae": "MAE", "mae_raw": "MAE in the targets' units", "mase": "MASE"}


def sections(
    figures: Mapping[str, Any], mistakes: Mapping[str, np.ndarray] | None, quantiles: Sequence[float]
) -> list[Section]:
    """Return the sections of a forecaster.

    Args:
        figures: those of `Forecast.evaluate`, with those beside baselines.
        mistakes: `features` (M, context, C), `targets` and `values` (M, horizon, K), `mse` (M,), `indices`
            (M,), and `quantiles` (M, horizon, K, Q) where there are some.
        quantiles: levels of the quantiles.
    """
    headline = [
        Figure("MSE", f"{figures['mse']:.4f}", "in standard deviations, squared"),
        Figure("MAE", f"{figures['mae']:.4f}", "in standard deviations"),
        Figure("MAE", f"{figures['mae_raw']:.4g}", "in the targets' units"),
        Figure("Test windows", f"{figures['examples']:,}"),
    ]
    if "mase" in figures:
        rows = figures.get("season", 1)
        naive = "the last value's error" if rows == 1 else f"the error of the value {rows} rows before"
        headline.insert(3, Figure("MASE", f"{figures['mase']:.3f}", f"1 is {naive}"))
    blocks: list[Any] = [Figures(headline), *_against(figures), *_per_target(figures["per_target"])]
    found = [Section("Test figures", [*blocks, *_coverage(figures.get("coverage"))])]
    found.append(Section("Error by horizon", [_by_horizon(figures)]))
    if mistakes is not None and len(mistakes["indices"]) and "features" in mistakes:
        found.append(Section("Forecasts", _windows(mistakes, figures["targets"], quantiles)))
    return found


def _against(figures: Mapping[str, Any]) -> list[Table]:
    rows = figures.get("baselines", {})
    if not rows:
        return []
    columns = [Column("forecast"), *(Column(_TITLES[name], form) for name, form in _FORMS.items())]
    cells = [["this network", *(figures[name] for name in _FORMS)]]
    cells += [[name, *(row[figure] for figure in _FORMS)] for name, row in rows.items()]
    return [Table("Beside simple forecasts of the same windows", columns, cells)]


def _per_target(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    names = [name for name in _FORMS if name != "mase"]
    columns = [Column("target"), *(Column(_TITLES[name], _FORMS[name]) for name in names)]
    return (
        [Table("Targets", columns, [[row["target"], *(row[n] for n in names)] for row in rows])]
        if rows
        else []
    )


def _coverage(found: Mapping[str, Any] | None) -> list[Table]:
    if found is None:
        return []
    columns = [Column("band", ".0%"), Column("values within it", ".1%"), Column("mean width", ".3f")]
    bands = [[row["level"], row["covered"], row["width"]] for row in found["intervals"]]
    levels = [[row["level"], row["below"]] for row in found["quantiles"]]
    return [
        Table(f"Bands (mean pinball loss {found['pinball']:.4f})", columns, bands, half=True),
        Table("Quantiles", [Column("quantile", "g"), Column("values below", ".1%")], levels, half=True),
    ]


def _by_horizon(figures: Mapping[str, Any]) -> Chart:
    own = figures["by_horizon"]["mse"]
    lines = {"this network": own}
    lines |= {name: row["mse_by_horizon"] for name, row in figures.get("baselines", {}).items()}
    steps = list(range(1, len(own) + 1))
    hover = "%{y:.4f}, %{x} ahead<extra>%{fullData.name}</extra>"
    dashes = ("solid", "dot", "dash", "dashdot")
    traces = [
        charts.line(name, steps, values, {"color": f"--chart-{number}", "width": 2, "dash": dash}, hover)
        for number, (dash, (name, values)) in enumerate(zip(dashes, lines.items(), strict=False), 1)
    ]
    axes = (charts.counting_axis("rows ahead", 1, len(own), 0.5), charts.axis("MSE", rangemode="tozero"))
    said = ", ".join(
        f"{name} from {values[0]:.4f} one row ahead to {values[-1]:.4f} {len(own)} rows ahead"
        for name, values in lines.items()
    )
    table = Table(
        "MSE by rows ahead",
        [Column("rows ahead", "d"), *(Column(name, ".4f") for name in lines)],
        [[step, *(values[step - 1] for values in lines.values())] for step in steps],
    )
    return Chart(
        "MSE by rows ahead", charts.figure(traces, charts.layout(360, *axes)), f"MSE: {said}.", table
    )


def _windows(
    mistakes: Mapping[str, np.ndarray], names: Sequence[str], quantiles: Sequence[float]
) -> list[Any]:
    told = Text(
        f"Windows of the test part: a usual one (median error), a good and a bad one (first and last tenth), "
        f"and the worst. Shown is {names[0]}, in its own units."
    )
    found: list[Any] = [told]
    for row, index in enumerate(mistakes["indices"]):
        window = {name: value[row] for name, value in mistakes.items()}
        title = f"Test window {int(index):,}, MSE {window['mse']:.4f}"
        found.append(window_chart(title, window, quantiles, half=True))
    return found


def window_chart(
    title: str, window: Mapping[str, np.ndarray], quantiles: Sequence[float], *, half: bool
) -> Chart:
    """Return the chart of one window's first target: its past, its forecast with bands, and what came.

    Args:
        title: title of the chart.
        window: `features` (context, C), `values` and `targets` (horizon, K), and `quantiles` (horizon, K, Q).
        quantiles: levels of the quantiles, ascending.
        half: whether it is half as wide as the page.
    """
    horizon = len(window["values"])
    past = window["features"][-_PAST * horizon :, 0]
    before, after = list(range(1 - len(past), 1)), list(range(1, horizon + 1))
    hover = "%{y:.4g} at %{x}<extra>%{fullData.name}</extra>"
    traces = []
    if quantiles:
        level = f"{quantiles[-1] - quantiles[0]:.0%} band"
        thin = {"color": "--right-high", "width": 1}
        edges = [window["quantiles"][:, 0, place].tolist() for place in (0, -1)]
        traces = [
            charts.line(level, after, edges[0], thin, None, showlegend=False),
            charts.line(level, after, edges[1], thin, hover, fill="tonexty", fillcolor="--right-low"),
        ]
    came, forecast = window["targets"][:, 0], window["values"][:, 0]
    muted, dashed = {"color": "--muted", "width": 1.5}, {"color": "--chart-4", "width": 1.5, "dash": "dot"}
    traces += [
        charts.line("past", before, past.tolist(), muted, hover),
        charts.line("what came", [0, *after], [float(past[-1]), *came.tolist()], dashed, hover),
        charts.line("forecast", after, forecast.tolist(), {"color": "--chart-1", "width": 2.5}, hover),
    ]
    drawn = charts.layout(280, charts.axis("rows from the last one seen", tickformat="d"), charts.axis(""))
    off = float(np.abs(forecast - came).mean())
    said = f"{title}. The forecast is {off:.4g} away on average over {horizon} rows."
    return Chart(title, charts.figure(traces, drawn), said, half=half)


def terminal_tables(figures: Mapping[str, Any]) -> list[Any]:
    """Return what `kerasdl evaluate` prints, as tables of rich."""
    from rich.markup import escape
    from rich.table import Table as RichTable

    def table(title: str, *columns: str) -> RichTable:
        made = RichTable(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
        for number, column in enumerate(columns):
            made.add_column(column, justify="right" if number else "left")
        return made

    first = table(f"{figures['examples']:,} windows", "forecast", *(_TITLES[name] for name in _FORMS))
    named = {"this network": figures, **figures.get("baselines", {})}
    for name, row in named.items():
        first.add_row(name, *(format(row[n], form) if n in row else "" for n, form in _FORMS.items()))
    found = [first]
    if figures["per_target"]:
        names = [name for name in _FORMS if name != "mase"]
        second = table("Targets", "target", *(_TITLES[name] for name in names))
        for row in figures["per_target"]:
            second.add_row(escape(row["target"]), *(format(row[name], _FORMS[name]) for name in names))
        found.append(second)
    if coverage := figures.get("coverage"):
        third = table("Bands", "band", "values within it", "mean width")
        for row in coverage["intervals"]:
            third.add_row(f"{row['level']:.0%}", f"{row['covered']:.1%}", f"{row['width']:.3f}")
        found.append(third)
    return found
