"""The parts of a page that a classification has: figures, confusions, classes, calibration, mistakes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.report import charts, pictures
from kerasdl.report.blocks import (
    Block,
    Figure,
    Figures,
    Notice,
    Picture,
    Pictures,
    Section,
    Table,
    Text,
    headline,
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
            the most confident first; what `first_texts` keeps beside them.
    """
    found = [Section("Test figures", [Figures(_headline(figures))])]
    if figures.get("confusion_matrix"):
        matrix = np.array(figures["confusion_matrix"], np.int64)
        found.append(Section("Confusion matrix", confusion.blocks(matrix, class_names)))
    if rows := figures.get("per_class"):
        present = [name for name in _PER_CLASS if any(row.get(name) is not None for row in rows)]
        forms = dict(_PER_CLASS[name] for name in present)
        cells = [[row.get(name) for name in present] for row in rows]
        found.append(Section("Classes", [Table.of("Figures of each class", forms, cells, sortable=True)]))
    if figures.get("reliability"):
        found.append(Section("Calibration", _calibration(figures)))
    if shown := _mistakes(figures, class_names, mistakes):
        found.append(Section("Worst mistakes", shown))
    if shown := text_mistakes.attention_blocks(class_names, mistakes or {}):
        found.append(Section("Attention over words", shown))
    return found


_PER_CLASS = {
    "class": ("class", None),
    "precision": ("precision", ".2%"),
    "recall": ("recall", ".2%"),
    "f1": ("F1", ".4f"),
    "roc_auc": ("ROC AUC", ".4f"),
    "support": ("test examples", ",d"),
}
_NUMBERS = {
    "macro_f1": ("Macro F1", ".4f", "mean over classes"),
    "roc_auc": ("ROC AUC", ".4f", "mean of one class against the rest"),
    "crossentropy": ("Cross-entropy", ".4f", "nats; 0 is best"),
    "ece": ("Calibration error", ".2%", "expected; 0 is best"),
}


def _headline(figures: Mapping[str, Any]) -> list[Figure]:
    items = []
    low, high = figures.get("accuracy_interval") or (None, None)
    count = f"{figures['examples']:,}" if "examples" in figures else ""
    if (accuracy := figures.get("accuracy")) is not None:
        interval = "" if low is None else f"95 % interval {100 * low:.2f} to {percent(high)}"
        items.append(Figure("Accuracy", percent(accuracy), interval or (count and f"{count} examples")))
        if interval and count:
            items.append(Figure("Test examples", count))
    for k, value in (figures.get("top_k_accuracy") or {}).items():
        if value is not None:
            items.append(Figure(f"Top-{k} accuracy", percent(value)))
    for name, row in (figures.get("baselines") or {}).items():
        items.append(Figure(name, percent(row["accuracy"]), "a linear classifier of the same texts"))
    return [*items, *(item for part in headline(figures, _NUMBERS) for item in part.items)]


def _calibration(figures: Mapping[str, Any]) -> list[Block]:
    bins = figures["reliability"]
    said = "A calibrated network is right as often as it says: its points lie on the dashed line."
    if figures.get("ece") is not None:
        said += f" On average they lie {percent(figures['ece'])} beside it (expected calibration error)."
    if (temperature := figures.get("temperature")) not in (None, 1, 1.0):
        said += f" The logits were divided by a temperature of {temperature:.3g} that validation chose."
    last = bins[-1]
    summary = (
        f"Reliability of {len(bins)} bins of confidence. In the highest, {last['count']:,} examples have "
        f"{percent(last['confidence'], 1)} confidence and {percent(last['accuracy'], 1)} accuracy."
    )
    counts, confidence, accuracy = (
        [part[name] for part in bins] for name in ("count", "confidence", "accuracy")
    )
    rows = [
        [f"{part['low']:.2f} to {part['high']:.2f}", *values]
        for part, *values in zip(bins, confidence, accuracy, counts, strict=True)
    ]
    forms = {"confidence": None, "mean": ".2%", "accuracy": ".2%", "examples": ",d"}
    hover = "confidence %{x:.1%}<br>accuracy %{y:.1%}<br>%{customdata:,} examples<extra></extra>"
    flat = {"zeroline": False, "tickformat": ".0%"}
    traces = [
        charts.line("calibrated", [0, 1], [0, 1], {"color": "--muted", "width": 1.5, "dash": "dash"}, None),
        charts.line("this network", confidence, accuracy, {"color": "--chart-1", "width": 2}, hover,
                    mode="lines+markers", customdata=counts, marker={"color": "--chart-1", "size": 8}),
        charts.bars([(part["low"] + part["high"]) / 2 for part in bins], counts, "%{y:,} examples",
                    yaxis="y2", width=[0.9 * (part["high"] - part["low"]) for part in bins]),
    ]  # fmt: skip
    axes = (
        charts.axis("confidence", range=[-0.02, 1.02], anchor="y2", **flat),
        charts.axis("accuracy", range=[-0.03, 1.03], domain=[0.36, 1], **flat),
    )
    below = charts.axis("examples", log=charts.spans_decades(counts), domain=[0, 0.26])
    drawn = charts.chart(
        "Reliability", traces, axes, summary, height=440, half=True, yaxis2=below,
        table=Table.of("Accuracy by confidence", forms, rows),
    )  # fmt: skip
    return [Text(said), dataclasses.replace(drawn, table=None), dataclasses.replace(drawn.table, half=True)]


def _mistakes(
    figures: Mapping[str, Any], class_names: Sequence[str], mistakes: Mapping[str, np.ndarray] | None
) -> list[Block]:
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


def _listed(rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    if not rows:
        return []
    forms = {"test example": "d", "true class": None, "predicted": None, "confidence": ".1%"}
    cells = [[row["index"], row["class"], row["predicted"], row["confidence"]] for row in rows]
    said = Notice("The pictures of these examples were not kept.")
    return [said, Table.of("Most confident mistakes", forms, cells)]
