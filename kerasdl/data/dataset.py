"""What every source of data ends as: three splits that say what is in them."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

#: One tensor, array or spec, or a dict of them by name.
Tree = Any


@dataclasses.dataclass(frozen=True)
class Spec:
    """One tensor of an example.

    Attributes:
        shape: without the batch axis; None where a length differs from example to example.
        dtype: "uint8", "float32", "string", ...
        class_names: name of each class where the tensor is the number of one, int32.
        mean: mean over the training examples, where the tensor is a numeric target: one number, or one for
            each place of its single axis.
        std: standard deviation, likewise.
    """

    shape: tuple[int | None, ...]
    dtype: str
    class_names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def of_numbers(cls, targets: np.ndarray) -> "Spec":
        """Describe numeric training targets, (N,) or (N, K), with their mean and standard deviation."""
        columns = targets.reshape(len(targets), -1).astype(np.float64)
        mean, std = (tuple(part.tolist()) for part in (columns.mean(0), columns.std(0)))
        return cls(targets.shape[1:], targets.dtype.name, mean=mean, std=std)


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """All that a network, an export and a card need to know of the data.

    Attributes:
        inputs: spec of the features, or a dict of specs by name.
        targets: spec of what is to be predicted, or a dict of specs by name.
        assets: content of text files that belong to the data, by file name; a bundle brings them along.
    """

    inputs: Tree
    targets: Tree
    assets: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes of a single target; empty where there are none, or several targets."""
        return self.targets.class_names if isinstance(self.targets, Spec) else ()

    def describe(self) -> dict[str, Any]:
        """Return the specs as JSON values."""
        return {
            "features": _written(self.inputs),
            "targets": _written(self.targets),
            "class_names": list(self.class_names),
        }

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> "DataSpec":
        """Read what `describe` returned; of before there were other targets than the number of a class."""
        names = tuple(described.get("class_names", ()))
        targets = described.get("targets", {"shape": (), "dtype": "int32", "class_names": names})
        return cls(_read(described["features"]), _read(targets))


def _written(specs: Tree) -> dict[str, Any]:
    if isinstance(specs, Mapping):
        return {name: _written(spec) for name, spec in specs.items()}
    found = dataclasses.asdict(specs)
    return {name: value for name, value in found.items() if value or name in ("shape", "dtype")}


def _read(written: Mapping[str, Any]) -> Tree:
    if not isinstance(written.get("dtype"), str):
        return {name: _read(spec) for name, spec in written.items()}
    optional = {name: tuple(written.get(name, ())) for name in ("class_names", "mean", "std")}
    return Spec(tuple(written["shape"]), written["dtype"], **optional)


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
class Dataset:
    """Training, validation and test examples of one source.

    Attributes:
        train: examples to train on.
        validation: examples to choose by: the best epoch, the best trial.
        test: examples to look at once.
        spec: what is in each example.
        fingerprint: SHA-256 over content and order of all splits: equal fingerprints mean equal data.
        notes: sentences for the user, such as how many bad images were skipped.
    """

    train: Split
    validation: Split
    test: Split
    spec: DataSpec
    fingerprint: str
    notes: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Return what a receipt and a card say of the data."""
        return {
            "fingerprint": self.fingerprint,
            **self.spec.describe(),
            "examples": {name: len(getattr(self, name)) for name in ("train", "validation", "test")},
        }
