"""Describes a bundle to whatever generates files from it: read from `card.json`, without TensorFlow."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kerasdl.errors import UsageError
from kerasdl.files import damaged, read_json
from kerasdl.runs.cards import DeployedCard

_CARD = "card.json"
_REPAIR = "Export the bundle again."
#: What a server needs of a SavedModel, besides `assets/` and the like.
_SAVED_MODEL = re.compile(r"(saved_model|fingerprint)\.pb|(variables|assets|assets\.extra)/.*")
_BATCH_SIZES = (1, 2, 4, 8, 16, 32)  # where an earlier version did not record them
_WARM_UP = "assets.extra/tf_serving_warmup_requests"


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output of an endpoint.

    Attributes:
        name: its name in every format.
        shape: its size on each axis, None where that is open; the first axis is the batch.
        dtype: "uint8", "int32", "int64", "float32", "bool" or "string", and the like.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    @property
    def is_batch(self) -> bool:
        """Whether its first axis is open, so that a server may put requests together."""
        return bool(self.shape) and self.shape[0] is None


@dataclasses.dataclass(frozen=True)
class Called:
    """An endpoint.

    Attributes:
        name: the signature's name: "serving_default".
        formats: formats that have it: "saved_model", "tflite", "onnx".
        inputs: what it takes, in order.
        outputs: what it gives; empty where an earlier version did not record it.
        derived: outputs that TFLite files leave out.
        length: steps that an open axis behind the batch may have, to show and to warm up.
    """

    name: str
    formats: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    derived: tuple[str, ...] = ()
    length: int = 16

    @property
    def takes_batches(self) -> bool:
        """Whether every input and output has an open first axis, as batching servers need it."""
        return all(tensor.is_batch for tensor in (*self.inputs, *self.outputs))

    def example_shape(self, tensor: Tensor, batch: int = 1) -> tuple[int, ...]:
        """Return the shape of a tensor of some examples; an open axis gets `length` steps."""
        first, *others = tensor.shape or (None,)
        return (batch if first is None else first, *(self.length if n is None else n for n in others))


@dataclasses.dataclass(frozen=True)
class Described:
    """A version of a bundle, and what lies beside it.

    Attributes:
        folder: the version's folder, such as `exported/lenet5/3`.
        name: what a server calls it: the name of the folder of versions, as far as an URL can hold that.
        version: its number; 1 where the folder is not named by one.
        newest: number of the newest version beside it, perhaps itself.
        endpoints: what can be called.
        labels: class names in the order of the outputs; empty where there are none.
        batch_sizes: sizes that requests are padded to, ascending; those of the warm-up.
        files: exported files of the bundle by their kind: {"lenet5.onnx": "onnx"}.
        contents: every file of the bundle, by relative path.
        card: content of `card.json`, for what else it tells.
    """

    folder: Path
    name: str
    version: int
    newest: int
    endpoints: tuple[Called, ...]
    labels: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    files: Mapping[str, str]
    contents: tuple[str, ...]
    card: Mapping[str, Any]

    @property
    def saved_model(self) -> tuple[str, ...]:
        """Files of the SavedModel by relative path; empty without one."""
        if "saved_model.pb" not in self.contents:
            return ()
        return tuple(file for file in self.contents if _SAVED_MODEL.fullmatch(file))

    @property
    def is_numbered(self) -> bool:
        """Whether the folder is named by its version, as servers want it."""
        return self.folder.name == str(self.version)

    @property
    def has_warm_up(self) -> bool:
        """Whether it holds requests that TF Serving answers before anybody else's."""
        return _WARM_UP in self.contents

    def endpoints_of(self, kind: str) -> tuple[Called, ...]:
        """Return the endpoints that a format has: "saved_model", "tflite" or "onnx"."""
        return tuple(endpoint for endpoint in self.endpoints if kind in endpoint.formats)

    def onnx_file(self, endpoint: Called) -> str | None:
        """Return the name of an endpoint's ONNX file, None where there is none."""
        rows = (row for row in self.card["artefacts"] if row["kind"] == "onnx" and "error" not in row)
        return next((row["file"] for row in rows if endpoint.name in row["endpoints"]), None)


#: A file to write: its text, its bytes, or the path of a file of the bundle that is copied.
Content = str | bytes | Path
#: Takes a bundle, and the folder the files will lie in; returns them by relative path.
Generator = Callable[[Described, Path], Mapping[str, Content]]


def describe(path: str | Path) -> Described:
    """Describe a bundle, or the newest one in a folder of versions.

    Raises:
        UsageError: when the folder is neither, or an earlier version wrote it, without its endpoints.
        RunFailedError: when the card is damaged.
    """
    folder = _find(Path(path))
    card = read_json(folder / _CARD, _REPAIR, shape=DeployedCard)
    _check_names(folder / _CARD, card)
    if not card.get("endpoints"):
        raise UsageError(f"{folder / _CARD} does not tell how the bundle is called. Export the run again.")
    is_numbered = folder.name.isdecimal()
    versions = _versions(folder.parent) if is_numbered else ()
    name = folder.parent.name if is_numbered else folder.name
    return Described(
        folder=folder,
        name=re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "model",
        version=int(folder.name) if is_numbered else 1,
        newest=max((int(version.name) for version in versions), default=1),
        endpoints=tuple(_called(endpoint) for endpoint in card["endpoints"]),
        labels=tuple(card.get("labels") or ()),
        batch_sizes=tuple(sorted(card.get("batch_sizes") or _BATCH_SIZES)),
        files={row["file"]: row["kind"] for row in card["artefacts"] if "error" not in row},
        contents=tuple(sorted(card["files"])),
        card=card,
    )


def _check_names(path: Path, card: Mapping[str, Any]) -> None:
    """Raise a RunFailedError for names that lead elsewhere: files and scripts are made of them."""
    names = [*card["files"], *(row["file"] for row in card["artefacts"])]
    wrong = [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]
    endpoints = (endpoint["name"] for endpoint in card.get("endpoints", ()))
    wrong += [name for name in endpoints if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII)]
    if wrong:
        raise damaged(path, f"it names {wrong[0]!r}", _REPAIR)


def _find(path: Path) -> Path:
    """Return the folder of the bundle that is meant, with no links in its path."""
    if path.is_file() and (path.parent / _CARD).is_file():
        path = path.parent
    if (path / _CARD).is_file():
        return path.resolve()
    if versions := _versions(path):
        return max(versions, key=lambda version: int(version.name)).resolve()
    what = "is neither a bundle nor a folder of bundles" if path.exists() else "does not exist"
    raise UsageError(f"{path} {what}. Give a folder like exported/lenet5 or exported/lenet5/1.")


def _versions(parent: Path) -> list[Path]:
    """Return the bundles in a folder that are named by a number."""
    if not parent.is_dir():
        return []
    return [path for path in parent.iterdir() if path.name.isdecimal() and (path / _CARD).is_file()]


def _called(endpoint: Mapping[str, Any]) -> Called:
    inputs, outputs = (
        tuple(
            Tensor(name, tuple(tensor["shape"]), tensor["dtype"])
            for name, tensor in endpoint.get(part, {}).items()
        )
        for part in ("inputs", "outputs")
    )
    return Called(
        name=endpoint["name"],
        formats=tuple(endpoint.get("formats", ())),
        inputs=inputs,
        outputs=outputs,
        derived=tuple(endpoint.get("derived", ())),
        length=endpoint.get("phone_length", 16),
    )
