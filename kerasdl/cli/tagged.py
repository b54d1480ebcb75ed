"""Prints sentences with the tag of each token."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerasdl.report import terminal


def print_sentences(answers: Sequence[Mapping[str, Any]]) -> None:
    """Print a token, its tag and how probable that is on each line, and an empty line behind a sentence."""
    for answer in answers:
        found = rows([answer])
        for row in found:
            cells = [terminal.line(row["token"]), terminal.line(row["tag"])]
            widths = [max(terminal.cells(one[name]) for one in found) for name in ("token", "tag")]
            padded = (
                cell + " " * (width - terminal.cells(cell)) for cell, width in zip(cells, widths, strict=True)
            )
            terminal.say("  ".join([*padded, f"{100 * row['probability']:.1f} %"]))
        terminal.say("")


def rows(answers: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return a row for each token of sentences with tags; other answers as they are."""
    if not any("tags" in answer for answer in answers):
        return answers
    return [
        {"sentence": number, "token": token, "tag": tag, "probability": probability}
        for number, answer in enumerate(answers, 1)
        for token, tag, probability in zip(
            answer["tokens"], answer["tags"], answer["probabilities"], strict=False
        )
    ]
