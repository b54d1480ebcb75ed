"""Explains predictions of a run by maps over images, and keeps them in a folder."""

import dataclasses
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from kerasdl.errors import UsageError
from kerasdl.explain import gradients, heatmaps, occlusion, sheet
from kerasdl.explain.page import FILE_NAME, about_of, drawn, maps_in
from kerasdl.files import writing

#: Words of `--methods`.
METHODS = ("grad-cam", "integrated-gradients", "saliency", "occlusion", "filters")
_NEED_CONVOLUTIONS = ("grad-cam", "filters")
_SIDE = 336  # pixels of the longer side that small pictures are enlarged to


@dataclasses.dataclass(frozen=True)
class Examples:
    """Raw images to explain.

    Attributes:
        images: (N, height, width, channels), uint8.
        names: of each.
        true: class id of each, where they are known.
    """

    images: np.ndarray
    names: Sequence[str]
    true: np.ndarray | None = None


def explain(
    network: keras.Model,
    examples: Examples,
    class_names: Sequence[str],
    *,
    class_id: int | None = None,
    methods: Sequence[str] | None = None,
    steps: int = 32,
    temperature: float = 1.0,
) -> dict[str, np.ndarray]:
    """Return maps by method, the `images`, and `about`: all else, as JSON.

    Args:
        network: over raw images.
        examples: what to explain.
        class_names: in the order of the logits.
        class_id: class to explain. Defaults to the one that is predicted.
        methods: some of `METHODS`. Defaults to all that the network can have.
        steps: of integrated gradients, to begin with.
        temperature: that the run's probabilities are calibrated by.

    Raises:
        UsageError: when the network does not classify, or has no convolution that `methods` ask for.
    """
    logits = gradients.logits_of(network, examples.images)
    if logits.ndim != 2 or logits.shape[1] != len(class_names):
        raise UsageError(
            f"This network answers with {logits.shape[1:]}, not with a logit for each of {len(class_names)} "
            "classes: only classifications of images can be explained."
        )
    predicted = logits.argmax(-1)
    class_ids = predicted if class_id is None else np.full(len(logits), class_id)
    rows = _rows(examples, class_names, logits, class_ids, temperature)
    about: dict[str, Any] = {"images": rows, "notes": []}
    arrays = {"images": examples.images}
    for method in methods or METHODS:
        found = _METHODS[method](network, examples.images, class_ids, steps, about)
        if found is not None:
            arrays[method] = found
    if missing := [name for name in methods or METHODS if name not in arrays]:
        said = f"This network has no convolution over an image, so it has no {' and no '.join(missing)}."
        if methods:
            rest = ",".join(name for name in METHODS if name not in _NEED_CONVOLUTIONS)
            raise UsageError(f"{said} Use --methods {rest}.")
        about["notes"].append(said)
    return {**arrays, "about": np.array(json.dumps(about))}


def _rows(examples, class_names, logits, class_ids, temperature) -> list[dict[str, Any]]:
    scaled = (logits / temperature).astype(np.float64)
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    probabilities = (powers / powers.sum(-1, keepdims=True)).max(-1)
    rows = []
    for index, (name, class_id) in enumerate(zip(examples.names, class_ids, strict=True)):
        rows.append({
            "name": name, "predicted": class_names[logits[index].argmax()],
            "probability": float(probabilities[index]), "class": class_names[class_id],
            "logit": float(logits[index, class_id]),
        })  # fmt: skip
        if examples.true is not None:
            rows[-1]["true"] = class_names[examples.true[index]]
    return rows


def _grad_cam(network, images, class_ids, steps, about):
    found = gradients.grad_cam(network, images, class_ids)
    if found is None:
        return None
    about["grad_cam"] = {
        "layer": found.layer, "convolution": found.convolution, "extent": list(found.extent),
    }  # fmt: skip
    for row, answer in zip(about["images"], found.maps, strict=True):
        if not answer.any():
            about["notes"].append(
                f"Grad-CAM of {row['name']} is 0 everywhere: no place of {found.layer} speaks for "
                f"{row['class']}. --methods occlusion shows what speaks against it, too."
            )
    return found.maps


def _integrated_gradients(network, images, class_ids, steps, about):
    found = gradients.integrated_gradients(network, images, class_ids, steps=steps)
    for row, error, used in zip(about["images"], found.errors, found.steps, strict=True):
        row |= {"error": float(error), "steps": int(used)}
        if error > 0.01:
            about["notes"].append(
                f"Integrated gradients of {row['name']}: after {used:,} steps their sum is still {error:.1%} "
                "away from the difference of the logits. More --steps may help."
            )
    return found.maps


def _saliency(network, images, class_ids, steps, about):
    return gradients.saliency(network, images, class_ids)


def _occlusion(network, images, class_ids, steps, about):
    about["patch"] = occlusion.patch_size(images.shape[1:3])
    return occlusion.occlusion(network, images, class_ids)


def _filters(network, images, class_ids, steps, about):
    found = gradients.first_filters(network, images[0])
    if found is None:
        return None
    about["filters_of"], kernel = found
    return kernel


_METHODS = dict(
    zip(METHODS, (_grad_cam, _integrated_gradients, _saliency, _occlusion, _filters), strict=True)
)


def write(folder: Path, arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Write the arrays, a sheet, and a picture for each image and method; return the names of the files.

    All are written beside their places first, then moved there. Pictures that an earlier call left there and
    this one did not write again are deleted; nothing else is.

    Raises:
        UsageError: when the folder cannot be written to.
        MachineError: when the disk is full.
    """
    with writing(folder, "Use --out."):
        folder.mkdir(parents=True, exist_ok=True)
        before = _files_of(folder / FILE_NAME)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
            pictures = _pictures(arrays)
            for name, picture in pictures.items():
                picture.save(Path(temporary) / name)
            about = {**about_of(arrays), "files": list(pictures)}
            with (Path(temporary) / FILE_NAME).open("wb") as file:
                np.savez_compressed(file, **{**arrays, "about": np.array(json.dumps(about))})
            for name in (*pictures, FILE_NAME):  # the arrays last: they name the others
                (Path(temporary) / name).replace(folder / name)
        for name in set(before) - set(pictures):
            (folder / name).unlink(missing_ok=True)
    return [*pictures, FILE_NAME]


def _files_of(path: Path) -> list[str]:
    """Return the plain file names of pictures that a call before this one wrote."""
    try:
        with np.load(path, allow_pickle=False) as file:
            names = about_of(file)["files"]
    except Exception:  # none, or a damaged one: damage has many faces
        return []
    return [name for name in names if name == Path(name).name and name.endswith(".png")]


def _pictures(arrays: Mapping[str, np.ndarray]) -> dict[str, Image.Image]:
    found = {"sheet.png": sheet.sheet(arrays)}
    for index, row in enumerate(about_of(arrays)["images"]):
        stem = re.sub(r"[^\w-]+", "-", Path(row["name"]).stem)[:80]
        for method in maps_in(arrays):
            pixels = heatmaps.enlarged(drawn(arrays, method, index), _SIDE)
            found[f"{index + 1:02}-{stem}-{method}.png"] = Image.fromarray(pixels)
    if "filters" in arrays:
        grid, _ = heatmaps.filters(arrays["filters"])
        found["filters.png"] = Image.fromarray(heatmaps.enlarged(grid, _SIDE))
    return found
