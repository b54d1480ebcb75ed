"""The last step of every source: complete the three splits and take their fingerprint."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.labelled import findings
from kerasdl.data.labelled.carving import carve_missing
from kerasdl.data.labelled.choice import Choice
from kerasdl.data.splits import Split
from kerasdl.data.trees import leaves, map_leaves
from kerasdl.preprocessing.picture import AS_BEFORE


def assemble(
    splits: Mapping[str, Split],
    digests: Mapping[str, np.ndarray],
    *,
    fractions: Mapping[str, float],
    seed: int,
    spec: DataSpec,
    choice: Choice | None = None,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Make the `Dataset` of a source.

    Args:
        splits: splits by name; "train" always, "validation" and "test" where the source has them.
        digests: SHA-256 of the features of each example of each split, (N, 32) uint8; or that of its file and
            behind it that of its features, (N, 64).
        fractions: share of the training examples to carve for each split that is missing (`carve_missing`).
        seed: seed of the carving and of the choice of images.
        spec: specification of the examples as the source has them.
        choice: classes to use, and number of training images of each. Defaults to None: all of them.
        notes: sentences for the user.

    Raises:
        UsageError: when a class has too few examples to carve from, or is chosen but not there.
    """
    sequences = isinstance(spec.targets, Spec) and bool(spec.targets.shape)  # of classes: no strata
    names = () if sequences else spec.class_names
    if choice is not None and names:
        splits, digests, names = choice.choose_classes(splits, digests, names)
        spec = dataclasses.replace(spec, targets=dataclasses.replace(spec.targets, class_names=names))
    splits, digests = carve_missing(splits, digests, fractions=fractions, seed=seed, class_names=names)
    if choice is not None and names:
        splits["train"], digests["train"] = choice.limit_images(splits["train"], digests["train"], seed)
    if not spec.class_names:
        spec = dataclasses.replace(spec, targets=map_leaves(_measured, spec.targets, splits["train"].targets))
    return Dataset(
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        spec=spec,
        fingerprint=_fingerprint(splits, {name: digest[:, :32] for name, digest in digests.items()}, spec),
        notes=notes + _duplicates(splits, digests, spec, names),
    )


def digest(examples) -> np.ndarray:
    """Return the SHA-256 of each of `examples` (arrays, numbers or texts) as (N, 32) uint8."""
    contents = (example.encode() if isinstance(example, str) else example for example in examples)
    joined = b"".join(hashlib.sha256(content).digest() for content in contents)
    return np.frombuffer(joined, np.uint8).reshape(-1, hashlib.sha256().digest_size)


def _duplicates(splits, digests, spec: DataSpec, names: tuple[str, ...]) -> tuple[str, ...]:
    noun = "images" if isinstance(spec.inputs, Spec) and spec.inputs.is_image else "examples"
    contents = {name: digest[:, -32:] for name, digest in digests.items()}
    return findings.duplicates(splits, contents, names, noun)


def _measured(spec: Spec, targets: np.ndarray) -> Spec:
    """Return the spec of a target with the mean and deviation of its training examples, if it has floats."""
    return Spec.of_numbers(targets) if targets.dtype.kind == "f" and targets.ndim <= 2 else spec


def _without_picture(spec: Spec) -> Spec:
    """Return a spec as it was described before it said how image files are read."""
    return dataclasses.replace(spec, picture=AS_BEFORE)


def _fingerprint(splits: Mapping[str, Split], digests: Mapping[str, np.ndarray], spec: DataSpec) -> str:
    if isinstance(spec.inputs, Spec):
        kind = [spec.class_names, spec.inputs.shape, spec.inputs.dtype]
    else:
        kind = dataclasses.replace(spec, inputs=map_leaves(_without_picture, spec.inputs)).describe()
    total = hashlib.sha256(json.dumps(kind).encode())
    for name in ("train", "validation", "test"):
        total.update(f"{name} {len(splits[name])}".encode())
        for targets in leaves(splits[name].targets):
            total.update(np.ascontiguousarray(targets, targets.dtype.newbyteorder("<")).tobytes())
        total.update(digests[name].tobytes())
    return total.hexdigest()
