"""What all sources of labelled texts have in common."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.labelled.assemble import assemble, digest
from kerasdl.data.labelled.carving import check_fields
from kerasdl.data.labelled.choice import Choice
from kerasdl.data.splits import ArraySplit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Texts(Choice):
    """A source of labelled texts; they lie in memory."""

    gives: ClassVar = DataSpec(Spec((), "string"), Spec((), "int32", ("one class", "another")))

    # Share of the training texts that is kept for the test where there is no test split, 0 to 1.
    test_fraction: float = 0.2
    # Share of the remaining training texts that is kept for validation where there is none, 0 to 1.
    validation_fraction: float = 0.1
    # Seed of the choice of test and validation texts.
    split_seed: int = 0

    def __post_init__(self):
        check_fields(self)

    def assembled(
        self,
        splits: Mapping[str, tuple[Sequence[str], np.ndarray]],
        class_names: tuple[str, ...],
        notes: tuple[str, ...] = (),
    ) -> Dataset:
        """Return the data set of texts and their labels (N,) int32, by name of the split."""
        encoded = {name: [text.encode() for text in texts] for name, (texts, _) in splits.items()}
        return assemble(
            {
                name: ArraySplit(np.array(encoded[name], object), labels)
                for name, (_, labels) in splits.items()
            },
            {name: digest(texts) for name, texts in encoded.items()},
            fractions={"test": self.test_fraction, "validation": self.validation_fraction},
            seed=self.split_seed,
            spec=DataSpec(Spec((), "string"), Spec((), "int32", class_names)),
            choice=self,
            notes=notes,
        )
