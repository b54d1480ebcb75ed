"""The last step of every source: complete the three splits and take their fingerprint."""

import hashlib
import json
from collections.abc import Mapping

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Spec, Split
from kerasdl.data.labelled.carving import carve_missing
from kerasdl.data.labelled.choice import Choice


def assemble(
    splits: Mapping[str, Split],
    digests: Mapping[str, np.ndarray],
    *,
    fractions: Mapping[str, float],
    seed: int,
    class_names: tuple[str, ...],
    shape: tuple[int, int, int],
    choice: Choice,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Make the `Dataset` of an image source.

    Args:
        splits: by name; "train" always, "validation" and "test" where the source has them.
        digests: SHA-256 of each example of each split, (N, 32) uint8.
        fractions: what to carve where a split is missing; see `carve_missing`.
        seed: seed of the carving and of the choice of images.
        class_names: name of each label.
        shape: (height, width, channels) of the images.
        choice: which classes to use, and how many training images of each.
        notes: sentences for the user.

    Raises:
        UsageError: when a class has too few examples to carve from, or is chosen but not there.
    """
    splits, digests, class_names = choice.choose_classes(splits, digests, class_names)
    splits, digests = carve_missing(splits, digests, fractions=fractions, seed=seed, class_names=class_names)
    splits["train"], digests["train"] = choice.limit_images(splits["train"], digests["train"], seed)
    features = Spec(shape, "uint8")
    total = hashlib.sha256(json.dumps([class_names, features.shape, features.dtype]).encode())
    for name in ("train", "validation", "test"):
        total.update(f"{name} {len(splits[name])}".encode())
        total.update(np.ascontiguousarray(splits[name].labels, "<i4").tobytes())
        total.update(digests[name].tobytes())
    return Dataset(
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        spec=DataSpec(features, Spec((), "int32", class_names)),
        fingerprint=total.hexdigest(),
        notes=notes,
    )


def digest(examples) -> np.ndarray:
    """Return the SHA-256 of each of `examples` (arrays or bytes) as (N, 32) uint8."""
    joined = b"".join(hashlib.sha256(example).digest() for example in examples)
    return np.frombuffer(joined, np.uint8).reshape(-1, hashlib.sha256().digest_size)
