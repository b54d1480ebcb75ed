"""Describes images by their latents, with the encoder of a run, a bundle or an exported file."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.dataset import Dataset
from kerasdl.data.passes import split_batches
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.files import replacing, writing
from kerasdl.inference import answers, reading
from kerasdl.inference.endpoint import Arrays
from kerasdl.inference.labels import class_number
from kerasdl.jobs import endpoints, latent_figures
from kerasdl.jobs.generate_images import kind_of
from kerasdl.jobs.target import Target
from kerasdl.network.features import features_and_logits
from kerasdl.runs.folder import Run
from kerasdl.training import reference

_BATCH = 64
#: What describes images without being asked to by an endpoint.
_OTHERS = ", or the run of a classifier, which describes the images of a split (without image files)"


def encode_files(target: Target, files: Sequence[str], class_name: str | None) -> Arrays:
    """Describe image files.

    Args:
        target: a run, a bundle or an exported file with an endpoint `encode`.
        files: paths of images.
        class_name: name or number of the class of all images, for a conditional network.

    Returns:
        `files` (N,), and what the endpoint gives: `mean` and, of a VAE, `log_variance`, (N, Z) each.

    Raises:
        UsageError: when there is no such endpoint, or an image cannot be read.
    """
    encoder = endpoints.need(target, "encode", "describe images", _OTHERS)
    takes_labels = "labels" in encoder.predictor.inputs["encode"]
    if takes_labels != (class_name is not None):
        raise UsageError(
            f"{target.path} describes images of a class: give --class, or --data for images with labels."
            if takes_labels
            else f"{target.path} describes images without their class: leave --class out."
        )
    label = None if class_name is None else class_number(class_name, encoder.labels)
    batches = (
        np.stack([reading.read_image(encoder.spec.inputs, file) for file in files[start : start + _BATCH]])
        for start in range(0, len(files), _BATCH)
    )
    outputs = _outputs(encoder, ((images, np.full(len(images), label or 0, np.int32)) for images in batches))
    return {"files": np.array(files), **outputs}


def encode_split(target: Target, data: str | None, split: str) -> Arrays:
    """Describe the images of a split of the data.

    Args:
        target: a run, a bundle or an exported file with an endpoint `encode`; or the run of a classifier,
            whose `features` (N, D), the inputs of its head, describe images.
        data: where the data is now, or other data like it; None for where it was.
        split: "train", "validation" or "test".

    Returns:
        `labels` (N,) int32, `class_names` (K,), and what the endpoint gives, as in `encode_files`; in
        the order of the split.

    Raises:
        UsageError: when there is no such endpoint, or the data cannot be loaded.
    """
    return _described(target, target.load_data(data), split)


def figures(target: Target, data: str | None, split: str) -> dict[str, float | int]:
    """Tell how well the latents of images tell their classes apart; see `latent_figures.figures`.

    Args:
        target: what `encode_split` describes images with.
        data: where the data is now; None for where it was.
        split: the images that are judged: "validation" or "test".

    Raises:
        UsageError: when the data has one class only, the training images would be judged, or the network is
            told the class of each image.
    """
    if len(target.labels) < 2:
        raise UsageError(
            f"{target.path} was trained on data without classes, which latents could tell apart."
        )
    if split == "train":
        raise UsageError("--figures judges what is fitted to the training images. Give --split test.")
    found = endpoints.find(target, "encode")
    if found is not None and "labels" in found[0].predictor.inputs["encode"]:
        raise UsageError(
            f"{target.path} describes an image whose class it is told, so that its latents know the class of "
            "each. Train without --conditional, or leave --figures out."
        )
    dataset = target.load_data(data)
    parts = [_described(target, dataset, name) for name in ("train", split)]
    latents = [part[next(name for name in ("mean", "features") if name in part)] for part in parts]
    pairs = [
        (values.reshape(len(values), -1), part["labels"]) for values, part in zip(latents, parts, strict=True)
    ]
    return latent_figures.figures(*pairs, len(target.labels))


def _described(target: Target, dataset: Dataset, split: str) -> Arrays:
    """Return what describes the images of a split; see `encode_split`."""
    if "encode" not in target.predictor.inputs and target.kind == "keras" and _is_classifier(target):
        return _features(target, dataset, split)
    encoder = endpoints.need(target, "encode", "describe images", _OTHERS)
    batches = split_batches(getattr(dataset, split))
    found: list[np.ndarray] = []

    def noted():
        for images, of_images, _ in batches():
            found.append(of_images)
            yield images, of_images

    outputs = _outputs(encoder, noted())
    return {
        "labels": np.concatenate(found),
        "class_names": np.array(dataset.spec.class_names, str),
        **outputs,
    }


def _is_classifier(target: Target) -> bool:
    return bool(target.labels) and "accuracy" in target.task.columns


def _features(target: Target, dataset: Dataset, split: str) -> Arrays:
    """Return the inputs of a classifier's head for the examples of a split."""
    import tensorflow as tf

    network = reference.open_network(Run(target.path))
    look = tf.function(lambda given: features_and_logits(network, given)[0], autograph=False)
    found, labels = [], []
    for given, of_examples, _ in split_batches(getattr(dataset, split))():
        found.append(look(tf.nest.map_structure(tf.constant, given)).numpy())
        labels.append(of_examples)
    return {
        "labels": np.concatenate(labels),
        "class_names": np.array(dataset.spec.class_names, str),
        "features": np.concatenate(found),
    }


def _outputs(encoder: Target, batches: Iterator[tuple[np.ndarray, np.ndarray]]) -> Arrays:
    """Return the outputs of `encode` for batches of images (B, H, W, C) and classes (B,)."""
    wanted, found = encoder.predictor.inputs["encode"], []
    for images, labels in batches:
        given = {"images": images, "labels": labels}
        found.append(encoder.predictor.call("encode", {name: given[name] for name in wanted}))
    outputs = answers.join(found)
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise RunFailedError(f"{encoder.path} gives a {name} that is not a number. Train it again.")
    return outputs


def check(out: Path) -> None:
    """Raise a UsageError for a place that `write` would refuse."""
    kind_of(out, (".npz", ".csv"))


def write(described: Arrays, out: Path) -> None:
    """Write what `encode_files` or `encode_split` returned.

    Args:
        described: arrays by name.
        out: `.npz` for the arrays as they are; `.csv` for a table with a row for each image: its file or the
            name of its class, and a column for each number, `mean_0` and so on.

    Raises:
        UsageError: for another suffix, or when it cannot be written there.
    """
    kind = kind_of(out, (".npz", ".csv"))
    with writing(out, "Give another place with --out."), replacing(out) as temporary:
        if kind == ".npz":
            np.savez_compressed(temporary, **described)
            return
        with temporary.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(_table(described))


def _table(described: Arrays) -> Iterator[list[Any]]:
    names = described.get("class_names", np.zeros(0, str))
    left = {"file": described["files"]} if "files" in described else {"class": described["labels"]}
    if "labels" in described and len(names):
        left = {"class": names[described["labels"]]}
    numbers = {
        f"{name}_{place}": column
        for name, values in sorted(described.items(), key=lambda item: item[0] != "mean")
        if values.dtype.kind == "f"
        for place, column in enumerate(values.reshape(len(values), -1).T)
    }
    yield [*left, *numbers]
    for about, *row in zip(*left.values(), *numbers.values(), strict=True):
        yield [about, *(f"{value:.7g}" for value in row)]
