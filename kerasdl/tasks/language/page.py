"""The sections of a language model's report: its figures beside an n-gram model, and what the past helps."""

import math
from collections.abc import Mapping
from typing import Any

from kerasdl.report import charts
from kerasdl.report.blocks import Chart, Column, Figure, Figures, Section, Table, Text


def sections(figures: Mapping[str, Any]) -> list[Section]:
    """Return the sections of a language model.

    Args:
        figures: those of `LanguageModel.evaluate` and `evaluate_further`.
    """
    headline = [
        Figure(
            "Nats a character", f"{figures['nats']:.4f}", f"windows of {figures['window']}, no past before"
        ),
        Figure("Perplexity", f"{figures['perplexity']:.3f}", "e to the nats"),
        Figure("Bits a character", f"{figures['bits']:.4f}"),
        Figure("Test characters", f"{figures['characters']:,}"),
    ]
    return [
        Section("Test figures", [Figures(headline), _beside(figures)]),
        Section("What the past helps", _by_place(figures)),
    ]


def _beside(figures: Mapping[str, Any]) -> Table:
    rows = [[f"this network, windows of {figures['window']} characters without a past", figures["nats"]]]
    if "carried_nats" in figures:
        parts = figures["carried_rows"]
        rows.append(
            [f"this network, state carried through the text ({parts} parts)", figures["carried_nats"]]
        )
    if "ngram_nats" in figures:
        rows.append(
            [f"n-gram model, from the {figures['ngram_order']} characters before", figures["ngram_nats"]]
        )
    cells = [[name, nats, math.exp(min(nats, 700.0))] for name, nats in rows]
    return Table(
        "Beside a model that counts", [Column(""), Column("nats", ".4f"), Column("perplexity", ".3f")], cells
    )


def _by_place(figures: Mapping[str, Any]) -> list[Any]:
    places, nats = zip(*figures["by_place"], strict=True)
    drawn = charts.figure(
        [charts.line("nats", list(places), list(nats), {"color": "--chart-1", "width": 2})],
        charts.layout(320, charts.axis("characters read before, up to"), charts.axis("nats a character")),
    )
    said = (
        f"The first character of a window costs {nats[0]:.2f} nats, the last ones {nats[-1]:.2f}: the longer "
        "the text before, the better the next character can be told."
    )
    return [Text(said), Chart("Nats by the place in the window", drawn, said)]
