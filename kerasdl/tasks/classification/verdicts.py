"""Says what is wrong with the figures of a classifier, before it is shipped."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerasdl.tasks.task import Verdict

_MOST_NAMES = 10
_LARGE_ERROR = 0.25  # of calibration


def verdicts(figures: Mapping[str, Any]) -> list[Verdict]:
    """Return what should be known of a classifier's figures.

    Args:
        figures: what `kerasdl.tasks.classification.figures.figures` returned.
    """
    found, rows = [], [row for row in figures["per_class"] if row["support"]]
    largest = max(rows, key=lambda row: row["support"])
    guessed = largest["support"] / figures["examples"]
    if figures["accuracy_interval"][0] <= guessed:
        found.append(
            Verdict(
                text=f"No better than guessing: to answer {largest['class']!r} always would be right for "
                f"{guessed:.1%} of the examples. Can the network learn at all?",
                flags="--overfit-batches 1",
            )
        )
    better = {name: row["accuracy"] for name, row in (figures.get("baselines") or {}).items()}
    better = {name: value for name, value in better.items() if value > figures["accuracy_interval"][1]}
    if better:
        name = max(better, key=lambda name: better[name])
        found.append(
            Verdict(
                text=f"{name}, a linear classifier, is right for {better[name]:.1%} of the same texts.",
                flags="--ema-momentum 0.998",
            )
        )
    predicted = [sum(column) for column in zip(*figures["confusion_matrix"], strict=True)]
    never = [
        row["class"]
        for row, count in zip(figures["per_class"], predicted, strict=True)
        if not count and row["support"]
    ]
    if never:
        found.append(
            Verdict(
                text=f"{'One class is' if len(never) == 1 else f'{len(never)} classes are'} never predicted: "
                f"{listed(never)}.",
                flags="--class-weights balanced",
            )
        )
    if figures["ece"] > _LARGE_ERROR:
        found.append(
            Verdict(
                text=f"The probabilities are off by {figures['ece']:.0%} on average (calibration error): is "
                "there a softmax in the network?",
                flags="--calibrate",
            )
        )
    return found


def recalls(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the recall of every class in a line, where one is 0; empty where none is."""
    known = [row for row in rows if row["recall"] is not None and row["support"]]
    if all(row["recall"] for row in known):
        return ""
    shown = [f"{row['class']} {row['recall']:.0%}" for row in sorted(known, key=lambda row: row["recall"])]
    return f"\nRecall of the classes: {listed(shown)}."


def listed(names: Sequence[str]) -> str:
    """Return the first names in a line, and how many more there are."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
