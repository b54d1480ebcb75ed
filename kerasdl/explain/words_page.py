"""The part of a page that shows what explains answers to texts: their words, shaded."""

import math
from collections.abc import Mapping
from typing import Any, Literal

from kerasdl.report.blocks import Block, Notice, Section, Text, Words, percent

TITLES = {
    "integrated-gradients": "Integrated gradients",
    "occlusion": "Occlusion",
    "attention": "Attention",
}
_ADDING = ("integrated-gradients", "occlusion")
_LEGEND = (
    "Each {unit} is shaded by what it adds to {what}: vermillion speaks for {more}, blue, with a "
    "dotted line, {less}. Integrated gradients begin at the same text of unknown {unit}s and sum to the "
    "difference of the two {numbers}. Occlusion makes one {unit} unknown at a time."
)
_OF_CLASS = {"more": "it", "less": "against it", "numbers": "logits"}
_OF_TARGET = {
    "what": "the value of a target, in the target's own units",
    "more": "a larger one",
    "less": "for a smaller one",
    "numbers": "values",
}
_EXPLAINED = {
    "word": "the logit of a class",
    "character": "the logit of the next character, or of the one that was asked for",
}
_OF_ATTENTION = (
    "Attention (green) is how much each step counts in the average that the head reads. It is no explanation "
    "by itself: a step's features already hold what stands around its word."
)


def notices(about: Mapping[str, Any]) -> list[Block]:
    """Return the notices of a page about explanations of texts."""
    first, legend = about["texts"][0], []
    unit = unit_of(first)
    if set(_ADDING) & set(about["methods"]):
        explained = _OF_TARGET if "target" in first else {"what": _EXPLAINED[unit], **_OF_CLASS}
        legend.append(_LEGEND.format(unit=unit, **explained))
    if unit == "character":
        legend.append("Places count from the end: -1 is the last character.")
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


def unit_of(row: Mapping[str, Any]) -> Literal["word", "character"]:
    """Return what a text is made of."""
    return row.get("unit", "word")


def described(row: Mapping[str, Any]) -> str:
    """Return a sentence about the answer to a text."""
    unit = unit_of(row)
    if "target" in row:
        form = f",.{decimals_of(row)}f"
        true = f" (true {row['true']:{form}})" if "true" in row else ""
        by_words = f", {row['difference']:+{form}} of it by the words" if "difference" in row else ""
        return f"{row['target']} {row['value']:{form}}{true}{by_words}"
    quote = '"' if unit == "character" else ""  # which may be a comma
    predicted, true, asked = (f"{quote}{row.get(name)}{quote}" for name in ("predicted", "true", "class"))
    parts = [f"predicted {predicted} ({percent(row['probability'], 0)} sure)"]
    if "true" in row:
        parts.insert(0, f"true {true}")
    parts.append(f"logit of {asked} {row['logit']:.3f}")
    if "difference" in row:
        parts.append(f"{row['difference']:+.3f} of it by the {unit}s")
    return ", ".join(parts)


def named(word: Mapping[str, Any]) -> str:
    """Return a word as a list of words names it; a character with its place from the end, such as -1."""
    return f"{word['word']}({word['place']})" if "place" in word else word["word"]


def decimals_of(row: Mapping[str, Any]) -> int:
    """Return how many decimals the value of a target, in units of any size, and its scores are told with."""
    scores = [abs(word.get(method, 0)) for word in row["words"] for method in _ADDING]
    largest = max([abs(row["value"]) / 100, *scores])
    return max(0, 2 - math.floor(math.log10(largest))) if 0 < largest < math.inf else 2


def _blocks(row: Mapping[str, Any], methods: list[str]) -> list[Block]:
    return [
        Words(
            TITLES[method],
            [(word["word"], word.get(method)) for word in row["words"]],
            signed=method != "attention",
            half=len(methods) > 1,
            unit=unit_of(row),
            decimals=decimals_of(row) if "target" in row and method != "attention" else 3,
        )
        for method in methods
    ]
