"""What `kerasdl evaluate` prints of a classification, from the headline to the mistakes."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

_MOST_CLASSES = 20  # of a confusion matrix that is still read
_NUM_MISTAKES = 10

Figures = Mapping[str, Any]


def tables(figures: Figures) -> list[Any]:
    """Return the figures of `kerasdl.tasks.classification.figures.figures` as renderables of rich."""
    parts = [_headline(figures), _classes(figures["per_class"])]
    if 1 < len(figures["per_class"]) <= _MOST_CLASSES:
        parts.append(_confusions(figures))
    parts.append(_calibration(figures))
    if figures["mistakes"]:
        parts.append(_mistakes(figures["mistakes"]))
    return parts


def _headline(figures: Figures) -> Table:
    low, high = figures["accuracy_interval"]
    rows = {
        "examples": f"{figures['examples']:,}",
        "accuracy": f"{figures['accuracy']:.2%}  (95 % interval {low:.2%} to {high:.2%})",
        **{f"top-{k} accuracy": f"{value:.2%}" for k, value in figures["top_k_accuracy"].items()},
        "macro F1": _shown(figures["macro_f1"]),
        "ROC AUC": _shown(figures["roc_auc"]),
        "cross-entropy": f"{figures['crossentropy']:.4f} nats",
        "calibration error (ECE)": f"{figures['ece']:.2%}",
    }
    if figures["temperature"] != 1.0:
        rows["temperature"] = f"{figures['temperature']:.3f}"
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _classes(rows: Sequence[Figures]) -> Table:
    table = _table("Classes", "", "class", "precision", "recall", "F1", "ROC AUC", "examples")
    numbers_too = _differ_from_numbers(rows)
    for index, row in enumerate(rows):
        numbers = [_shown(row[name]) for name in ("precision", "recall", "f1", "roc_auc")]
        number = str(index) if numbers_too else ""
        table.add_row(number, escape(row["class"]), *numbers, f"{row['support']:,}")
    return table


def _confusions(figures: Figures) -> Table:
    rows = figures["per_class"]
    numbers_too = _differ_from_numbers(rows)
    title = "Confusion matrix (rows: true class, columns: predicted)"
    table = _table(title, "", "class", *map(str, range(len(rows))))
    for index, row in enumerate(figures["confusion_matrix"]):
        cells = [
            f"[bold]{count}[/]" if index == column else _count(count) for column, count in enumerate(row)
        ]
        table.add_row(str(index) if numbers_too else "", escape(rows[index]["class"]), *cells)
    return table


def _calibration(figures: Figures) -> Table:
    table = _table("Calibration", "", "confidence", "mean", "accuracy", "examples")
    for row in figures["reliability"]:
        share = f"{row['low']:.0%} to {row['high']:.0%}"
        table.add_row("", share, f"{row['confidence']:.2%}", f"{row['accuracy']:.2%}", f"{row['count']:,}")
    return table


def _mistakes(rows: Sequence[Figures]) -> Table:
    table = _table("Most confident mistakes", "example", "class", "predicted", "confidence")
    for row in rows[:_NUM_MISTAKES]:
        names = escape(row["class"]), escape(row["predicted"])
        table.add_row(str(row["index"]), *names, f"{row['confidence']:.2%}")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False
    )
    for column in columns:
        text = column in ("class", "predicted", "confidence" if columns[0] == "" else "")
        table.add_column(column, justify="left" if text else "right", no_wrap=not text)
    return table


def _differ_from_numbers(rows: Sequence[Figures]) -> bool:
    """Tell whether the classes have names of their own: then the columns are numbered."""
    return [row["class"] for row in rows] != [str(index) for index in range(len(rows))]


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _count(count: int) -> str:
    return str(count) if count else "."
