"""Figures of a tagger: tokens, entities and sentences that are right."""

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.inference.endpoint import Arrays, Limits, by_kind
from kerasdl.tasks.tagging.entities import Scheme

TAGS = "tag_ids"
PROBABILITIES = "probabilities"


def figures(given: np.ndarray, targets: np.ndarray, tags: Sequence[str]) -> dict[str, Any]:
    """Return the figures of a split.

    Args:
        given: numbers of tags (N, T), from 1 on, 0 behind the end.
        targets: those that are true, likewise.
        tags: names of the tags, from number 1 on.

    Returns:
        `accuracy` of the tokens, `f1` (of entities where the tags mark any, else the mean over tags that a
        token has or got), with `precision` and `recall` of entities; `sentence_accuracy`: sentences without a
        wrong tag; `examples`, `tokens`, `kind` ("entities" or "tags"), and rows `per_tag` and `per_entity` of
        name, precision, recall, f1, found, given and support.
    """
    mask, scheme = targets > 0, Scheme.of(tags)
    right = (given == targets) & mask
    of_tags = _rows(tags, *_token_counts(given[mask], targets[mask], len(tags)))
    of_entities = _rows(scheme.types, *_entity_counts(given * mask, targets, scheme)) if scheme.types else []
    found = {
        "accuracy": float(right.sum() / max(1, mask.sum())),
        "sentence_accuracy": float((right == mask).all(axis=1).mean()),
        "examples": len(targets),
        "tokens": int(mask.sum()),
        "kind": "entities" if scheme.types else "tags",
        "per_tag": of_tags,
        "per_entity": of_entities,
    }
    if not scheme.types:
        met = [row["f1"] for row in of_tags if row["support"] or row["given"]]
        return {**found, "f1": float(np.mean(met)) if met else 0.0}
    counts = [sum(row[name] for row in of_entities) for name in ("found", "given", "support")]
    return {**found, **dict(zip(("precision", "recall", "f1"), _scores(*counts), strict=True))}


def short(given: np.ndarray, targets: np.ndarray, tags: Sequence[str]) -> dict[str, Any]:
    """Return the few figures that a bundle keeps of each file."""
    found = figures(given, targets, tags)
    return {name: found[name] for name in ("accuracy", "f1", "sentence_accuracy", "examples")}


def aligned(targets: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return targets with as many steps as the tags have, and these: more steps are padding."""
    steps = given.shape[1]
    targets = targets[:, :steps]
    return np.pad(targets, ((0, 0), (0, steps - targets.shape[1]))), given


def unread_is_wrong(targets: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and tags with as many steps: there is no tag, 0, where a file reads no further."""
    missing = max(0, targets.shape[1] - given.shape[1])
    return aligned(targets, np.pad(given, ((0, 0), (0, missing))))


def _scores(found: int, given: int, true: int) -> tuple[float, float, float]:
    """Return precision, recall and F1."""
    return found / max(1, given), found / max(1, true), 2 * found / max(1, given + true)


def _rows(names: Sequence[str], found, given, true) -> list[dict[str, Any]]:
    rows = []
    for name, *counts in zip(names, found, given, true, strict=True):
        precision, recall, f1 = _scores(*map(int, counts))
        scores = {"precision": precision, "recall": recall, "f1": f1}
        numbers = dict(zip(("found", "given", "support"), map(int, counts), strict=True))
        rows.append({"name": name, **scores, **numbers})
    return rows


def _token_counts(given: np.ndarray, true: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
    parts = (true[given == true], given, true)
    return tuple(np.bincount(part, minlength=size + 1)[1 : size + 1] for part in parts)


def _entity_counts(given: np.ndarray, targets: np.ndarray, scheme: Scheme) -> tuple[list[int], ...]:
    counts = [collections.Counter() for _ in range(3)]
    for row, true_row in zip(given, targets, strict=True):
        marked, true = (set(scheme.entities(numbers.tolist())) for numbers in (row, true_row))
        for counter, entities in zip(counts, (marked & true, marked, true), strict=True):
            counter.update(kind for kind, _, _ in entities)
    return tuple([counter[kind] for kind in scheme.types] for counter in counts)


def compare(expected: Arrays, actual: Arrays, targets: np.ndarray) -> dict[str, float]:
    """Compare the outputs of a file with the reference's on the same sentences.

    Returns:
        `max_difference` of probabilities, those behind the end of a sentence too; over tokens the mean
        `total_variation` (half of the sum of the differences over tags, 0..1) and the part with the same tag
        (`agreement`); `accuracy_change`: how far the file's accuracy lies above (+) or below (-) the
        reference's, and `accuracy_drop`: how far below beyond chance, twice the square root of the changed
        tags. All are of the tokens that both read.
    """
    difference = np.abs(expected[PROBABILITIES] - actual[PROBABILITIES])
    targets, before = aligned(targets, expected[TAGS])
    after, mask = actual[TAGS], targets > 0
    same, count = (before == after) & mask, max(1, int(mask.sum()))
    change = float(((after == targets) & mask).sum() - ((before == targets) & mask).sum()) / count
    outside = (after != before) & (before == 0)  # a tag where there is no token
    chance = 2 * np.sqrt(count - same.sum()) / count
    return {
        "max_difference": np.inf if outside.any() else float(difference.max(initial=0)),
        "total_variation": float(difference.sum(axis=-1)[mask].sum() / 2 / count),
        "agreement": float(same.sum() / count),
        "accuracy_change": change,
        "accuracy_drop": float(max(0.0, -change - chance)),
    }


def tolerances(kind: str) -> Limits:
    """Return the limits on the figures of `compare`, by kind of file."""
    return by_kind(
        kind,
        exact={"max_difference": ("<=", 1e-4), "agreement": (">=", 0.999), "accuracy_drop": ("<=", 0.002)},
        float16={"max_difference": ("<=", 5e-2), "accuracy_drop": ("<=", 0.002)},
        quantized={"total_variation": ("<=", 0.05), "accuracy_drop": ("<=", 0.002)},
    )


def sentence_figures(given: np.ndarray, targets: np.ndarray) -> Mapping[str, np.ndarray]:
    """Return how many tokens of each sentence are right, and how many there are, each (N,) int32."""
    mask = targets > 0
    return {
        "right": ((given == targets) & mask).sum(axis=1).astype(np.int32),
        "tokens": mask.sum(axis=1).astype(np.int32),
    }
