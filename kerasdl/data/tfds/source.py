"""Any set of labelled images or texts of tensorflow-datasets."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasdl.data import memory
from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.labelled.assemble import assemble, digest
from kerasdl.data.labelled.pictures import Pictures
from kerasdl.data.splits import ArraySplit
from kerasdl.data.stream_split import StreamSplit
from kerasdl.data.tfds.builder import is_known, open_builder
from kerasdl.errors import UsageError

_PARALLEL_CALLS = 4
_READ_BATCH = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tfds(Pictures):
    """A set of tensorflow-datasets by name, prepared on this machine or downloaded on demand.

    Its own validation and test splits are used; what it lacks is carved from its training split. Where it has
    a validation split but no labelled test split, the validation split is the test.
    """

    # Name of the set, with its configuration and version if need be: mnist, emnist/letters, mnist:3.0.1.
    name: str = "mnist"
    # Fetch the set from the network when it is not prepared.
    download: bool = dataclasses.field(default=False, metadata={"permits": True})
    # Share of the training images that is kept for validation where the set has no validation split, 0 to 1.
    validation_fraction: float = 0.1
    # Share of the training images that is kept for the test where the set has no test split, 0 to 1.
    test_fraction: float = 0.2
    # Seed of the choice of validation and test images.
    split_seed: int = 0
    # Memory in MB (2**20 bytes) up to which the decoded images are held there; more is streamed from disk.
    max_memory_mb: int = 2048

    @classmethod
    def claim(cls, text: str) -> "Tfds | None":
        """Return the source for a name that tensorflow-datasets knows, or that was prepared by its owner."""
        return cls(name=text) if is_known(text) else None

    def load(self) -> Dataset:
        """Read the set: images (H, W, C) uint8 or texts, labels int32.

        Raises:
            UsageError: when the set is unknown, not prepared, or has no labelled images or texts.
            RunFailedError: when the download that was asked for fails.
        """
        builder = open_builder(self.name, download=self.download)
        image_key, label_key = builder.info.supervised_keys
        class_names = tuple(builder.info.features[label_key].names)
        scans, splits = self._scan(builder), {}
        if builder.info.features[image_key].shape == ():  # texts
            inputs = Spec((), "string")
            for name, scan in scans.items():
                splits[name] = ArraySplit(_texts(builder, scan.source), scan.labels)
        else:
            shape = self._shape(builder.info.features[image_key])
            inputs = Spec(shape, "uint8", picture=self.picture())
            num_bytes = sum(len(scan.labels) for scan in scans.values()) * int(np.prod(shape))
            for name, scan in scans.items():
                stream = StreamSplit(self._opener(builder, scan.source, shape), scan.labels)
                fits = num_bytes <= self.max_memory_mb * 2**20
                splits[name] = _to_memory(stream, shape) if fits else stream
        return assemble(
            splits,
            {name: scan.digests for name, scan in scans.items()},
            fractions={"test": self.test_fraction, "validation": self.validation_fraction},
            seed=self.split_seed,
            spec=DataSpec(inputs, Spec((), "int32", class_names)),
            choice=self,
            notes=self._notes(scans),
        )

    def _shape(self, image) -> tuple[int, int, int]:
        height, width, channels = image.shape
        if channels not in (1, 3) or np.dtype(image.np_dtype) != np.uint8:
            raise UsageError(
                f"Images of {self.name!r} have {channels} channels of {np.dtype(image.np_dtype)}, but 1 or 3 "
                "channels of uint8 are needed."
            )
        if self.image_size is not None:
            return (*self.image_size, channels)
        if height is None or width is None:
            raise UsageError(
                f"Images of {self.name!r} differ in size. Give the height and width to bring them to, for "
                "example --image-size 128,128."
            )
        return (height, width, channels)

    def _scan(self, builder) -> dict[str, "_Scan"]:
        """Find out which labelled splits there are, and which of them serves as which."""
        available = [name for name in ("train", "validation", "test") if name in builder.info.splits]
        scans = {name: _scan(builder, name) for name in available}
        # The label -1 stands for "not told", as in the test splits of competitions.
        scans = {name: scan for name, scan in scans.items() if scan.labels.min() >= 0}
        if "train" not in scans:
            raise UsageError(
                f"{self.name!r} has no labelled train split; it has {', '.join(builder.info.splits)}."
            )
        if "test" not in scans and "validation" in scans:
            scans["test"] = scans.pop("validation")
        return scans

    def _notes(self, scans: dict[str, "_Scan"]) -> tuple[str, ...]:
        if "test" not in scans or scans["test"].source == "test":
            return ()
        return (f"{self.name} has no labelled test split: its validation split is the test split here.",)

    def _opener(self, builder, split: str, shape: tuple[int, int, int]) -> Callable[[], Any]:
        import tensorflow as tf

        from kerasdl.preprocessing.decoding import decode_image

        image, picture = builder.info.features[builder.info.supervised_keys[0]], self.picture()

        def decode(encoded, label):
            if image.shape == shape:
                return image.decode_example(encoded), tf.cast(label, tf.int32)
            return decode_image(encoded, *shape, picture=picture), tf.cast(label, tf.int32)

        return lambda: _encoded(builder, split).map(
            decode, num_parallel_calls=_PARALLEL_CALLS, deterministic=True
        )


@dataclasses.dataclass(frozen=True, eq=False)
class _Scan:
    """Labels and digests of a split of the set, from one pass that decodes no image."""

    source: str  # its name in the set
    labels: np.ndarray  # (N,) int32
    digests: np.ndarray  # (N, 32) uint8, of the encoded images


def _scan(builder, split: str) -> _Scan:
    labels, digests = [], []
    for encoded, label in _encoded(builder, split).batch(_READ_BATCH).prefetch(2).as_numpy_iterator():
        labels.append(label)
        digests.append(digest(encoded))
    return _Scan(split, np.concatenate(labels).astype(np.int32), np.concatenate(digests))


def _encoded(builder, split: str):
    """Return the dataset of (encoded image or text, label), always in the order in which they lie on disk."""
    import tensorflow_datasets as tfds

    keys = builder.info.supervised_keys
    skipped = {keys[0]: tfds.decode.SkipDecoding()} if builder.info.features[keys[0]].shape else None
    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        # One file after the other, and no copy of the set in memory behind our back.
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        decoders=tfds.decode.PartialDecoding(set(keys), decoders=skipped),
    )
    return dataset.map(lambda example: (example[keys[0]], example[keys[1]]))


def _texts(builder, split: str) -> np.ndarray:
    """Return the texts of a split, (N,) bytes as objects."""
    batches = _encoded(builder, split).batch(_READ_BATCH).prefetch(2).as_numpy_iterator()
    return np.concatenate([texts for texts, _ in batches])


def _to_memory(stream: StreamSplit, shape: tuple[int, int, int]) -> ArraySplit:
    images = memory.empty((len(stream), *shape), np.uint8)
    batches = stream.open().batch(_READ_BATCH).prefetch(2).as_numpy_iterator()
    for index, (batch, _) in enumerate(batches):
        images[index * _READ_BATCH : index * _READ_BATCH + len(batch)] = batch
    return ArraySplit(images, stream.targets)
