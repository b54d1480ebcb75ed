"""Reading texts step by step, with the states in the caller's hands."""

from collections.abc import Callable

import numpy as np

from kerasdl.data.passes import Batches
from kerasdl.data.trees import Tree
from kerasdl.inference import steps
from kerasdl.inference.predictor import Predictor
from kerasdl.tasks.language import figures

IDS = "ids"  # the input of `step` that is no state
_LEAST_ROWS = 16  # parts that a text is read in at the same time
_LONGEST = 4096  # characters of such a part


def whole_text(batches: Batches) -> np.ndarray | None:
    """Return the ids (num_ids,) of a split whose windows follow each other; None where they do not."""
    parts: list[np.ndarray] = []
    last = None
    for features, targets, _ in batches():
        ends = np.concatenate([[features[0, 0] if last is None else last], targets[:, -1]])
        if not np.array_equal(features[:, 0], ends[:-1]):
            return None
        parts.append(features.reshape(-1))
        last = targets[-1, -1]
    return np.concatenate([*parts, [last]]).astype(np.int32) if parts else None


def carried(predictor: Predictor, ids: np.ndarray) -> dict[str, float | int]:
    """Return the figures of a text whose state is carried on from its first to its last character.

    Args:
        predictor: has the endpoint `step`.
        ids: the text (num_ids,).

    Returns:
        `carried_nats`, and `carried_rows`: the text is read in so many parts at the same time, each of which
        begins without a past.
    """
    rows = max(1, min(_LEAST_ROWS, len(ids) // 64), -(-len(ids) // _LONGEST))
    length = (len(ids) - 1) // rows
    inputs = ids[: rows * length].reshape(rows, length)
    targets = ids[1 : rows * length + 1].reshape(rows, length)
    states = steps.zeros_of(predictor.inputs[steps.STEP], IDS, rows)
    found = steps.read(lambda given: predictor.call(steps.STEP, given), IDS, inputs.astype(np.int32), states)
    nats = [figures.nats_of(part["logits"], targets[:, place]) for place, part in enumerate(found)]
    return {"carried_nats": float(np.mean(nats, dtype=np.float64)), "carried_rows": rows}


def against_full_pass(
    step: steps.Step, windows: Tree, full: Callable, states_of: Callable
) -> dict[str, float]:
    """Compare steps with one pass over the whole text.

    Args:
        step: calls the endpoint `step`.
        windows: ids (N, T) that follow each other.
        full: returns the logits of texts (B, T) in one pass.
        states_of: returns the states before the first character of a number of texts.

    Returns:
        The figures of `figures.compare`, with `stream_` before their names.
    """
    text = windows.reshape(-1)[:_CHECKED].reshape(1, -1)
    inputs, targets = text[:, :-1], text[:, 1:]
    found = steps.read(step, IDS, inputs.astype(np.int32), states_of(len(text)))
    logits = np.stack([part["logits"] for part in found], axis=1)
    compared = figures.compare({"logits": full(inputs)}, {"logits": logits}, targets)
    return {f"stream_{name}": value for name, value in compared.items()}


_CHECKED = 501  # 500 steps, and what comes after the last
