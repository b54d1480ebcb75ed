"""Specifications of examples, and data sets of three splits that follow them."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from kerasdl.data.splits import Split
from kerasdl.data.trees import Tree, map_leaves
from kerasdl.preprocessing.picture import AS_BEFORE, Picture

_OPTIONAL = ("class_names", "mean", "std", "columns")


@dataclasses.dataclass(frozen=True)
class Spec:
    """One tensor of an example.

    Attributes:
        shape: without the batch axis; None where a length differs from example to example.
        dtype: "uint8", "float32", "string", ...
        class_names: name of each class where the tensor is the number of one, int32.
        mean: mean over the training examples, where the tensor is numeric: one number, or one for each place
            of its last axis; equal specs may differ in it.
        std: standard deviation, likewise.
        columns: names of the places of the last axis, where it goes over columns of a table.
        step: distance of the places of the first axis, where that is time: "1 hour".
        picture: how image files become such a tensor, where it is an image; equal specs may differ in it.
    """

    shape: tuple[int | None, ...]
    dtype: str
    class_names: tuple[str, ...] = ()
    mean: tuple[float, ...] = dataclasses.field(default=(), compare=False)
    std: tuple[float, ...] = dataclasses.field(default=(), compare=False)
    columns: tuple[str, ...] = ()
    step: str = ""
    picture: Picture = dataclasses.field(default=Picture(), compare=False)

    @classmethod
    def of_numbers(cls, targets: np.ndarray) -> "Spec":
        """Describe numeric training targets, (N,) or (N, K), with their mean and standard deviation."""
        columns = targets.reshape(len(targets), -1).astype(np.float64)
        mean, std = (tuple(part.tolist()) for part in (columns.mean(0), columns.std(0)))
        return cls(targets.shape[1:], targets.dtype.name, mean=mean, std=std)

    @property
    def is_image(self) -> bool:
        """Whether the tensor is an image: (height, width, 1 or 3) uint8."""
        shape = self.shape
        return self.dtype == "uint8" and len(shape) == 3 and shape[-1] in (1, 3) and None not in shape

    def describe(self) -> dict[str, Any]:
        """Return the spec as JSON."""
        optional = {name: getattr(self, name) for name in _OPTIONAL}
        found: dict[str, Any] = {name: list(values) for name, values in optional.items() if values}
        if self.step:
            found["step"] = self.step
        if self.is_image and self.picture != AS_BEFORE:
            found["picture"] = dataclasses.asdict(self.picture)
        return {"shape": self.shape, "dtype": self.dtype, **found}


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """Specification of the examples, as networks, exports and cards need it.

    Attributes:
        inputs: spec of the features, or a dict of specs by name.
        targets: spec of the target to be predicted, or a dict of specs by name.
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
        """Return inputs and targets as JSON; the number of a class is described by its names alone."""
        described = {
            "features": map_leaves(Spec.describe, self.inputs),
            "class_names": list(self.class_names),
        }
        if self.targets != Spec((), "int32", self.class_names):
            described["targets"] = map_leaves(Spec.describe, self.targets)
        return described

    @classmethod
    def from_description(
        cls, recorded: Mapping[str, Any], assets: Mapping[str, str] = MappingProxyType({})
    ) -> "DataSpec":
        """Read the result of `describe`, in receipts and cards, and add the assets that it leaves out."""
        names = tuple(recorded.get("class_names", ()))
        targets = recorded.get("targets", {"shape": (), "dtype": "int32", "class_names": names})
        return cls(_read(recorded["features"]), _read(targets), assets)


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Training, validation and test examples of one source.

    Attributes:
        train: examples to train on.
        validation: examples to choose by: the best epoch, the best trial.
        test: examples to look at once.
        spec: specification of each example.
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
        """Return the description of the data for receipts and cards (`DataSpec.from_description`)."""
        return {
            "fingerprint": self.fingerprint,
            **self.spec.describe(),
            "examples": {name: len(getattr(self, name)) for name in ("train", "validation", "test")},
        }


def _read(fields: Mapping[str, Any]) -> Tree:
    """Read a spec, or a dict of specs by name, that was written as JSON."""
    if not isinstance(fields.get("dtype"), str):
        return {name: _read(part) for name, part in fields.items()}
    optional = {name: tuple(fields.get(name, ())) for name in _OPTIONAL}
    picture, step = Picture.from_description(fields.get("picture")), fields.get("step", "")
    return Spec(tuple(fields["shape"]), fields["dtype"], **optional, step=step, picture=picture)
