"""What is in data, and what a network would suffer from, before anything is trained on it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasdl.data import guess
from kerasdl.data.dataset import Dataset, Spec
from kerasdl.data.source import Source
from kerasdl.data.splits import ArraySplit
from kerasdl.tasks.classification import verdicts

SPLITS = ("train", "validation", "test")

_IMBALANCE = 5  # times as many examples in one class as in another
_FEW = 20  # training examples of a class
_FEW_TO_JUDGE = 100  # test examples, of which each one is a point of accuracy
_NUM_LOOKED_AT = 4096  # examples whose values are looked at


@dataclasses.dataclass(frozen=True, kw_only=True)
class Examination:
    """What was found in data.

    Attributes:
        source: where it was read from.
        dataset: what was read.
        counts: number of examples by class and split; of data without classes by split, under "".
        findings: what to look at before training, a sentence each; none where all is well.
    """

    source: Source
    dataset: Dataset
    counts: Mapping[str, Mapping[str, int]]
    findings: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """Return the examination as JSON."""
        about = {"source": type(self.source).__name__, **self.dataset.describe()}
        return {**about, "counts": self.counts, "findings": list(self.findings)}


def examine(text: str, given: Mapping[str, Any] | None = None) -> Examination:
    """Read data and look for what harms a training.

    Args:
        text: what `--data` takes. A table is read as texts with classes, else as a series, else as numbers.
            Images that cannot be read are left out and named, instead of stopping at one.
        given: fields of the source by name. Defaults to none.

    Raises:
        UsageError: when it cannot be read at all.
    """
    source, dataset = guess.load(text, given or {})
    counts = _counts(dataset)
    findings = [*dataset.notes, *_of_classes(counts), *_of_values(dataset)]
    if 0 < len(dataset.test) < _FEW_TO_JUDGE:
        each = (
            f"each moves the accuracy by {1 / len(dataset.test):.1%}"
            if "" not in counts
            else "figures are rough"
        )
        findings.append(
            f"There are only {len(dataset.test)} test examples: {each}, so that small differences between "
            "networks say nothing."
        )
    return Examination(source=source, dataset=dataset, counts=counts, findings=tuple(findings))


def _counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    splits = {name: getattr(dataset, name) for name in SPLITS}
    names = dataset.spec.class_names
    targets = dataset.spec.targets
    if not names or not isinstance(targets, Spec) or targets.shape:  # no class for each example
        return {"": {name: len(split) for name, split in splits.items()}}
    found = {name: np.bincount(split.targets, minlength=len(names)) for name, split in splits.items()}
    return {
        class_name: {name: int(count[index]) for name, count in found.items()}
        for index, class_name in enumerate(names)
    }


def _of_classes(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    train = {name: by_split["train"] for name, by_split in counts.items() if name}
    if not train:
        return []
    most, least = max(train, key=train.__getitem__), min(train, key=train.__getitem__)
    found = []
    if train[most] >= _IMBALANCE * train[least]:
        found.append(
            f"The class {most} has {train[most]:,} training examples, {least} {train[least]:,}: a network "
            "learns to answer the large classes. Collect more of the small ones, or train with "
            "--class-weights balanced."
        )
    if few := [name for name, count in train.items() if count < _FEW]:
        found.append(
            f"{'These classes have' if len(few) > 1 else 'This class has'} fewer than {_FEW} training "
            f"examples: {verdicts.listed(few)}."
        )
    written = {}
    for name in train:
        written.setdefault(_plainly(name), []).append(name)
    found += [
        f"The classes {verdicts.listed(list(map(repr, names)))} are written almost alike: are they one?"
        for names in written.values()
        if len(names) > 1
    ]
    for split in ("validation", "test"):
        if empty := [name for name, by_split in counts.items() if not by_split[split]]:
            found.append(f"Not one {split} example is of the class {verdicts.listed(empty)}.")
    return found


def _plainly(name: str) -> str:
    """Return the name of a class as a number, or else without capitals and spaces."""
    try:
        return str(float(name))
    except ValueError:
        return "".join(name.casefold().split())


def _of_values(dataset: Dataset) -> list[str]:
    """Return sentences about examples, the first thousands of each split, whose values say nothing."""
    splits, spec = [getattr(dataset, name) for name in SPLITS], dataset.spec.inputs
    if not isinstance(spec, Spec) or not all(isinstance(split, ArraySplit) for split in splits):
        return []
    features = np.concatenate([split.part(slice(0, _NUM_LOOKED_AT))[0] for split in splits])
    if features.dtype.kind not in "buif" or features.ndim < 2:
        return []
    found = []
    flat = features.reshape(len(features), -1)
    noun = "images" if spec.is_image else "examples"
    if flat.shape[1] > 1 and (plain := int((flat == flat[:, :1]).all(axis=1).sum())):
        found.append(f"{plain:,} of {len(flat):,} {noun} hold one and the same value everywhere: blank ones?")
    if not spec.is_image and features.ndim == 2 and len(flat) > 1:
        constant = np.flatnonzero((flat == flat[:1]).all(axis=0))
        if len(constant):
            names = [spec.columns[place] if spec.columns else str(place) for place in constant]
            found.append(
                f"{len(constant)} of {flat.shape[1]} features never change: {verdicts.listed(names)}."
            )
        found += _of_row_numbers(flat, spec.columns)
    return found


def _of_row_numbers(rows: np.ndarray, columns: tuple[str, ...]) -> list[str]:
    """Return a sentence for each column that numbers the rows, which says nothing of new ones."""
    found = []
    for place, name in enumerate(columns):
        values = np.sort(rows[:, place])
        if len(values) > 2 and (np.diff(values) == 1).all():
            found.append(
                f"The column {name} numbers the rows, and says nothing of new ones: leave it out (--columns)."
            )
    return found
