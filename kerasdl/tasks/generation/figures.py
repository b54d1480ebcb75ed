"""Figures of generated images beside real ones, each with what it was measured on."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasdl.data.dataset import Dataset
from kerasdl.data.passes import split_batches
from kerasdl.data.splits import Split
from kerasdl.tasks.generation import frechet, kernel, neighbours, samples
from kerasdl.tasks.generation.judge import Judge, Seen

_log = logging.getLogger(__name__)

_COMPARED = 512  # samples, and unseen images, whose nearest training images are looked for
_PIXELS = 6e7  # of training images that these are looked for among
_SHOWN = 16  # samples that are kept with their nearest training images

#: Takes the classes that are asked for (N,) and a seed; returns raw images (N, H, W, C) uint8.
Sampling = Callable[[np.ndarray, int], np.ndarray]


def figures(
    judge: Judge, sampling: Sampling, data: Dataset, split: Split, count: int, conditional: bool
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Compare samples with a split.

    Args:
        judge: looks at both.
        sampling: makes the samples; the classes that are asked for follow those of the split.
        data: the data of the run.
        split: one of its splits.
        count: number of samples.
        conditional: whether the samples are of the classes that are asked for.

    Returns:
        Figures by name: `fid`, `kid` and `kid_stderr`, `precision`, `recall`, `diversity` (size of the spread
        of the samples' features against that of real ones; 1 is as diverse); the same of other real images in
        place of the samples: `fid_floor`, `kid_floor`, `real_precision`, `real_recall`, `real_diversity`;
        `class_balance` (share of the samples by class), `real_class_balance` (of the real images; the judge
        names both), `asked_class_rate`, `real_class_rate` (of real images that the judge knows), `memorised`,
        `judge`, and what they were measured on: `num_samples`, `num_real`, `real`, `num_floor`, `floor`.
        Those that cannot be had are left out. And arrays of some samples: `samples`, `nearest` (training
        images).
    """
    images, classes = samples.real(split, max(count, 10_000))
    asked = samples.asked(classes, count)
    made = sampling(asked, 0)
    seen, real = judge.look(made), judge.look(images)
    names = {name: getattr(data, name) for name in ("train", "validation", "test")}
    name = next((name for name, part in names.items() if part is split), "other")
    other = "train" if name != "train" else "validation"
    others = judge.look(samples.real(names[other], count)[0])
    found: dict[str, Any] = {
        "num_samples": len(made),
        "num_real": len(images),
        "real": f"{name} images",
        "num_floor": len(others.features),
        "floor": f"{other} images instead of samples",
        "judge": judge.describe(),
        **_distances(seen, real, others),
    }
    class_names = data.spec.class_names if len(data.spec.class_names) > 1 else judge.class_names
    of_data, of_real = (judge.classes_of(one, class_names) for one in (seen, real))
    if of_data is not None:
        told = conditional and class_names == data.spec.class_names
        found |= of_classes(of_data, asked if told else None, class_names)
        found["real_class_balance"] = of_classes(of_real, None, class_names)["class_balance"]
        if told:
            found["real_class_rate"] = float((of_real == classes).mean())
    away, arrays = {}, {}
    if name != "train":
        away, arrays = _nearest(made, images, data.train)
    return {**found, **away}, arrays


def without_judge(
    sampling: Sampling, data: Dataset, split: Split, count: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Compare samples with a split by pixels alone: `memorised` and its arrays; arguments as of `figures`."""
    if split is data.train:
        return {}, {}
    images, classes = samples.real(split, 10_000)
    return _nearest(sampling(samples.asked(classes, min(count, _COMPARED)), 0), images, data.train)


def _distances(seen: Seen, real: Seen, others: Seen) -> dict[str, Any]:
    """Return the distances of features, or why they are left out (`left_out`)."""
    needed = frechet.least_samples(real.features.shape[1])
    fewest = min(len(seen.features), len(real.features))
    if fewest < needed:
        reason = (
            f"FID and KID are left out: the judge has {real.features.shape[1]} features, so that "
            f"{needed} samples and as many real images are needed, but there are {len(seen.features)} and "
            f"{len(real.features)}"
        )
        _log.warning(f"{reason}.")
        return {"left_out": reason}
    found = _beside(seen, real)
    if len(others.features) < needed:
        return found
    floors = _beside(others, real)
    return {
        **found,
        **{f"{name}_floor": floors[name] for name in ("fid", "kid")},
        **{f"real_{name}": floors[name] for name in ("precision", "recall", "diversity")},
    }


def _beside(seen: Seen, real: Seen) -> dict[str, float]:
    moments = [frechet.moments(part.features) for part in (seen, real)]
    kid, error = kernel.distance(seen.features, real.features)
    precision, recall = neighbours.precision_recall(real.features, seen.features)
    spreads = [np.trace(part.covariance) for part in moments]
    return {
        "fid": frechet.distance(*moments),
        "kid": kid,
        "kid_stderr": error,
        "precision": precision,
        "recall": recall,
        "diversity": float(np.sqrt(spreads[0] / spreads[1])),
    }


def of_classes(class_ids: np.ndarray, asked: np.ndarray | None, class_names: Sequence[str]) -> dict[str, Any]:
    """Return the share of samples by class, and how many are of the class that was asked for.

    Args:
        class_ids: classes (N,) that the judge names; -1 for one that is not in `class_names`.
        asked: classes (N,) that were asked for; None of a network that takes none.
        class_names: names of the classes.
    """
    shares = {name: float((class_ids == number).mean()) for number, name in enumerate(class_names)}
    found: dict[str, Any] = {"class_balance": shares}
    if asked is None:
        return found
    rates = {
        name: float((class_ids[asked == number] == number).mean())
        for number, name in enumerate(class_names)
        if (asked == number).any()
    }
    return {**found, "asked_class_rate": float((class_ids == asked).mean()), "asked_class_rates": rates}


def _nearest(
    made: np.ndarray, unseen: np.ndarray, train: Split
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Find the training images that samples repeat: `neighbours.memorised`, by pixels."""
    size = int(np.prod(made.shape[1:]))
    if len(train) * size > _PIXELS:
        train = train.select(samples.spread(len(train), max(1, int(_PIXELS / size))))
    # Both are in the order of the split, which may be that of classes.
    made, unseen = (part[samples.spread(len(part), _COMPARED)] for part in (made, unseen))
    queries = np.concatenate([made, unseen]).reshape(-1, size).astype(np.float32)
    parts = (
        np.asarray(features).reshape(-1, size).astype(np.float32) for features, *_ in split_batches(train)()
    )
    distances, places = neighbours.nearest(queries, parts)
    border = len(made)
    kept = samples.spread(border, _SHOWN)
    shown = places[kept]
    order = np.unique(shown)
    images = samples.real(train.select(order), len(order))[0]
    share = neighbours.memorised(distances[:border], distances[border:])
    found = {"memorised": share, "num_compared": border, "num_train_compared": len(train)}
    return found, {"samples": made[kept], "nearest": images[np.searchsorted(order, shown)]}
