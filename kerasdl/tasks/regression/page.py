"""The sections of a regression's report: figures, predictions against targets, worst examples."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasdl.report import charts
from kerasdl.report.blocks import Block, Section, Table, Text, headline

_FIGURES = {
    "mae": ("Mean absolute error", ".4g", "in the targets' units"),
    "rmse": ("RMSE", ".4g", "root mean squared error"),
    "r2": ("R2", ".4f", "1 is best, 0 is no better than the mean"),
    "bias": ("Bias", ".3g", "mean of prediction minus target"),
    "examples": ("Test examples", ",d", ""),
}


def sections(figures: Mapping[str, Any], mistakes: Mapping[str, np.ndarray] | None) -> list[Section]:
    """Return the sections of a regression.

    Args:
        figures: those of `Regression.evaluate`.
        mistakes: `targets` (K, num_outputs), `values` (K, num_outputs), `indices` (K,); the worst first.
    """
    rows = [[number, row["mae"], row["rmse"], row["r2"]] for number, row in enumerate(figures["per_output"])]
    forms = {"output": "d", "MAE": ".4g", "RMSE": ".4g", "R2": ".4g"}
    outputs = [Table.of("Figures of each output", forms, rows)] if rows else []
    found = [
        Section("Test figures", [*headline(figures, _FIGURES), *outputs]),
        Section("Predictions and targets", _predictions(figures)),
    ]
    if mistakes is not None and len(mistakes["indices"]):
        kept = zip(mistakes["indices"], mistakes["targets"], mistakes["values"], strict=True)
        rows = [
            [int(index), *(", ".join(f"{v:.4g}" for v in part) for part in parts)] for index, *parts in kept
        ]
        forms = {"test example": "d", "target": None, "prediction": None}
        worst = Table.of("Examples with the largest errors", forms, rows)
        found.append(Section("Largest errors", [worst]))
    return found


def _predictions(figures: Mapping[str, Any]) -> list[Block]:
    targets, values = np.array(figures["points"], float).reshape(-1, 2).T.tolist()
    ends = [min(*targets, *values), max(*targets, *values)]
    q5, q25, q50, q75, q95 = figures["residual_quantiles"]
    ideal = {"color": "--muted", "width": 1.5, "dash": "dash"}
    hover = "target %{x:.4g}<br>prediction %{y:.4g}<extra></extra>"
    said = (
        f"90 % of the residuals (prediction minus target) lie between {q5:.3g} and {q95:.3g}, half of them "
        f"between {q25:.3g} and {q75:.3g}; the median is {q50:.3g}."
    )
    drawn = charts.chart(
        "Predictions against targets",
        [charts.line("target", ends, ends, ideal, hover=None),
         charts.points("test examples", targets, values, {"color": "--chart-1", "size": 5}, hover)],
        (charts.axis("target"), charts.axis("prediction")),
        f"Predictions against targets of {len(targets):,} test examples (the first output). {said}",
        height=440,
    )  # fmt: skip
    return [Text(said), drawn]
