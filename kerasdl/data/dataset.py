"""What every source of data ends as: three splits that say what is in them."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np


@dataclasses.dataclass(frozen=True)
class Spec:
    """Shape (without the batch axis) and dtype of one part of an example."""

    shape: tuple[int | None, ...]
    dtype: str


class Split(Protocol):
    """A fixed, ordered set of labelled examples. Example `i` is the same one in every process."""

    labels: np.ndarray  # (N,) int32

    def __len__(self) -> int: ...


@dataclasses.dataclass(frozen=True, eq=False)
class ArraySplit:
    """Examples that lie in memory: features (N, ...) of the source's raw dtype, labels (N,) int32."""

    features: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True, eq=False)
class FileSplit:
    """Examples that lie one to a file and are read when they are needed.

    `read` is a TensorFlow function from a scalar path to the features of one example.
    """

    paths: tuple[Path, ...]
    labels: np.ndarray
    read: Callable[[Any], Any]

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True, eq=False)
class StreamSplit:
    """Examples that can only be read in order, from the first on.

    `open` returns a fresh `tf.data.Dataset` of (features, label) pairs in one fixed order.
    """

    open: Callable[[], Any]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True, eq=False)
class Splits:
    """Train, validation and test data of one source.

    `fingerprint` is a SHA-256 over the content and order of all three splits: equal fingerprints mean
    equal data. `notes` are sentences for the user (for example how many bad images were skipped).
    """

    train: Split
    validation: Split
    test: Split
    features: Spec
    labels: Spec
    class_names: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Return what a receipt and a card say of the data."""
        return {
            "fingerprint": self.fingerprint,
            "features": dataclasses.asdict(self.features),
            "class_names": list(self.class_names),
            "examples": {name: len(getattr(self, name)) for name in ("train", "validation", "test")},
        }


def read_spec(fields: Mapping[str, Any]) -> Spec:
    """Read a spec that was written as JSON."""
    return Spec(tuple(fields["shape"]), fields["dtype"])


def same_source(recorded: Any, given: Any) -> Any:
    """Return the source that was recorded, at the place that is given now.

    So fractions, seeds and sizes are those of the training. A source of another type is taken as it is given.
    """
    if type(recorded) is not type(given):
        return given
    place = {name: getattr(given, name) for name in ("path", "name") if hasattr(given, name)}
    return dataclasses.replace(recorded, **place)
