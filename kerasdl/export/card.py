"""`card.json`: content, measurements and hashes of a bundle."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kerasdl.errors import UsageError
from kerasdl.export.spec import ExportSpec
from kerasdl.files import read_json
from kerasdl.inference.endpoint import Endpoint, signature
from kerasdl.machine import versions
from kerasdl.runs.cards import Card

FILE_NAME = "card.json"

REPAIR = "Export the bundle again."


def make_card(
    spec: ExportSpec,
    info: Mapping[str, Any],
    rows: list[dict[str, Any]],
    *,
    examples: int,
    dynamic_batch: bool,
    tflite_io: str,
    tflite_unroll: bool = False,
) -> dict[str, Any]:
    """Return a card without its hashes and samples.

    Args:
        spec: what was exported.
        info: what the card tells besides: recipe, data, metrics, labels, endpoints.
        rows: one for each artefact.
        examples: number of examples that the artefacts were compared on.
        dynamic_batch: whether the TFLite files take any batch size.
        tflite_io: type of inputs and outputs of int8 files.
        tflite_unroll: whether the TFLite files have no loops. Defaults to False.
    """
    return {
        "name": spec.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **info,
        "assets": sorted(spec.assets),
        "dynamic_batch": dynamic_batch,
        "tflite_io": tflite_io,
        "tflite_unroll": tflite_unroll,
        "examples": examples,
        "artefacts": rows,
        "versions": versions(),
    }


def describe(endpoint: Endpoint) -> dict[str, Any]:
    """Return name, formats, inputs and outputs of an endpoint, as JSON values."""
    function = tf.function(endpoint.function, input_signature=signature(endpoint), autograph=False)
    outputs = function.get_concrete_function().structured_outputs
    length = {} if endpoint.phone_length is None else {"phone_length": endpoint.phone_length}
    return {
        "name": endpoint.name,
        "formats": list(endpoint.formats),
        "inputs": {name: _describe_tensor(spec) for name, spec in endpoint.inputs.items()},
        "outputs": {name: _describe_tensor(spec) for name, spec in outputs.items()},
        "derived": [name for name in endpoint.derived if name in outputs],
        **length,
    }


def _describe_tensor(spec: tf.TensorSpec) -> dict[str, Any]:
    return {"shape": spec.shape.as_list(), "dtype": spec.dtype.name}


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write the card of a bundle."""
    (folder / FILE_NAME).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def read_card(folder: str | Path) -> dict[str, Any]:
    """Read the card of a bundle.

    Raises:
        UsageError: when the folder is not a bundle.
        RunFailedError: when the card is damaged.
    """
    path = Path(folder) / FILE_NAME
    if not path.is_file():
        raise UsageError(
            f"{folder} is not a bundle (no {FILE_NAME} in it). Give a folder like exported/lenet5/1."
        )
    return read_json(path, REPAIR, shape=Card)


def assets_of(folder: Path, card: Mapping[str, Any]) -> dict[str, str]:
    """Return the content of the text files that a bundle's network goes with, by name."""
    names = [name for name in card.get("assets", ()) if name in card["files"] and (folder / name).is_file()]
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


def encode_array(array: np.ndarray) -> dict[str, Any]:
    """Return an array as JSON: dtype, shape, and its little-endian bytes in base64.

    Strings are a list of their bytes in base64 instead.
    """
    if array.dtype.kind in "OSU":
        values = (value if isinstance(value, bytes) else str(value).encode() for value in array.flat)
        strings = [base64.b64encode(value).decode() for value in values]
        return {"dtype": "string", "shape": list(array.shape), "base64": strings}
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    text = base64.b64encode(little.tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "base64": text}


def decode_array(encoded: Mapping[str, Any]) -> np.ndarray:
    """Return the array that `encode_array` was given."""
    if encoded["dtype"] == "string":
        strings = [base64.b64decode(text) for text in encoded["base64"]]
        return np.array(strings, object).reshape(encoded["shape"])
    dtype = np.dtype(encoded["dtype"]).newbyteorder("<")
    array = np.frombuffer(base64.b64decode(encoded["base64"]), dtype)
    return array.reshape(encoded["shape"]).astype(encoded["dtype"])
