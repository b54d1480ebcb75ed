"""The most confident wrong answers to texts, in a page: the texts, and the attention over their words."""

from collections.abc import Mapping, Sequence

import numpy as np

from kerasdl.report import terminal
from kerasdl.report.blocks import Block, Table, Text, Words, percent

_LONGEST = 600  # characters of a text that are shown
_SHADED = 8  # texts whose attention is shown
_FORMS = {
    "test example": "d", "text": None, "true class": None, "predicted": None, "confidence": ".1%",
    "words": ",d",
}  # fmt: skip


def blocks(class_names: Sequence[str], mistakes: Mapping[str, np.ndarray]) -> list[Block]:
    """Return a table of the texts and, where the network has attention, the words of some, shaded by it.

    Args:
        class_names: in the order of the outputs.
        mistakes: `features` (K,), bytes, `labels` (K,), `class_ids` (K,), `confidence` (K,), `indices` (K,);
            the most confident first. With attention `words` (K, T), str, and `attention` (K, T).
    """
    texts = [text.decode(errors="replace") for text in mistakes["features"].tolist()]
    true, predicted = (
        [class_names[int(index)] for index in mistakes[name]] for name in ("labels", "class_ids")
    )
    confidence, indices = mistakes["confidence"].tolist(), mistakes["indices"].tolist()
    lengths = [len(text.split()) for text in texts]
    shown = [terminal.clean(text[:_LONGEST]) + ("..." if len(text) > _LONGEST else "") for text in texts]
    rows = list(zip(indices, shown, true, predicted, confidence, lengths, strict=True))
    found: list[Block] = [
        Text("The wrong answers that the network was most sure of. Look here for wrong labels first."),
        Table.of("Texts", _FORMS, rows, sortable=True),
    ]
    if "attention" not in mistakes:
        return found
    found.append(
        Text(
            "Attention over the words: how much each step counts in the average that the head reads. A "
            "step's features also hold what stands around its word."
        )
    )
    for row in range(min(_SHADED, len(texts))):
        words = [word for word in mistakes["words"][row].tolist() if word]
        weights = mistakes["attention"][row].tolist()[: len(words)]
        sure = percent(confidence[row], 0)
        title = f"Example {indices[row]}: true {true[row]}, predicted {predicted[row]}, {sure} sure"
        scored = [(terminal.line(word), weight) for word, weight in zip(words, weights, strict=True)]
        found.append(Words(title, scored, signed=False, half=True))
    return found
