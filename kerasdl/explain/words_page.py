"""The part of a page that shows what explains answers to texts: their words, shaded."""

from collections.abc import Mapping
from typing import Any

from kerasdl.report.blocks import Block, Notice, Section, Text, Words, percent

TITLES = {
    "integrated-gradients": "Integrated gradients",
    "occlusion": "Occlusion",
    "attention": "Attention",
}
_LEGEND = (
    "Each word is shaded by what it adds to the logit of a class: vermillion speaks for the class, blue, "
    "with a dotted line, against it. Integrated gradients begin at the same text of unknown words and sum to "
    "the difference of the two logits. Occlusion makes one word unknown at a time."
)
_OF_ATTENTION = (
    "Attention (green) is how much each step counts in the average that the head reads. It is no explanation "
    "by itself: a step's features already hold what stands around its word."
)


def notices(about: Mapping[str, Any]) -> list[Block]:
    """Return the notices of a page about explanations of texts."""
    legend = [_LEGEND] if {"integrated-gradients", "occlusion"} & set(about["methods"]) else []
    if "attention" in about["methods"]:
        legend.append(_OF_ATTENTION)
    return [Notice(" ".join(legend)), *(Notice(note, "warning") for note in about["notes"])]


def sections(about: Mapping[str, Any]) -> list[Section]:
    """Return a section for each text."""
    return [
        Section(row["name"], [Text(described(row)), *_blocks(row, about["methods"])])
        for row in about["texts"]
    ]


def section(about: Mapping[str, Any]) -> Section:
    """Return the part of a run's page that holds all texts."""
    found = notices(about)
    for row in about["texts"]:
        found += [Text(f"{row['name']}: {described(row)}"), *_blocks(row, about["methods"])]
    return Section("Explanations", found)


def described(row: Mapping[str, Any]) -> str:
    """Return a sentence about the answer to a text."""
    parts = [f"predicted {row['predicted']} ({percent(row['probability'], 0)} sure)"]
    if "true" in row:
        parts.insert(0, f"true {row['true']}")
    parts.append(f"logit of {row['class']} {row['logit']:.3f}")
    if "difference" in row:
        parts.append(f"{row['difference']:+.3f} of it by the words")
    return ", ".join(parts)


def _blocks(row: Mapping[str, Any], methods: list[str]) -> list[Block]:
    return [
        Words(
            TITLES[method],
            [(word["word"], word.get(method)) for word in row["words"]],
            signed=method != "attention",
            half=len(methods) > 1,
        )
        for method in methods
    ]
