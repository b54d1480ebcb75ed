"""The section of a run's report with the results of `kerasdl explain`."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.explain import forecasts_page, heatmaps, words_page
from kerasdl.report import pictures
from kerasdl.report.blocks import Notice, Picture, Pictures, Section, Table, Text, percent
from kerasdl.report.render import render

#: Folder in a run, and the file in it, that the page is drawn from.
FOLDER, FILE_NAME = "explain", "explanations.npz"
TITLES = {
    "grad-cam": "Grad-CAM",
    "integrated-gradients": "Integrated gradients",
    "saliency": "Saliency (SmoothGrad)",
    "occlusion": "Occlusion",
    "filters": "First-layer filters",
}
_PAGES = {"texts": words_page, "windows": forecasts_page}  # what `about` holds of explanations by place
_LEGEND = (
    "Each picture explains the logit of one class. Grad-CAM and saliency: from dark blue (none) to yellow "
    "(most). Integrated gradients and occlusion: vermillion speaks for the class, blue against it. Each "
    "picture is stretched to its own largest value."
)


def section(arrays: Mapping[str, np.ndarray] | None) -> Section | None:
    """Return the part of a run's page; None where nothing was explained.

    Args:
        arrays: content of `explanations.npz`.
    """
    if arrays is None:
        return None
    about = about_of(arrays)
    for name, drawn_by in _PAGES.items():
        if name in about:
            return drawn_by.section(about)
    blocks: list[Any] = [Notice(note) for note in about["notes"]]
    methods = maps_in(arrays)
    if methods:
        blocks += [Text(" ".join([_LEGEND, *_details(about)])), _sheet(arrays, about, methods)]
    if "filters" in arrays:
        grid, said = heatmaps.filters(arrays["filters"])
        picture = Picture(
            *pictures.data_uri(pictures.enlarged(grid, 256), exact=1024),
            alt=f"Filters of {about['filters_of']}",
            caption=f"Filters of {about['filters_of']}: {said}.",
        )
        blocks.append(Pictures([picture], large=True))
    return Section("Explanations", blocks)


def page_of(title: str, subtitle: str, about: Mapping[str, Any]) -> Callable[[Path], None]:
    """Return a function that writes a page of its own about explanations that are no pictures."""
    (drawn_by,) = (part for name, part in _PAGES.items() if name in about)
    page = render(
        title=title, subtitle=subtitle, notices=drawn_by.notices(about), sections=drawn_by.sections(about)
    )
    return functools.partial(_write, page)


def _write(page: str, path: Path) -> None:
    path.write_text(page, encoding="utf-8", errors="replace")


def about_of(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the description of the arrays."""
    return json.loads(str(arrays["about"]))


def maps_in(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Return the methods that there are maps of, in their order."""
    return [name for name in TITLES if name in arrays and name != "filters"]


def drawn(arrays: Mapping[str, np.ndarray], method: str, index: int) -> np.ndarray:
    """Return the map of a method over its image, (height, width, 3), uint8."""
    values = arrays[method][index]
    flat = values.sum(-1) if values.ndim == 3 else values
    return heatmaps.overlay(arrays["images"][index], flat, signed=method in heatmaps.SIGNED)


def _details(about: Mapping[str, Any]) -> list[str]:
    found = []
    if cam := about.get("grad_cam"):
        found.append(f"Grad-CAM is of the {cam['extent'][0]}x{cam['extent'][1]} maps of {cam['layer']}.")
    errors = [row["error"] for row in about["images"] if "error" in row]
    if errors:
        found.append(
            "Integrated gradients begin at a black image; their sums are at most "
            f"{percent(max(errors))} away from the difference of the logits."
        )
    if patch := about.get("patch"):
        found.append(f"Occlusion is by grey patches of {patch}x{patch} pixels.")
    return found


def _sheet(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], methods: list[str]) -> Table:
    rows = []
    for index, row in enumerate(about["images"]):
        cells = [Picture(*pictures.data_uri(arrays["images"][index]), alt=row["name"], caption="")]
        for method in methods:
            alt = f"{TITLES[method]} of {row['name']} for class {row['class']}"
            cells.append(Picture(*pictures.data_uri(drawn(arrays, method, index)), alt=alt, caption=""))
        rows.append(["\n".join(described(row)), *cells])
    forms = {"": None, "image": None} | {TITLES[method]: None for method in methods}
    return Table.of("Images and what explains their answers", forms, rows)


def described(row: Mapping[str, Any]) -> list[str]:
    """Return lines that name a row's image, prediction and class."""
    lines = [row["name"], f"predicted: {row['predicted']}", f"{percent(row['probability'], 0)} sure"]
    if "true" in row:
        lines.insert(1, f"true: {row['true']}")
    if row["class"] != row["predicted"]:
        lines.append(f"explained: {row['class']}")
    return lines
