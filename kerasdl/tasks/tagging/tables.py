"""What `kerasdl evaluate` prints of a tagger."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table


def tables(figures: Mapping[str, Any]) -> list[Any]:
    """Return the figures of `kerasdl.tasks.tagging.figures.figures` as renderables of rich."""
    rows = {
        "sentences": f"{figures['examples']:,}",
        "tokens": f"{figures['tokens']:,}",
        f"F1 of {figures['kind']}": f"{figures['f1']:.2%}",
        "token accuracy": f"{figures['accuracy']:.2%}",
        "sentences all right": f"{figures['sentence_accuracy']:.2%}",
    }
    headline = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        headline.add_row(name, value)
    found = [headline]
    if figures["per_entity"]:
        found.append(_scores("Entities", "type", figures["per_entity"]))
    return [*found, _scores("Tags", "tag", figures["per_tag"])]


def _scores(title: str, name: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False
    )
    table.add_column(name)
    for column in ("precision", "recall", "F1", "true"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        numbers = [f"{row[key]:.4f}" for key in ("precision", "recall", "f1")]
        table.add_row(escape(row["name"]), *numbers, f"{row['support']:,}")
    return table
