"""Sentences about examples that are there twice: in two splits, in two classes, or as a whole class."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from kerasdl.data.splits import Split

_NUM_NAMED = 5
_LOST = {
    "images": ": is what they show lost when they are read, as in a transparent part (--background) or a "
    "dark range?"
}


def duplicates(
    splits: Mapping[str, Split], digests: Mapping[str, np.ndarray], class_names: Sequence[str], noun: str
) -> tuple[str, ...]:
    """Return sentences about examples that are there twice; none where each is there once.

    Args:
        splits: by name, all three of them.
        digests: one digest per example of each of them, (N, 32) uint8.
        class_names: names of the classes that the targets are numbers of; empty for other targets.
        noun: the word for examples: "images".
    """
    # Eight bytes of SHA-256: among a million examples two that differ agree with a chance of 3e-8.
    keys = {
        name: np.ascontiguousarray(digest[:, :8]).view(np.uint64)[:, 0] for name, digest in digests.items()
    }
    notes = [
        f"{count:,} of {len(splits[second]):,} {second} {noun} {'is' if count == 1 else 'are'} also among "
        f"the {first} {noun}: figures on them mean less. Take them out of one of the two."
        for first, second in itertools.combinations(("train", "validation", "test"), 2)
        if (count := int(np.isin(keys[second], keys[first]).sum()))
    ]
    if class_names:
        joined = np.concatenate([keys[name] for name in splits])
        labels = np.concatenate([split.targets for split in splits.values()])
        notes += _in_two_classes(joined, labels, class_names, noun)
    return tuple(notes)


def _in_two_classes(keys: np.ndarray, labels: np.ndarray, class_names: Sequence[str], noun: str) -> list[str]:
    different, place = np.unique(keys, return_inverse=True)
    lowest, highest = np.full(len(different), len(class_names)), np.full(len(different), -1)
    np.minimum.at(lowest, place, labels)
    np.maximum.at(highest, place, labels)
    notes, twice = [], np.flatnonzero(lowest != highest)
    if len(twice):
        first = twice[0]
        names = f"{class_names[lowest[first]]} and {class_names[highest[first]]}"
        subject = f"One of the {noun} lies" if len(twice) == 1 else f"{len(twice):,} different {noun} lie"
        notes.append(f"{subject} in two classes, as in {names}: no network can tell them apart.")
    pairs = np.unique(np.stack([labels, place]), axis=1)[0]
    counts = np.bincount(labels, minlength=len(class_names))
    alike = np.flatnonzero((np.bincount(pairs, minlength=len(class_names)) == 1) & (counts > 1))
    if len(alike):
        named = ", ".join(class_names[label] for label in alike[:_NUM_NAMED])
        notes.append(
            f"All {noun} of a class are one and the same in {len(alike)} of {len(class_names)} classes: "
            f"{named}{', ...' if len(alike) > _NUM_NAMED else ''}. Look at them{_LOST.get(noun, '.')}"
        )
    return notes
