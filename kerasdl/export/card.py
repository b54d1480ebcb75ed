"""`card.json`: what a bundle holds, what was measured, and what is needed to check it again."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.errors import RunFailedError, UsageError

FILE_NAME = "card.json"


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write the card of a bundle."""
    (folder / FILE_NAME).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def read_card(folder: str | Path) -> dict[str, Any]:
    """Read the card of a bundle.

    Raises:
        UsageError: when the folder is no bundle.
        RunFailedError: when the card is damaged.
    """
    path = Path(folder) / FILE_NAME
    if not path.is_file():
        raise UsageError(
            f"{folder} is no bundle (no {FILE_NAME} in it). Give a folder like exported/lenet5/1."
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunFailedError(f"{path} is damaged: {error}. Export the bundle again.") from error


def hash_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size in bytes and SHA-256 of every file below a folder, by relative path with slashes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": hash_file(path)}
        for path in paths
    }


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
