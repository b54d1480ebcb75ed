"""The 1,797 real handwritten digits that come with scikit-learn: data without a download."""

import dataclasses

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.labelled.assemble import assemble, digest
from kerasdl.data.labelled.carving import check_fields
from kerasdl.data.labelled.choice import Choice
from kerasdl.data.splits import ArraySplit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Digits(Choice):
    """Handwritten digits, 8x8 pixels, grey: the test set of the UCI "Optical Recognition" data."""

    # Share of all images that is kept for the test, 0 to 1.
    test_fraction: float = 0.2
    # Share of the remaining images that is kept for validation, 0 to 1.
    validation_fraction: float = 0.1
    # Seed of the choice of test and validation images.
    split_seed: int = 0

    def __post_init__(self):
        check_fields(self)

    @classmethod
    def claim(cls, text: str) -> "Digits | None":
        """Return the source for the word "digits"."""
        return cls() if text == "digits" else None

    def load(self) -> Dataset:
        """Read the images: (N, 8, 8, 1) uint8 (0..16 scaled to 0..255), labels (N,) int32."""
        from sklearn.datasets import load_digits  # half a second that only this source needs

        bunch = load_digits()
        images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
        names = tuple(map(str, bunch.target_names))
        return assemble(
            {"train": ArraySplit(images, bunch.target.astype(np.int32))},
            {"train": digest(images)},
            fractions={"test": self.test_fraction, "validation": self.validation_fraction},
            seed=self.split_seed,
            spec=DataSpec(Spec(images.shape[1:], "uint8"), Spec((), "int32", names)),
            choice=self,
        )
