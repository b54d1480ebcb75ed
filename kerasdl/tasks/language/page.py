"""The sections of a language model's report: its figures beside an n-gram model, and what the past helps."""

import math
from collections.abc import Mapping
from typing import Any

from kerasdl.report import curves
from kerasdl.report.blocks import Section, Table, Text, headline

_FIGURES = {
    "nats": ("Nats a character", ".4f", "windows of {window}, no past before"),
    "perplexity": ("Perplexity", ".3f", "e to the nats"),
    "bits": ("Bits a character", ".4f", ""),
    "characters": ("Test characters", ",d", ""),
}
_BESIDE = {
    "nats": "this network, windows of {window} characters without a past",
    "carried_nats": "this network, state carried through the text ({carried_rows} parts)",
    "ngram_nats": "n-gram model, from the {ngram_order} characters before",
}


def sections(figures: Mapping[str, Any]) -> list[Section]:
    """Return the sections of a language model.

    Args:
        figures: those of `LanguageModel.evaluate` and `evaluate_further`.
    """
    rows = [
        [said.format(**figures), figures[name], math.exp(min(figures[name], 700.0))]
        for name, said in _BESIDE.items()
        if name in figures
    ]
    beside = Table.of("Beside a model that counts", {"": None, "nats": ".4f", "perplexity": ".3f"}, rows)
    places = dict(figures["by_place"])
    nats = list(places.values())
    said = (
        f"The first character of a window costs {nats[0]:.2f} nats, the last ones {nats[-1]:.2f}: the longer "
        "the text before, the better the next character can be told."
    )
    drawn = curves.lines(
        "Nats by the place in the window", {"nats": places}, y_title="nats a character",
        x_title="characters read before, up to", summary=said, half=False,
    )  # fmt: skip
    return [
        Section("Test figures", [*headline(figures, _FIGURES), beside]),
        Section("What the past helps", [Text(said), drawn]),
    ]
