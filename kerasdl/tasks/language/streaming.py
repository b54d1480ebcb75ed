"""Reading texts step by step, with the states in the caller's hands."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from kerasdl.data.passes import Batches
from kerasdl.data.trees import Tree
from kerasdl.inference.endpoint import Arrays
from kerasdl.inference.predictor import Predictor
from kerasdl.tasks.language import figures

#: What `step` prefixes the states with that it returns: equal names of inputs and outputs break tf2onnx.
NEXT = "next_"
STEP = "step"

_LEAST_ROWS = 16  # parts that a text is read in at the same time
_LONGEST = 4096  # characters of such a part

Step = Callable[[Mapping[str, np.ndarray]], Arrays]


def zeros(specs: Mapping[str, tuple], count: int) -> Arrays:
    """Return the states before the first character of `count` texts.

    Args:
        specs: shape and dtype of each input of `step`, as `Predictor.inputs` has them.
        count: number of texts.
    """
    return {
        name: np.zeros((count, *shape[1:]), dtype) for name, (shape, dtype) in specs.items() if name != "ids"
    }


def read(step: Step, ids: np.ndarray, states: Arrays) -> Iterator[np.ndarray]:
    """Yield the logits (B, vocabulary_size) after each character of texts (B, T)."""
    for place in range(ids.shape[1]):
        outputs = step({"ids": ids[:, place].astype(np.int32), **states})
        states = {name: outputs[NEXT + name] for name in states}
        yield outputs["logits"]


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
    states = zeros(predictor.inputs[STEP], rows)
    logits = read(lambda given: predictor.call(STEP, given), inputs, states)
    nats = [figures.nats_of(part, targets[:, place]) for place, part in enumerate(logits)]
    return {"carried_nats": float(np.mean(nats, dtype=np.float64)), "carried_rows": rows}


def against_full_pass(step: Step, windows: Tree, full: Callable, states_of: Callable) -> dict[str, float]:
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
    logits = np.stack(list(read(step, inputs, states_of(len(text)))), axis=1)
    found = figures.compare({"logits": full(inputs)}, {"logits": logits}, targets)
    return {f"stream_{name}": value for name, value in found.items()}


_CHECKED = 501  # 500 steps, and what comes after the last
