"""Scores images by how badly a network reconstructs them: what it was not trained on stands out."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.dataset import Dataset
from kerasdl.data.labelled.choice import Choice
from kerasdl.data.passes import split_batches
from kerasdl.errors import UsageError
from kerasdl.files import replacing, writing
from kerasdl.jobs import endpoints
from kerasdl.jobs.target import Target


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """Reconstruction errors of images.

    Attributes:
        errors: mean squared error of the pixels, 0 to 1, (N,).
        classes: name of the class of each image, (N,).
        known: whether the network was trained on that class, (N,) bool.
    """

    errors: np.ndarray
    classes: np.ndarray
    known: np.ndarray

    def figures(self) -> dict[str, Any]:
        """Return how well the errors tell unknown classes from known ones.

        Returns:
            `roc_auc` (0.5 is chance, 1 best), `roc_auc_by_class` of each unknown class, `threshold` (the
            error that 5 % of the images of known classes exceed), `found` (share of the others that exceed
            it), and the numbers of images.
        """
        from sklearn.metrics import roc_auc_score

        limit = float(np.quantile(self.errors[self.known], 0.95))
        of_class = {
            str(name): self.known | (self.classes == name) for name in np.unique(self.classes[~self.known])
        }
        return {
            "roc_auc": float(roc_auc_score(~self.known, self.errors)),
            "roc_auc_by_class": {
                name: float(roc_auc_score(~self.known[kept], self.errors[kept]))
                for name, kept in of_class.items()
            },
            "threshold": limit,
            "found": float((self.errors[~self.known] > limit).mean()),
            "known_images": int(self.known.sum()),
            "unknown_images": int((~self.known).sum()),
        }

    def write(self, out: Path) -> None:
        """Write a table of class, known (0 or 1) and error of each image."""
        rows = zip(self.classes, self.known.astype(int), self.errors, strict=True)
        with (
            writing(out, "Give another place with --out."),
            replacing(out) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["class", "known", "error"])
            table.writerows((name, known, f"{error:.7g}") for name, known, error in rows)


def score(target: Target, data: str | None) -> Scores:
    """Score the test images of the classes that a network knows, and all images of the others.

    Args:
        target: a run, a bundle or an exported file of a network that reconstructs images, trained on some
            classes of its data (`--classes`).
        data: where the data is now; None for where it was.

    Raises:
        UsageError: when it does not reconstruct images, needs their classes for it, or knows all of them.
    """
    opened = endpoints.need(target, "reconstruct", "reconstruct images")
    if "labels" in opened.predictor.inputs["reconstruct"]:
        raise UsageError(
            f"{target.path} reconstructs an image of a class that it is told. Train without --conditional."
        )
    source = target.source(data)
    if not isinstance(source, Choice) or source.classes is None:
        raise UsageError(
            f"{target.path} was trained on all classes of its data, so that none is unknown to it. Train "
            "with --classes and all but one of them."
        )
    own, whole = target.load_data(data), dataclasses.replace(source, classes=None).load()
    names = whole.spec.class_names
    left = [number for number, name in enumerate(names) if name not in own.spec.class_names]
    known, classes = _errors(opened, own, "test")
    parts = [_errors(opened, whole, split, left) for split in ("train", "validation", "test")]
    others = [errors for errors, _ in parts]
    return Scores(
        np.concatenate([known, *others]),
        np.concatenate([classes, *(of_part for _, of_part in parts)]),
        np.arange(len(known) + sum(map(len, others))) < len(known),
    )


def _errors(
    opened: Target, data: Dataset, name: str, wanted: list[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return error and class name (N,) of the images of a split, or of those of the wanted classes."""
    split = getattr(data, name)
    if wanted is not None:
        split = split.select(np.flatnonzero(np.isin(split.targets, wanted)))
    errors = []
    for images, *_ in split_batches(split)() if len(split) else ():
        made = opened.predictor.call("reconstruct", {"images": images})["reconstruction"]
        apart = np.square(made - images.astype(np.float32) / 255)
        errors.append(apart.reshape(len(apart), -1).mean(axis=1))
    return np.concatenate([*errors, np.zeros(0, np.float32)]), np.array(data.spec.class_names)[split.targets]
