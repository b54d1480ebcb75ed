"""How forecasts are shown: figures beside simple methods, errors by horizon, windows with bands."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.report import charts, curves
from kerasdl.report.blocks import Block, Chart, Section, Table, Text, headline

_PAST = 2  # horizons of the past that a chart of a window shows
_TITLES = {"mse": "MSE", "mae": "MAE", "mae_raw": "MAE in the targets' units", "mase": "MASE"}
_FORMS = {"mse": ".4f", "mae": ".4f", "mae_raw": ".4g", "mase": ".3f"}
_HEADLINE = {
    "mse": ("MSE", ".4f", "in standard deviations, squared"),
    "mae": ("MAE", ".4f", "in standard deviations"),
    "mae_raw": ("MAE", ".4g", "in the targets' units"),
    "mase": ("MASE", ".3f", "1 is {naive}"),
    "examples": ("Test windows", ",d", ""),
}


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
    rows = figures.get("season", 1)
    naive = "the last value's error" if rows == 1 else f"the error of the value {rows} rows before"
    told = [*headline({"naive": naive, **figures}, _HEADLINE), *tables(figures)]
    found = [Section("Test figures", told), Section("Error by horizon", [_by_horizon(figures)])]
    if mistakes is not None and len(mistakes["indices"]) and "features" in mistakes:
        found.append(Section("Forecasts", _windows(mistakes, figures["targets"], quantiles)))
    return found


def tables(figures: Mapping[str, Any]) -> list[Table]:
    """Return the figures beside simple forecasts, by target, and of quantiles."""
    rows = {"this network": figures, **figures.get("baselines", {})}
    title = f"{figures['examples']:,} windows, beside simple forecasts of the same"
    found = [_table(title, "forecast", rows, list(_FORMS))]
    if targets := {row["target"]: row for row in figures["per_target"]}:
        found.append(_table("Targets", "target", targets, [name for name in _FORMS if name != "mase"]))
    if coverage := figures.get("coverage"):
        bands = [[row["level"], row["covered"], row["width"]] for row in coverage["intervals"]]
        levels = [[row["level"], row["below"]] for row in coverage["quantiles"]]
        forms = {"band": ".0%", "values within it": ".1%", "mean width": ".3f"}
        title = f"Bands (mean pinball loss {coverage['pinball']:.4f})"
        found.append(Table.of(title, forms, bands, half=True))
        found.append(Table.of("Quantiles", {"quantile": "g", "values below": ".1%"}, levels, half=True))
    return found


def _table(caption: str, first: str, rows: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> Table:
    forms = {first: None} | {_TITLES[name]: _FORMS[name] for name in names}
    return Table.of(caption, forms, [[key, *map(row.get, names)] for key, row in rows.items()])


def _by_horizon(figures: Mapping[str, Any]) -> Chart:
    of = {"this network": figures["by_horizon"]["mse"]}
    of |= {name: row["mse_by_horizon"] for name, row in figures.get("baselines", {}).items()}
    said = ", ".join(
        f"{name} from {values[0]:.4f} one row ahead to {values[-1]:.4f} {len(values)} rows ahead"
        for name, values in of.items()
    )
    series = {name: dict(enumerate(values, 1)) for name, values in of.items()}
    return curves.lines(
        "MSE by rows ahead", series, y_title="MSE", x_title="rows ahead", summary=f"MSE: {said}.", half=False,
        log=False, rangemode="tozero",
    )  # fmt: skip


def _windows(
    mistakes: Mapping[str, np.ndarray], names: Sequence[str], quantiles: Sequence[float]
) -> list[Block]:
    told = Text(
        f"Windows of the test part: a usual one (median error), a good and a bad one (first and last tenth), "
        f"and the worst. Shown is {names[0]}, in its own units."
    )
    found: list[Block] = [told]
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
    off = float(np.abs(forecast - came).mean())
    said = f"{title}. The forecast is {off:.4g} away on average over {horizon} rows."
    axes = (charts.axis("rows from the last one seen", tickformat="d"), charts.axis(""))
    return charts.chart(title, traces, axes, said, height=280, half=half)
