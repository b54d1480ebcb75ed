"""Examples in one NumPy `.npz` file: images and their classes, or any features and numbers."""

import dataclasses
import math
from pathlib import Path
from typing import Literal

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.labelled.assemble import assemble
from kerasdl.data.labelled.carving import check_fields
from kerasdl.data.labelled.choice import Choice
from kerasdl.data.npz import file, images, inputs, numbers, ranges
from kerasdl.data.splits import ArraySplit
from kerasdl.data.trees import named
from kerasdl.errors import UsageError
from kerasdl.preprocessing.picture import AS_BEFORE


@dataclasses.dataclass(frozen=True, kw_only=True)
class Npz(Choice):
    """An `.npz` file with x_train, y_train, x_test, y_test, and x_val, y_val if there is a validation split.

    For classification, images are (N, H, W) or (N, H, W, C) with 1 or 3 channels, whole numbers 0..255,
    floats 0..1 or 0..255, truth values, or up to what `white` says; labels are whole numbers from 0 on,
    (N,) or (N, 1). For regression, features are of any shape and dtype; targets are numbers, (N,) or (N, K).
    Several inputs are arrays x_train_NAME, x_test_NAME, of any shape and dtype.
    """

    # The .npz file.
    path: str
    # Meaning of y: numbers of classes, or numbers to predict; auto for the latter where y has fractions.
    targets: Literal["auto", "classes", "numbers"] = "auto"
    # Features of examples with classes: images, or numbers of any shape that are taken as they are.
    features: Literal["images", "numbers"] = "images"
    # Value of a white pixel, such as 1, 16, 255 or 4095; none for 1 or 255, found from all pixels.
    white: float | None = None
    # Share of the training examples that is kept for validation where the file has no x_val, 0 to 1.
    validation_fraction: float = 0.1
    # Seed of the choice of validation examples.
    split_seed: int = 0

    def __post_init__(self):
        check_fields(self)
        if self.targets == "numbers" and (self.classes, self.images_per_class) != (None, None):
            raise UsageError("classes and images_per_class choose by class, but targets are numbers here.")
        if self.white is not None and not 0 <= self.white < math.inf:
            raise UsageError(f"white is {self.white:g}, but it has to be above 0, for example 255.")

    @classmethod
    def claim(cls, text: str) -> "Npz | None":
        """Return the source for a file name that ends in `.npz`."""
        return cls(path=text) if text.lower().endswith(".npz") else None

    def like(self, spec: DataSpec) -> "Npz":
        """Return this source reading pixels as those of a run were read."""
        is_earlier = isinstance(spec.inputs, Spec) and spec.inputs.is_image and self.white is None
        if is_earlier and spec.inputs.picture == AS_BEFORE:
            return dataclasses.replace(self, white=ranges.AS_BEFORE)
        return self

    def load(self) -> Dataset:
        """Read the file: images uint8 and labels int32, or features and float32 targets.

        Raises:
            UsageError: when the file is missing, damaged, or has other content than described above.
        """
        arrays = file.read(Path(self.path).expanduser())
        is_numbers = self.targets == "numbers" or (self.targets == "auto" and numbers.are_targets(arrays))
        if is_numbers:
            spec, notes = numbers.convert(arrays), ()
        elif self.features == "numbers" or inputs.names_in(arrays):
            spec, notes = _of_classes(arrays), ()
        else:
            spec, notes = images.convert(arrays, self.white)
        names = {"train": "train", "test": "test"} | ({"validation": "val"} if "y_val" in arrays else {})
        splits = {}
        for name, suffix in names.items():
            x, y = inputs.joined(arrays, suffix), arrays[f"y_{suffix}"]
            for one, array in named(x, "").items():
                if len(array) != len(y):
                    raise UsageError(
                        f"x_{suffix}{f'_{one}' if one else ''} has {len(array)} "
                        f"{'examples' if is_numbers else 'images'} but y_{suffix} has "
                        f"{len(y)} {'targets' if is_numbers else 'labels'}; give one for each."
                    )
            splits[name] = ArraySplit(x, y)
        return assemble(
            splits,
            {name: inputs.digests(inputs.joined(arrays, suffix)) for name, suffix in names.items()},
            fractions={"validation": self.validation_fraction},
            seed=self.split_seed,
            spec=spec,
            choice=self,
            notes=notes,
        )


def _of_classes(arrays: dict[str, np.ndarray]) -> DataSpec:
    """Convert features of any shape with the numbers of their classes."""
    spec = numbers.convert(arrays, images.class_numbers)
    count = images.num_classes({key: array for key, array in arrays.items() if key.startswith("y")})
    return dataclasses.replace(spec, targets=Spec((), "int32", tuple(map(str, range(count)))))
