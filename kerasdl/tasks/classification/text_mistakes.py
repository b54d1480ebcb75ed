"""Answers to texts in a page: the most confident wrong ones, and the attention over words."""

from collections.abc import Mapping, Sequence

import numpy as np

from kerasdl.report import terminal
from kerasdl.report.blocks import Block, Table, Text, Words, percent
from kerasdl.tasks.classification.attention import ATTENTION
from kerasdl.tasks.classification.first_texts import FIRST, NUM_SHOWN

_LONGEST = 600  # characters of a text that are shown
_ABOUT = (
    "Attention over the words: how much each step counts in the average that the head reads. A step's "
    "features also hold what stands around its word."
)
_FORMS = {
    "test example": "d", "text": None, "true class": None, "predicted": None, "confidence": ".1%",
    "words": ",d",
}  # fmt: skip


def blocks(class_names: Sequence[str], mistakes: Mapping[str, np.ndarray]) -> list[Block]:
    """Return a table of the texts.

    Args:
        class_names: in the order of the outputs.
        mistakes: `features` (K,), bytes, `labels` (K,), `class_ids` (K,), `confidence` (K,), `indices` (K,);
            the most confident first.
    """
    texts = [text.decode(errors="replace") for text in mistakes["features"].tolist()]
    true, predicted = (
        [class_names[int(index)] for index in mistakes[name]] for name in ("labels", "class_ids")
    )
    confidence, indices = mistakes["confidence"].tolist(), mistakes["indices"].tolist()
    lengths = [len(text.split()) for text in texts]
    shown = [terminal.clean(text[:_LONGEST]) + ("..." if len(text) > _LONGEST else "") for text in texts]
    rows = list(zip(indices, shown, true, predicted, confidence, lengths, strict=True))
    return [
        Text("The wrong answers that the network was most sure of. Look here for wrong labels first."),
        Table.of("Texts", _FORMS, rows, sortable=True),
    ]


def attention_blocks(class_names: Sequence[str], kept: Mapping[str, np.ndarray]) -> list[Block]:
    """Return the words of a few texts, shaded by attention: of wrong answers, filled up with right ones.

    Args:
        class_names: in the order of the outputs.
        kept: `mistakes` of `blocks` and, with attention, their `words` (K, T), str, and `attention` (K, T);
            what `first_texts.answered` returned.
    """
    wrong, first = _kept(kept), _kept(kept, FIRST)
    right = [row for row in first if row[1] == row[2]][: NUM_SHOWN - len(wrong)]
    if not wrong + right:
        return []
    found: list[Block] = [Text(f"{_ABOUT} {_which(len(wrong), len(right))}")]
    for index, label, class_id, confidence, words, weights in wrong + right:
        true, predicted, sure = class_names[label], class_names[class_id], percent(confidence, 0)
        title = f"Example {index}: true {true}, predicted {predicted}, {sure} sure"
        scored = [(terminal.line(word), weight) for word, weight in zip(words, weights, strict=True) if word]
        found.append(Words(title, scored, signed=False, half=True))
    return found


def _kept(kept: Mapping[str, np.ndarray], before: str = "") -> list[tuple]:
    """Return index, label, class, confidence, words and weights of each text."""
    if before + ATTENTION not in kept:
        return []
    names = ("indices", "labels", "class_ids", "confidence", "words", ATTENTION)
    return list(zip(*(kept[before + name][:NUM_SHOWN].tolist() for name in names), strict=True))


def _which(num_wrong: int, num_right: int) -> str:
    """Return the sentence that says which texts are shown."""
    of_first = f"the first {num_right} test texts" if num_right > 1 else "the first test text"
    if not num_wrong:
        return f"No answer is wrong; shown {'are' if num_right > 1 else 'is'} {of_first}."
    more = f", then {of_first} answered right" if num_right else ""
    return f"Shown are the wrong answers that the network was most sure of{more}."
