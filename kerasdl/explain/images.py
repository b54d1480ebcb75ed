"""Explains answers to images by maps over them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kerasdl.errors import UsageError
from kerasdl.explain import gradients, heatmaps, occlusion, sheet
from kerasdl.explain.explainer import Explainer, answers, not_exact
from kerasdl.explain.page import about_of, drawn, maps_in
from kerasdl.inference import reading
from kerasdl.report import pictures

#: Words of `--methods`.
METHODS = ("grad-cam", "integrated-gradients", "saliency", "occlusion", "filters")
_NEED_CONVOLUTIONS = ("grad-cam", "filters")
_SIDE = 336  # pixels of the longer side that small pictures are enlarged to
_COLUMNS = {"name": "image", "true": "true", "predicted": "predicted", "probability": "confidence",
            "class": "explained", "logit": "logit", "error": "sum off by", "steps": "steps"}  # fmt: skip
_FORMS = {"probability": ".1%", "logit": ".3f", "error": ".2%", "steps": ",d"}


class ImageExplainer(Explainer):
    """Explains answers to images by maps: where in an image they come from."""

    name = "images"
    given = "image files"
    methods = METHODS
    first_file = ("Sheet", "sheet.png")

    def takes(self, task, data):
        return reading.are_images(data.inputs) and bool(data.class_names)

    def explain(self, network, data, examples, asked):
        """Return maps by method, the `images`, and `about`."""
        logits = gradients.logits_of(network, examples.features)
        class_ids, rows = answers(logits, examples, asked)
        about: dict[str, Any] = {"images": rows, "notes": []}
        arrays = {"images": examples.features}
        for method in asked.methods or METHODS:
            found = _METHODS[method](network, examples.features, class_ids, asked.steps, about)
            if found is not None:
                arrays[method] = found
        if missing := [name for name in asked.methods or METHODS if name not in arrays]:
            said = f"This network has no convolution over an image, so it has no {' and no '.join(missing)}."
            if asked.methods:
                rest = ",".join(name for name in METHODS if name not in _NEED_CONVOLUTIONS)
                raise UsageError(f"{said} Use --methods {rest}.")
            about["notes"].append(said)
        return {**arrays, "about": np.array(json.dumps(about))}

    def files(self, arrays):
        return {name: picture.save for name, picture in _pictures(arrays).items()}

    def tables(self, about):
        from rich.table import Table
        from rich.text import Text

        rows = about["images"]
        shown = [name for name in _COLUMNS if name in rows[0]]
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in shown:
            table.add_column(_COLUMNS[name], justify="right" if name in _FORMS else "left")
        for row in rows:
            table.add_row(*(Text(format(row[name], _FORMS.get(name, ""))) for name in shown))
        found: list[Any] = [table]
        if "error" in shown:
            found.append(
                "Sum off by: sum of integrated gradients against the difference to the logit of a black "
                "image."
            )
        if cam := about.get("grad_cam"):
            height, width = cam["extent"]
            found.append(
                f"Grad-CAM: {height}x{width} maps of {cam['layer']}; last convolution: {cam['convolution']}."
            )
        return found


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
        about["notes"] += not_exact(row)
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


def _pictures(arrays: Mapping[str, np.ndarray]) -> dict[str, Image.Image]:
    found = {"sheet.png": sheet.sheet(arrays)}
    for index, row in enumerate(about_of(arrays)["images"]):
        stem = re.sub(r"[^\w-]+", "-", Path(row["name"]).stem)[:80]
        for method in maps_in(arrays):
            pixels = pictures.enlarged(drawn(arrays, method, index), _SIDE)
            found[f"{index + 1:02}-{stem}-{method}.png"] = Image.fromarray(pixels)
    if "filters" in arrays:
        grid, _ = heatmaps.filters(arrays["filters"])
        found["filters.png"] = Image.fromarray(pictures.enlarged(grid, _SIDE))
    return found
