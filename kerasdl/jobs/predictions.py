"""The answers of `predict` for files and texts: a list, with the outputs behind it."""

from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex, overload

import numpy as np

from kerasdl.data.dataset import Tree
from kerasdl.errors import UsageError, did_you_mean
from kerasdl.inference.endpoint import Arrays
from kerasdl.report import cell, pictures
from kerasdl.report.blocks import Column, Picture, Table

_MOST_PICTURES = 20


class Predictions(list):
    """Answers, one dict for each file or text: `found[0]["class"]`.

    The outputs of all are there by name: `found["probabilities"]` is (N, K). In a notebook it is a table.

    Args:
        answers: what the task says of each example.
        outputs: arrays (N, ...) by name.
        features: raw examples, to show those that are pictures.
    """

    def __init__(self, answers: Sequence[Mapping[str, Any]], outputs: Arrays, features: Sequence[Tree]):
        super().__init__(answers)
        self.outputs = outputs
        self._pictures = [
            one for one in features[:_MOST_PICTURES]
            if isinstance(one, np.ndarray) and one.dtype == np.uint8 and pictures.is_picture(one.shape)
        ]  # fmt: skip

    @overload
    def __getitem__(self, key: str) -> np.ndarray: ...
    @overload
    def __getitem__(self, key: SupportsIndex) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, key: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, key):
        if not isinstance(key, str):
            return super().__getitem__(key)
        if key not in self.outputs:
            raise UsageError(
                f"There is no output {key!r}; there are {', '.join(self.outputs)}."
                + did_you_mean(key, self.outputs)
            )
        return self.outputs[key]

    def _repr_html_(self) -> str:
        names = list(dict.fromkeys(name for answer in self for name in answer if name != "top"))
        columns = [Column("")] * bool(self._pictures) + [Column(name, _form(self, name)) for name in names]
        rows = []
        for index, answer in enumerate(self):
            seen = self._pictures[index] if index < len(self._pictures) else None
            drawn = None if seen is None else Picture(*pictures.data_uri(seen, reduced=64), "", "")
            rows.append([drawn] * bool(self._pictures) + [answer.get(name) for name in names])
        count = f"{len(self):,} prediction{'' if len(self) == 1 else 's'}"
        return cell.render(count, [Table("", columns, rows)])


def _form(answers: Sequence[Mapping[str, Any]], name: str) -> str | None:
    """Return how numbers of a column are written; None for a column of texts."""
    values = [answer[name] for answer in answers if name in answer]
    if not all(isinstance(value, (int, float)) for value in values):
        return None
    return ".1%" if name == "probability" else ".4g"


def add_top(
    answers: Sequence[dict[str, Any]], probabilities: np.ndarray, labels: Sequence[str], count: int
) -> None:
    """Add the most probable classes under `top` to the answers (N) with these probabilities (N, K)."""
    for answer, row in zip(answers, probabilities, strict=True):
        best = np.argsort(-row, kind="stable")[:count]
        answer["top"] = [{"class": labels[index], "probability": float(row[index])} for index in best]


def joined(parts: list[np.ndarray]) -> np.ndarray:
    """Return the outputs of batches as one array; the steps of sequences differ from batch to batch."""
    if len({part.shape[1:] for part in parts}) > 1:
        steps = max(part.shape[1] for part in parts)
        parts = [
            np.pad(part, [(0, 0), (0, steps - part.shape[1]), *[(0, 0)] * (part.ndim - 2)]) for part in parts
        ]
    return np.concatenate(parts)
