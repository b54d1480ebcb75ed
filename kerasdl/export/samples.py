"""Keeps a few test examples in a bundle, with the answers to them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.dataset import Tree
from kerasdl.data.trees import map_leaves
from kerasdl.errors import UsageError
from kerasdl.export.artefact import Artefact
from kerasdl.export.card import FILE_NAME, REPAIR, decode_array, encode_array
from kerasdl.export.references import References
from kerasdl.files import parsing
from kerasdl.inference.answers import caller
from kerasdl.inference.worker.client import Worker

_SAMPLE_BYTES = 2**17


def embed(
    samples: Mapping[str, Any],
    artefacts: Sequence[Artefact],
    folder: Path,
    references: References,
    worker: Worker,
) -> dict[str, Any]:
    """Return samples as JSON, with the outputs of Keras and of each artefact.

    An artefact is later compared with its own answers: a quantized one differs from Keras by design, and on a
    few samples that says nothing.
    """
    names = dict.fromkeys(name for artefact in artefacts for name in artefact.endpoints)
    samples = _few(samples, references, next(iter(names)))
    inputs = {name: references.endpoints[name].inputs_of(samples["features"], 0) for name in names}
    answers = {name: {"keras": references.call(name, inputs[name])} for name in names}
    predictor = None
    for artefact in artefacts:
        del predictor  # its memory is free before the next one is opened
        predictor = artefact.open(folder, worker)
        for name in artefact.endpoints:
            answers[name][artefact.file] = caller(predictor, name)(inputs[name])
    return {
        "labels": _encode_tree(samples["targets"]),
        "endpoints": {
            name: {
                "inputs": _encode(inputs[name]),
                "outputs": {file: _encode(outputs) for file, outputs in answers[name].items()},
            }
            for name in names
        },
    }


def _few(samples: Mapping[str, Any], references: References, endpoint: str) -> dict[str, Any]:
    """Return as many samples as have answers of 128 kB together, such as one text; one at least."""
    answers = references.call(endpoint, references.endpoints[endpoint].inputs_of(samples["features"], 0))
    size = sum(value[:1].nbytes for value in answers.values())
    kept = max(1, _SAMPLE_BYTES // max(1, size))
    return {name: map_leaves(lambda part: part[:kept], tree) for name, tree in samples.items()}


def inputs_of(card: Mapping[str, Any], endpoint: str) -> dict[str, np.ndarray]:
    """Return the test examples that a bundle holds as inputs of an endpoint, (N, ...) by name.

    Raises:
        UsageError: when it holds none.
    """
    if card["samples"] is None:
        raise UsageError(
            f"The bundle of {card['name']} holds no examples, and its data is not here. Say with --data "
            "where that is."
        )
    with parsing(Path(FILE_NAME), REPAIR):
        return decode(card["samples"]["endpoints"][endpoint]["inputs"])


def _encode(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encode_array(np.asarray(value)) for name, value in arrays.items()}


def decode(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return arrays by name, as `embed` keeps them."""
    return {name: decode_array(value) for name, value in arrays.items()}


def _encode_tree(tree: Tree) -> dict[str, Any]:
    return {"by_name": _encode(tree)} if isinstance(tree, Mapping) else encode_array(np.asarray(tree))


def decode_tree(encoded: Mapping[str, Any]) -> Tree:
    """Return a single array or arrays by name, as `embed` keeps them."""
    return decode(encoded["by_name"]) if "by_name" in encoded else decode_array(encoded)
