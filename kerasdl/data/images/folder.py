"""Own images: a folder with one sub-folder per class."""

import dataclasses
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.file_split import FileSplit
from kerasdl.data.images import files as images
from kerasdl.data.images import notes
from kerasdl.data.labelled import listing
from kerasdl.data.labelled.assemble import assemble
from kerasdl.data.labelled.pictures import Pictures
from kerasdl.data.splits import ArraySplit, Split
from kerasdl.errors import UsageError
from kerasdl.preprocessing.picture import Picture


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFolder(Pictures):
    """JPEG, PNG, BMP, GIF, WebP and TIFF images, one sub-folder per class, named after the class.

    The class folders lie in `path` itself, or in its sub-folders train/, validation/ (or val/) and test/;
    what of these is missing is carved from the training images. For tasks that need no classes, images may
    lie in these folders themselves. Of animations and files of several pages the first picture is taken.
    Other files, and folders in class folders, are left out and counted.
    """

    gives: ClassVar = DataSpec(Spec((8, 8, 3), "uint8"), Spec((), "int32", ("one class", "another")))

    # The folder.
    path: str
    # Channels that images are brought to, 1 grey or 3 RGB; none for the network's, or 1 if none has colours.
    image_channels: Literal[1, 3] | None = None
    # Leave out images that cannot be read, and count them, instead of stopping.
    skip_bad_images: bool = False
    # Share of the images that is kept for the test where there is no test/, 0 to 1.
    test_fraction: float = 0.2
    # Share of the remaining images that is kept for validation where there is no validation/, 0 to 1.
    validation_fraction: float = 0.1
    # Seed of the choice of test and validation images.
    split_seed: int = 0
    # Whether images need classes to be told apart; the task decides it.
    needs_classes: bool = dataclasses.field(default=True, metadata={"flag": False})
    # Memory in MB (2**20 bytes) up to which decoded images are held there; more is read from disk each epoch.
    max_memory_mb: int = 2048

    def __post_init__(self):
        super().__post_init__()
        if self.image_channels not in (None, 1, 3):
            raise UsageError(
                f"image_channels is {self.image_channels}, but an image has 1 (grey) or 3 (RGB)."
            )

    @classmethod
    def claim(cls, text: str) -> "ImageFolder | None":
        """Return the source for an existing folder."""
        return cls(path=text) if text and Path(text).expanduser().is_dir() else None

    def without_classes(self) -> Self:
        """Return this source taking a folder without class folders too, as images of one class."""
        return dataclasses.replace(self, needs_classes=False)

    def sized_for(self, size: tuple[int, int] | None, channels: int | None) -> Self:
        """Return this source giving images of a network's size and channels, unless its fields say others."""
        return dataclasses.replace(
            self, image_size=self.image_size or size, image_channels=self.image_channels or channels
        )

    def like(self, spec: DataSpec) -> Self:
        """Return this source reading images as those of a run were read, at their size and channels."""
        same = super().like(spec)
        if same is self:
            return self
        return dataclasses.replace(same, image_channels=spec.inputs.shape[-1])

    def load(self) -> Dataset:
        """Read and check every image: (H, W, C) uint8, labels int32.

        Raises:
            UsageError: when the folder is not as described, or an image is bad (it is named).
        """
        root = Path(self.path).expanduser()
        listed = listing.find(root, images.KIND, needs_classes=self.needs_classes)
        everything = [path for part in listed.splits.values() for path in part.paths]
        found = images.headers(everything, skip_bad=self.skip_bad_images)
        train = {path: found[path] for path in listed.splits["train"].paths if path in found} or found
        picture = self.picture(images.bits_needed(train) if self.bits is None else 16)
        size = self.image_size or images.most_common_size(train, self.orientation)
        is_grey = all(header.grey for header in found.values())
        shape = (*size, self.image_channels or (1 if is_grey else 3))
        splits, readings, bad = self._read(listed, shape, picture, found)
        if self.image_channels is None and shape[2] == 3 and all(part.grey for part in readings.values()):
            shape = (*size, 1)  # grey that is stored as colour
            splits, readings, bad = self._read(listed, shape, picture, found)
        return assemble(
            splits,
            {name: reading.digests for name, reading in readings.items()},
            fractions={"test": self.test_fraction, "validation": self.validation_fraction},
            seed=self.split_seed,
            spec=DataSpec(Spec(shape, "uint8", picture=picture), Spec((), "int32", listed.class_names)),
            choice=self,
            notes=notes.of_images(found, shape, picture, self.image_size is not None)
            + notes.of_cut_off(found, picture, known=() if self.bits else train)
            + images.bad_images_note(bad)
            + listing.left_out_note(root, listed, images.KIND),
        )

    def _read(self, listed: listing.Listing, shape: tuple[int, int, int], picture: Picture, found):
        """Read all images: splits and readings by name, and the files that are bad."""
        decode = images.decoder(shape, picture, found)
        count = sum(len(part.paths) for part in listed.splits.values())
        in_memory = count * int(np.prod(shape)) <= self.max_memory_mb * 2**20
        splits: dict[str, Split] = {}
        readings, bad = {}, []
        for name, part in listed.splits.items():
            paths = [path for path in part.paths if path in found]
            labels = part.labels[[path in found for path in part.paths]]
            reading = images.read(paths, shape, decode, keep=in_memory, skip_bad=self.skip_bad_images)
            labels, good = labels[reading.good], [paths[index] for index in reading.good]
            if in_memory:
                splits[name] = ArraySplit(reading.pixels, labels)
            else:
                splits[name] = FileSplit(good, labels, images.reader(decode))
            readings[name] = reading
            bad += sorted(set(part.paths) - set(good))
            _check_classes_left(name, labels, listed.class_names)
        return splits, readings, bad


def _check_classes_left(name: str, labels: np.ndarray, class_names: tuple[str, ...]) -> None:
    empty = set(range(len(class_names))) - set(labels.tolist())
    if empty:
        raise UsageError(f"No image of class {class_names[min(empty)]!r} of the {name} split can be read.")
