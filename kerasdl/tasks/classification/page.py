"""The parts of a page that a classification has: figures, confusions, classes, calibration, mistakes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.report import charts, pictures
from kerasdl.report.blocks import (
    Chart,
    Column,
    Figure,
    Figures,
    Notice,
    Picture,
    Pictures,
    Section,
    Table,
    Text,
    percent,
)  # fmt: skip
from kerasdl.tasks.classification import confusion, text_mistakes


def sections(
    figures: Mapping[str, Any], class_names: Sequence[str], mistakes: Mapping[str, np.ndarray] | None
) -> list[Section]:
    """Return the sections of a classification; those whose figures are not there are left out.

    Args:
        figures: what `Classification.evaluate` returned.
        class_names: in the order of the outputs.
        mistakes: `features` (K, ...), `labels` (K,), `class_ids` (K,), `confidence` (K,), `indices` (K,);
            the most confident first.
    """
    found = [Section("Test figures", [Figures(_headline(figures))])]
    if figures.get("confusion_matrix"):
        matrix = np.array(figures["confusion_matrix"], np.int64)
        found.append(Section("Confusion matrix", confusion.blocks(matrix, class_names)))
    if figures.get("per_class"):
        found.append(Section("Classes", [_per_class(figures["per_class"])]))
    if figures.get("reliability"):
        found.append(Section("Calibration", _calibration(figures)))
    if shown := _mistakes(figures, class_names, mistakes):
        found.append(Section("Worst mistakes", shown))
    return found


def _headline(figures: Mapping[str, Any]) -> list[Figure]:
    items = []
    if (accuracy := figures.get("accuracy")) is not None:
        examples = f"{figures['examples']:,} examples" if "examples" in figures else ""
        items.append(Figure("Accuracy", percent(accuracy), _interval(figures) or examples))
        if _interval(figures) and examples:
            items.append(Figure("Test examples", f"{figures['examples']:,}"))
    for k, value in (figures.get("top_k_accuracy") or {}).items():
        if value is not None:
            items.append(Figure(f"Top-{k} accuracy", percent(value)))
    for name, row in (figures.get("baselines") or {}).items():
        items.append(Figure(name, percent(row["accuracy"]), "a linear classifier of the same texts"))
    for name, title, form, note in _NUMBERS:
        if figures.get(name) is not None:
            items.append(Figure(title, Column("", form).text(figures[name]), note))
    return items


_NUMBERS = (
    ("macro_f1", "Macro F1", ".4f", "mean over classes"),
    ("roc_auc", "ROC AUC", ".4f", "mean of one class against the rest"),
    ("crossentropy", "Cross-entropy", ".4f", "nats; 0 is best"),
    ("ece", "Calibration error", ".2%", "expected; 0 is best"),
)


def _interval(figures: Mapping[str, Any]) -> str:
    low, high = figures.get("accuracy_interval") or (None, None)
    return "" if low is None else f"95 % interval {100 * low:.2f} to {percent(high)}"


def _per_class(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = {
        "class": Column("class"),
        "precision": Column("precision", ".2%"),
        "recall": Column("recall", ".2%"),
        "f1": Column("F1", ".4f"),
        "roc_auc": Column("ROC AUC", ".4f"),
        "support": Column("test examples", ",d"),
    }
    present = [name for name in columns if any(row.get(name) is not None for row in rows)]
    cells = [[row.get(name) for name in present] for row in rows]
    return Table("Figures of each class", [columns[name] for name in present], cells, sortable=True)


def _calibration(figures: Mapping[str, Any]) -> list[Any]:
    bins = figures["reliability"]
    said = "A calibrated network is right as often as it says: its points lie on the dashed line."
    if figures.get("ece") is not None:
        said += f" On average they lie {percent(figures['ece'])} beside it (expected calibration error)."
    if (temperature := figures.get("temperature")) not in (None, 1, 1.0):
        said += f" The logits were divided by a temperature of {temperature:.3g} that validation chose."
    columns = [
        Column("confidence"),
        Column("mean", ".2%"),
        Column("accuracy", ".2%"),
        Column("examples", ",d"),
    ]
    rows = [
        [f"{bin_['low']:.2f} to {bin_['high']:.2f}", bin_["confidence"], bin_["accuracy"], bin_["count"]]
        for bin_ in bins
    ]
    table = Table("Accuracy by confidence", columns, rows, half=True)
    last = bins[-1]
    summary = (
        f"Reliability of {len(bins)} bins of confidence. In the highest, {last['count']:,} examples have "
        f"{percent(last['confidence'], 1)} confidence and {percent(last['accuracy'], 1)} accuracy."
    )
    return [Text(said), Chart("Reliability", _reliability(bins), summary, half=True), table]


def _reliability(bins: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts = [bin_["count"] for bin_ in bins]
    confidence, accuracy = ([bin_[name] for bin_ in bins] for name in ("confidence", "accuracy"))
    log = {"type": "log", "dtick": 1, "tickformat": "~s"} if charts.spans_decades(counts) else {}
    diagonal = {"color": "--muted", "width": 1.5, "dash": "dash"}
    hover = "confidence %{x:.1%}<br>accuracy %{y:.1%}<br>%{customdata:,} examples<extra></extra>"
    return {
        "data": [
            charts.line("calibrated", [0, 1], [0, 1], diagonal, hover=None),
            charts.line("this network", confidence, accuracy, {"color": "--chart-1", "width": 2}, hover,
                        mode="lines+markers", customdata=counts, marker={"color": "--chart-1", "size": 8}),
            charts.bars([(bin_["low"] + bin_["high"]) / 2 for bin_ in bins], counts, "%{y:,} examples",
                        yaxis="y2", width=[0.9 * (bin_["high"] - bin_["low"]) for bin_ in bins]),
        ],
        "layout": {
            "height": 440,
            "xaxis": {"title": {"text": "confidence"}, "range": [-0.02, 1.02], "tickformat": ".0%",
                      "anchor": "y2", "zeroline": False},
            "yaxis": {"title": {"text": "accuracy"}, "range": [-0.03, 1.03], "tickformat": ".0%",
                      "domain": [0.36, 1], "zeroline": False},
            "yaxis2": {"title": {"text": "examples"}, "domain": [0, 0.26], **log},
        },
    }  # fmt: skip


def _mistakes(
    figures: Mapping[str, Any], class_names: Sequence[str], mistakes: Mapping[str, np.ndarray] | None
) -> list[Any]:
    features = (mistakes or {}).get("features")
    if features is not None and features.dtype.kind == "S" and features.ndim == 1 and len(features):
        return text_mistakes.blocks(class_names, mistakes)
    if features is None or len(features) == 0 or not pictures.is_picture(features.shape[1:]):
        return _listed(figures.get("mistakes") or [])
    said = "The wrong answers that the network was most sure of. Look here for wrong labels first."
    items = []
    for index, example in enumerate(features):
        true, predicted = (class_names[int(mistakes[name][index])] for name in ("labels", "class_ids"))
        number = int(mistakes["indices"][index])
        confidence = percent(float(mistakes["confidence"][index]), 0)
        items.append(
            Picture(
                *pictures.data_uri(example),
                alt=f"true: {true}, predicted: {predicted}, {confidence}",
                caption=f"true: {true}\npredicted: {predicted}\n{confidence} sure\nexample {number}",
            )
        )
    return [Text(said), Pictures(items)]


def _listed(rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    if not rows:
        return []
    columns = [
        Column("test example", "d"),
        Column("true class"),
        Column("predicted"),
        Column("confidence", ".1%"),
    ]
    cells = [[row["index"], row["class"], row["predicted"], row["confidence"]] for row in rows]
    return [
        Notice("The pictures of these examples were not kept."),
        Table("Most confident mistakes", columns, cells),
    ]
