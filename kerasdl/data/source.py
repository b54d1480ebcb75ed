"""Base classes of sources of examples, and of the augmentation of training examples."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec
from kerasdl.data.splits import Split
from kerasdl.data.trees import Tree


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A source of examples; a frozen dataclass whose fields are flags of the command line.

    A source of your own inherits this, defines `load`, and lies in the recipe file.
    """

    #: Examples as a task asks about them, where they are of one kind whatever the file; None where not.
    gives: ClassVar[DataSpec | None] = None

    @classmethod
    def claim(cls, text: str) -> Self | None:
        """Return the source that a word on the command line stands for; None where it is no word for one."""
        return None

    def load(self) -> Dataset:
        """Read the examples.

        Raises:
            UsageError: when they cannot be read; the message says what to do.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no load().")

    @property
    def place(self) -> str | None:
        """The path that examples are read from; None for a source that is found by its name."""
        return self.path if any(field.name == "path" for field in dataclasses.fields(self)) else None

    def moved_to(self, given: "Source") -> "Source":
        """Return this source at the place that is given now: fractions, seeds and sizes stay.

        A source of another type is taken as it is given.
        """
        if type(given) is not type(self):
            return given
        names = {field.name for field in dataclasses.fields(self)} & {"path", "name"}
        return dataclasses.replace(self, **{name: getattr(given, name) for name in names})

    def sized_for(self, size: tuple[int, int] | None, channels: int | None) -> Self:
        """Return this source giving images as a network takes them, where its own fields leave that open.

        Args:
            size: (height, width) in pixels; None for a network that takes any.
            channels: 1 (grey) or 3 (RGB); None likewise.
        """
        return self

    def without_classes(self) -> Self:
        """Return this source reading examples without classes too, where it can, for tasks that need none."""
        return self

    def like(self, spec: DataSpec) -> Self:
        """Return this source reading examples as a run read those it was trained on.

        Args:
            spec: specification of the run's examples, from its receipt.
        """
        return self

    def without_machine(self) -> "Source":
        """Return this source without what belongs to one machine: the path's folders, a wish to download."""
        changes: dict[str, Any] = {}
        names = {field.name for field in dataclasses.fields(self)}
        if "path" in names and self.path is not None:
            changes["path"] = str(self.path).replace("\\", "/").rstrip("/").rpartition("/")[2]
        if "download" in names:
            changes["download"] = False
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """A random change of training examples, applied to whole batches in tf.data."""

    def check(self, inputs: Tree) -> None:
        """Raise a UsageError for examples that cannot be changed so.

        Args:
            inputs: spec of one example's features, or specs by name.
        """

    def __call__(self, features: Tree, targets: Tree, seed: Any) -> tuple[Tree, Tree]:
        """Return changed features and targets of a batch.

        Args:
            features: (batch_size, ...) tensors.
            targets: (batch_size, ...) tensors.
            seed: (2,) int64; equal seeds give equal changes.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no __call__().")

    def samples(self, split: Split, *, seed: int, rows: int, copies: int) -> Mapping[str, np.ndarray]:
        """Return examples before and after the change as arrays by name, for the report; none by default.

        Args:
            split: training examples.
            seed: seed of the run.
            rows: number of examples.
            copies: number of changed copies of each.
        """
        return {}
