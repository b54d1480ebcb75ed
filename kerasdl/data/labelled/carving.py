"""Takes validation and test examples out of the training examples, class by class, always the same ones."""

from collections.abc import Mapping

import numpy as np

from kerasdl.data.splits import Split
from kerasdl.errors import UsageError


def check_fields(source) -> None:
    """Check the fields of a source of labelled examples: its choice, fractions and seed.

    Raises:
        UsageError: when a fraction does not lie between 0 and 1, or the seed between 0 and 2**31 - 1.
    """
    source.check_choice()
    for name, value in vars(source).items():
        if name.endswith("_fraction") and not 0 < value < 1:
            raise UsageError(f"{name} is {value:g}, but it has to lie between 0 and 1, for example 0.1.")
    if not 0 <= source.split_seed < 2**31:
        raise UsageError(f"split_seed is {source.split_seed}, but it has to lie between 0 and {2**31 - 1}.")


def check_image_size(image_size: tuple[int, int] | None) -> None:
    """Raise a UsageError unless `image_size` is None or a height and a width of at least one pixel."""
    if image_size is not None and (len(image_size) != 2 or min(image_size) < 1):
        raise UsageError(f"image_size is {image_size}, but it has to be a height and a width in pixels.")


def check_counts(labels: np.ndarray, class_names: tuple[str, ...], missing: tuple[str, ...]) -> None:
    """Check that every class can give an example to each split that is missing, and keep one.

    Raises:
        UsageError: names the smallest class.
    """
    if not class_names and len(labels) < 1 + len(missing):
        raise UsageError(
            f"There are too few training examples to split: {len(labels)}, and taking "
            f"{' and '.join(missing)} examples from them needs at least {1 + len(missing)}."
        )
    if not class_names:
        return
    counts = np.bincount(labels, minlength=len(class_names))
    smallest = int(np.argmin(np.where(counts > 0, counts, len(labels) + 1)))
    if counts[smallest] < 1 + len(missing):
        raise UsageError(
            f"Class {class_names[smallest]!r} has too few training examples to split: {counts[smallest]}, "
            f"and taking {' and '.join(missing)} examples from them needs at least {1 + len(missing)}. "
            f"Add some, or give the {' and '.join(missing)} split yourself."
        )


def carve(labels: np.ndarray, fraction: float, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose `fraction` of the examples of each class, at least one and not all.

    Returns:
        Indices of the examples that stay and of those that are taken, both in ascending order.
    """
    # RandomState and not default_rng: its stream is frozen, so a seed means the same split in every NumPy.
    random = np.random.RandomState(seed)
    taken = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(round(len(members) * fraction), 1), len(members) - 1)
        taken[random.permutation(members)[:count]] = True
    return np.flatnonzero(~taken), np.flatnonzero(taken)


def carve_missing(
    splits: Mapping[str, Split],
    digests: Mapping[str, np.ndarray],
    *,
    fractions: Mapping[str, float],
    seed: int,
    class_names: tuple[str, ...],
) -> tuple[dict[str, Split], dict[str, np.ndarray]]:
    """Carve each split of `fractions` that `splits` lacks out of `splits["train"]`, in that order.

    Args:
        splits: splits of the source, by name; "train" always.
        digests: one digest per example of each of them, (N, 32) uint8; they go where their examples go.
        fractions: share of the training examples that are left, by name of the split.
        seed: seed of the choice.
        class_names: names of the classes that the targets are numbers of, of which each split gets its
            share; empty for targets of other kinds.

    Raises:
        UsageError: when a class has too few examples.
    """
    splits, digests = dict(splits), dict(digests)
    missing = tuple(name for name in fractions if name not in splits)
    check_counts(_strata(splits["train"], class_names), class_names, missing)
    for name in missing:
        train = splits["train"]
        stay, taken = carve(_strata(train, class_names), fractions[name], seed=seed)
        splits[name], digests[name] = train.select(taken), digests["train"][taken]
        splits["train"], digests["train"] = train.select(stay), digests["train"][stay]
    return splits, digests


def _strata(split: Split, class_names: tuple[str, ...]) -> np.ndarray:
    """Return the class of each example; where there are no classes, all are of one."""
    return split.targets if class_names else np.zeros(len(split), np.int32)
