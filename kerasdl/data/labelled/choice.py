"""Some of the classes of a source, and not more than so many training images of each."""

import dataclasses
import unicodedata
from collections.abc import Mapping

import numpy as np

from kerasdl.data.source import Source
from kerasdl.data.splits import Split
from kerasdl.errors import UsageError, did_you_mean


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice(Source):
    """A source of labelled images, of which classes and a number of training images can be chosen."""

    # Classes to use, in this order, by name or by number from 0 on: cat,dog or 3,5; none for all.
    classes: tuple[str, ...] | None = None
    # Training images that each class keeps at most; validation and test stay whole. None for all.
    images_per_class: int | None = None

    def check_choice(self) -> None:
        """Check the fields, as far as that is possible without the data.

        Raises:
            UsageError: for one class or none, or for no images.
        """
        if self.classes is not None and len(self.classes) < 2:
            raise UsageError(
                f"classes is {','.join(map(str, self.classes))!r}, but a classifier needs two or more: "
                "--classes cat,dog."
            )
        if self.images_per_class is not None and self.images_per_class < 1:
            raise UsageError(
                f"images_per_class is {self.images_per_class}, but it has to be at least 1, or none for all."
            )

    def choose_classes(
        self, splits: Mapping[str, Split], digests: Mapping[str, np.ndarray], class_names: tuple[str, ...]
    ) -> tuple[dict[str, Split], dict[str, np.ndarray], tuple[str, ...]]:
        """Keep the examples of the chosen classes, with labels from 0 on in the order of the choice.

        Args:
            splits: by name.
            digests: one digest per example of each of them, (N, 32) uint8.
            class_names: of the source.

        Raises:
            UsageError: for a class that the source does not have, or that is named twice.
        """
        if self.classes is None:
            return dict(splits), dict(digests), class_names
        numbers = [_number_of(str(word), class_names) for word in self.classes]
        if len(set(numbers)) < len(numbers):
            raise UsageError(f"classes names a class twice: {','.join(map(str, self.classes))}.")
        new = np.full(len(class_names), -1, np.int32)
        new[numbers] = np.arange(len(numbers), dtype=np.int32)
        kept = {name: np.flatnonzero(new[split.targets] >= 0) for name, split in splits.items()}
        selected = {name: split.select(kept[name]) for name, split in splits.items()}
        return (
            {name: split.with_targets(new[split.targets]) for name, split in selected.items()},
            {name: digest[kept[name]] for name, digest in digests.items()},
            tuple(class_names[number] for number in numbers),
        )

    def limit_images(self, split: Split, digest: np.ndarray, seed: int) -> tuple[Split, np.ndarray]:
        """Keep `images_per_class` examples of each class, chosen by the seed; all of a class with fewer."""
        if self.images_per_class is None:
            return split, digest
        # RandomState and not default_rng: its stream is frozen, so a seed means the same choice for ever.
        random = np.random.RandomState(seed)
        kept = np.zeros(len(split), bool)
        for label in np.unique(split.targets):
            members = np.flatnonzero(split.targets == label)
            kept[random.permutation(members)[: self.images_per_class]] = True
        indices = np.flatnonzero(kept)
        return split.select(indices), digest[indices]


def _number_of(word: str, class_names: tuple[str, ...]) -> int:
    names = [unicodedata.normalize("NFC", name) for name in class_names]
    if (typed := unicodedata.normalize("NFC", word)) in names:
        return names.index(typed)
    if word.isdecimal() and int(word) < len(class_names):
        return int(word)
    named = ", ".join(class_names[:20]) + (", ..." if len(class_names) > 20 else "")
    raise UsageError(
        f"There is no class {word!r}: the data has {len(class_names)}, {named}. Give their names, or numbers "
        f"from 0 to {len(class_names) - 1}." + did_you_mean(word, class_names)
    )
