"""The confusion matrix of a page, readable for two classes as for hundreds."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasdl.report.blocks import Block, Chart, Column, Table, Text, label

_WIDE = 16  # classes from which on the confusion matrix takes the whole width
_NUMBERED = 25  # classes up to which each cell shows its count
_MOST_CELLS = 100  # classes that a confusion matrix shows at most; more are dots that nobody can tell apart
_MOST_CONFUSIONS = 12
_MOST_ROWS = 200  # of the table that stands for a large confusion matrix


def blocks(matrix: np.ndarray, class_names: Sequence[str]) -> list[Block]:
    """Return a heat map, and a table of the most frequent confusions.

    Args:
        matrix: (num_classes, num_classes) integers: examples by true class (rows) and predicted class.
        class_names: in the order of the rows.
    """
    pairs = _confused_pairs(matrix, class_names)
    wrong, total = int(matrix.sum() - np.trace(matrix)), int(matrix.sum())
    summary = (
        f"Confusion matrix of {len(matrix)} classes: {total - wrong:,} of {total:,} examples lie on the "
        f"diagonal, which is right; {wrong:,} are mistaken."
    )
    title, shown = "True class against predicted class", np.arange(len(matrix))
    if len(matrix) > _MOST_CELLS:
        shown = _most_mistaken(matrix)
        title += f": the {_MOST_CELLS} classes of {len(matrix):,} with most mistakes"
    figure = _heat_map(matrix[np.ix_(shown, shown)], [class_names[index] for index in shown])
    forms = {"true class": None, "predicted": None, "examples": ",d", "of class": ".1%"}
    if len(matrix) <= _NUMBERED:
        rows = [[name, *map(int, row)] for name, row in zip(class_names, matrix, strict=True)]
        across = [Column("true \\ predicted"), *(Column(name, ",d") for name in class_names)]
        table = Table("Examples of each true class (rows) by predicted class (columns)", across, rows)
    else:
        more = f"; the first {_MOST_ROWS} of {len(pairs):,} pairs" if len(pairs) > _MOST_ROWS else ""
        table = Table.of(f"Confused classes, most frequent first{more}", forms, pairs[:_MOST_ROWS])
    chart = Chart(title, figure, summary, table, half=len(matrix) <= _WIDE)
    if not pairs:
        return [chart, Text("Not one example was mistaken.")]
    return [chart, Table.of("Most frequent confusions", forms, pairs[:_MOST_CONFUSIONS], half=True)]


def _most_mistaken(matrix: np.ndarray) -> np.ndarray:
    mistakes = matrix.sum(0) + matrix.sum(1) - 2 * np.diag(matrix)
    return np.sort(np.argsort(-mistakes, kind="stable")[:_MOST_CELLS])


def _confused_pairs(matrix: np.ndarray, class_names: Sequence[str]) -> list[tuple]:
    support = np.maximum(matrix.sum(1), 1)
    rows, columns = np.nonzero(matrix - np.diag(np.diag(matrix)))
    order = np.argsort(-matrix[rows, columns], kind="stable")
    return [
        (class_names[row], class_names[column], int(matrix[row, column]), matrix[row, column] / support[row])
        for row, column in zip(rows[order], columns[order], strict=True)
    ]


def _heat_map(matrix: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """Give right answers and mistakes a scale each: beside a diagonal of 99 % no mistake would show."""
    part = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    diagonal = np.eye(len(matrix), dtype=bool)
    names = _unique([label(name, 16) for name in class_names])
    worst = part[~diagonal].max(initial=0)
    longest = max(map(len, names))
    room = 40 + int(6.6 * min(longest, 20))  # pixels; plotly's own search for it does not end with 100 names
    axis = {
        "type": "category",
        "showgrid": False,
        "zeroline": False,
        "constrain": "domain",
        "automargin": False,
    }
    across = {"tickangle": -90} if longest > 3 or len(names) > _NUMBERED else {}
    ends = [-0.5, len(matrix) - 0.5]
    return {
        "data": [
            _cells(matrix, part, diagonal, names, "right", 1.0),
            _cells(matrix, part, ~diagonal & (matrix > 0), names, "wrong", max(float(worst), 1e-9)),
        ],
        "layout": {
            "showlegend": False,
            "meta": {"crowded": len(names) > _NUMBERED},
            "height": 460 if len(matrix) <= _WIDE else 900,
            "margin": {"l": room, "r": 8, "t": 30, "b": room},
            "xaxis": {**axis, **across, "title": {"text": "predicted class"}, "range": ends},
            "yaxis": {**axis, "title": {"text": "true class"}, "range": ends[::-1], "scaleanchor": "x"},
        },
    }


def _cells(matrix, part, shown, names: list[str], kind: str, highest: float) -> dict[str, Any]:
    cells = list(zip(matrix.tolist(), np.round(part, 4).tolist(), shown.tolist(), strict=True))
    numbered = len(matrix) <= _NUMBERED
    # Behind numbers pale colours; dots of a few pixels need strong ones.
    high = f"--{kind}-high" if numbered else {"right": "--chart-1", "wrong": "--chart-2"}[kind]
    return {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": [[value if keep else None for _, value, keep in zip(*row, strict=True)] for row in cells],
        "text": [[str(count) if keep else "" for count, _, keep in zip(*row, strict=True)] for row in cells],
        "zmin": 0,
        "zmax": highest,
        "colorscale": [[0, f"--{kind}-low"], [1, high]],
        "showscale": False,
        "hoverongaps": False,
        "xgap": int(numbered),
        "ygap": int(numbered),
        "hovertemplate": "true: %{y}<br>predicted: %{x}<br>%{text} examples, %{z:.1%} of the class"
        "<extra></extra>",
        **({"texttemplate": "%{text}", "textfont": {"color": "--text"}} if numbered else {}),
    }


def _unique(names: list[str]) -> list[str]:
    """Tell shortened names apart: a category axis would put equal ones on one line."""
    return [
        f"{name} ({index})" if names.count(name) > 1 else name for index, name in enumerate(names, start=1)
    ]
