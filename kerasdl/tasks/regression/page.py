"""The sections of a regression's report: figures, predictions against targets, worst examples."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasdl.report import charts
from kerasdl.report.blocks import Chart, Column, Figure, Figures, Section, Table, Text


def sections(figures: Mapping[str, Any], mistakes: Mapping[str, np.ndarray] | None) -> list[Section]:
    """Return the sections of a regression.

    Args:
        figures: those of `Regression.evaluate`.
        mistakes: `targets` (K, num_outputs), `values` (K, num_outputs), `indices` (K,); the worst first.
    """
    headline = [
        Figure("Mean absolute error", f"{figures['mae']:.4g}", "in the targets' units"),
        Figure("RMSE", f"{figures['rmse']:.4g}", "root mean squared error"),
        Figure("R2", f"{figures['r2']:.4f}", "1 is best, 0 is no better than the mean"),
        Figure("Bias", f"{figures['bias']:.3g}", "mean of prediction minus target"),
        Figure("Test examples", f"{figures['examples']:,}"),
    ]
    found = [Section("Test figures", [Figures(headline), *_per_output(figures["per_output"])])]
    found.append(Section("Predictions and targets", _predictions(figures)))
    if mistakes is not None and len(mistakes["indices"]):
        found.append(Section("Largest errors", [_worst(mistakes)]))
    return found


def _per_output(rows: list[Mapping[str, float]]) -> list[Table]:
    columns = [Column("output", "d"), *(Column(title, ".4g") for title in ("MAE", "RMSE", "R2"))]
    cells = [[number, row["mae"], row["rmse"], row["r2"]] for number, row in enumerate(rows)]
    return [Table("Figures of each output", columns, cells)] if rows else []


def _predictions(figures: Mapping[str, Any]) -> list[Any]:
    targets, values = np.array(figures["points"], float).reshape(-1, 2).T
    low, high = float(min(targets.min(), values.min())), float(max(targets.max(), values.max()))
    q5, q25, q50, q75, q95 = figures["residual_quantiles"]
    ideal = {"color": "--muted", "width": 1.5, "dash": "dash"}
    hover = "target %{x:.4g}<br>prediction %{y:.4g}<extra></extra>"
    drawn = charts.figure(
        [
            charts.line("target", [low, high], [low, high], ideal, hover=None),
            charts.points("test examples", targets, values, {"color": "--chart-1", "size": 5}, hover),
        ],
        charts.layout(440, charts.axis("target"), charts.axis("prediction")),
    )
    said = (
        f"90 % of the residuals (prediction minus target) lie between {q5:.3g} and {q95:.3g}, half of them "
        f"between {q25:.3g} and {q75:.3g}; the median is {q50:.3g}."
    )
    summary = f"Predictions against targets of {len(targets):,} test examples (the first output). {said}"
    return [Text(said), Chart("Predictions against targets", drawn, summary)]


def _worst(mistakes: Mapping[str, np.ndarray]) -> Table:
    columns = [Column("test example", "d"), Column("target"), Column("prediction")]
    rows = [
        [int(index), *(", ".join(f"{value:.4g}" for value in part) for part in (target, values))]
        for index, target, values in zip(
            mistakes["indices"], mistakes["targets"], mistakes["values"], strict=True
        )
    ]
    return Table("Examples with the largest errors", columns, rows)
