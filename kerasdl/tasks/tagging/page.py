"""The sections of a tagger's report: figures, tags and entities, and the sentences with the most errors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.report import terminal
from kerasdl.report.blocks import Block, Column, Figure, Figures, Section, Table, Text, percent


def sections(
    figures: Mapping[str, Any], tags: Sequence[str], mistakes: Mapping[str, np.ndarray] | None
) -> list[Section]:
    """Return the sections of a tagger.

    Args:
        figures: those of `Tagging.evaluate`.
        tags: names of the tags, from number 1 on.
        mistakes: `features` (K, L), bytes, `targets` and `tag_ids` (K, T), `indices` (K,); the worst first.
    """
    found = [Section("Test figures", _headline(figures))]
    if mistakes is not None and len(mistakes["indices"]):
        found.append(Section("Sentences with the most errors", _mistakes(tags, mistakes)))
    return found


def _headline(figures: Mapping[str, Any]) -> list[Block]:
    entities = figures["kind"] == "entities"
    what = "type, first and last token right" if entities else "mean over the tags"
    beside = figures.get("baseline")
    found: list[Block] = [
        Figures(
            [
                Figure("F1 of entities" if entities else "F1 of tags", percent(figures["f1"]), what),
                Figure("Token accuracy", percent(figures["accuracy"])),
                Figure("Sentences all right", percent(figures["sentence_accuracy"])),
                Figure("Test sentences", f"{figures['examples']:,}", f"{figures['tokens']:,} tokens"),
            ]
        )
    ]
    if beside is not None:
        rows = [
            ["this network", figures["f1"], figures["accuracy"]],
            ["the most frequent tag of each word in training", beside["f1"], beside["accuracy"]],
        ]
        columns = [Column(""), Column("F1", ".2%"), Column("token accuracy", ".2%")]
        found.append(Table("Beside a list of words", columns, rows))
    if entities:
        found.append(_scores("Entities", "type", figures["per_entity"]))
    return [*found, _scores("Tags", "tag", figures["per_tag"])]


def _scores(title: str, name: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = [Column(name), *(Column(part, ".4f") for part in ("precision", "recall", "F1"))]
    columns += [Column("true", ",d"), Column("given", ",d")]
    keys = ("name", "precision", "recall", "f1", "support", "given")
    return Table(title, columns, [[row[key] for key in keys] for row in rows], sortable=True)


def _mistakes(tags: Sequence[str], mistakes: Mapping[str, np.ndarray]) -> list[Block]:
    rows = []
    for index, tokens, true, given in zip(
        mistakes["indices"], mistakes["features"], mistakes["targets"], mistakes["tag_ids"], strict=True
    ):
        words = [token.decode(errors="replace") for token in tokens.tolist()]
        marked = [
            word if one == other else f"{word} [{tags[one - 1]} > {tags[other - 1] if other else '-'}]"
            for word, one, other in zip(words, true.tolist(), given.tolist(), strict=False)
            if one
        ]
        wrong = int(((true != given) & (true > 0)).sum())
        rows.append([int(index), wrong, terminal.clean(" ".join(marked))])
    columns = [Column("test example", "d"), Column("wrong tags", "d"), Column("sentence")]
    return [
        Text(
            "A wrong token is followed by [true tag > given tag]. Look here for wrong tags in the data first."
        ),
        Table("Sentences", columns, rows, sortable=True),
    ]
