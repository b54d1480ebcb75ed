"""The results of `kerasdl explain` as one picture: images in rows, methods in columns."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kerasdl.explain import heatmaps
from kerasdl.explain.page import TITLES, about_of, described, drawn, maps_in
from kerasdl.report import pictures

_CELL, _GAP, _LABELS, _LINE = 168, 12, 200, 20  # pixels
_INK, _PAPER = (28, 31, 35), (255, 255, 255)


def sheet(arrays: Mapping[str, np.ndarray]) -> Image.Image:
    """Draw all images with their maps, and the filters.

    Args:
        arrays: content of `explanations.npz`.
    """
    parts = [_maps(arrays)] if maps_in(arrays) else []
    if "filters" in arrays:
        parts.append(_filters(arrays))
    width = max(part.width for part in parts)
    height = sum(part.height for part in parts)
    page, y = Image.new("RGB", (width, height), _PAPER), 0
    for part in parts:
        page.paste(part, (0, y))
        y += part.height
    return page


def _maps(arrays: Mapping[str, np.ndarray]) -> Image.Image:
    methods, rows = maps_in(arrays), about_of(arrays)["images"]
    height, width = arrays["images"].shape[1:3]
    size = (_CELL, min(round(_CELL * height / width), 2 * _CELL))
    tall = max(size[1], 6 * _LINE) + _GAP
    page = _blank(
        _LABELS + (len(methods) + 1) * (_CELL + _GAP), 2 * _GAP + _LINE + len(rows) * tall + 2 * _LINE
    )
    for column, title in enumerate(["Image", *(TITLES[method] for method in methods)]):
        _write(page, (_LABELS + column * (_CELL + _GAP), _GAP), [title])
    for index, row in enumerate(rows):
        y = 2 * _GAP + _LINE + index * tall
        _write(page, (_GAP, y), described(row))
        cells = [heatmaps.as_rgb(arrays["images"][index]), *(drawn(arrays, name, index) for name in methods)]
        for column, cell in enumerate(cells):
            how = Image.Resampling.NEAREST if max(cell.shape) < _CELL else Image.Resampling.LANCZOS
            page.paste(Image.fromarray(cell).resize(size, how), (_LABELS + column * (_CELL + _GAP), y))
    _legend(page, page.height - _LINE - _GAP)
    return page


def _filters(arrays: Mapping[str, np.ndarray]) -> Image.Image:
    grid, said = heatmaps.filters(arrays["filters"])
    picture = Image.fromarray(pictures.enlarged(grid, 2 * _CELL))
    lines = textwrap.wrap(f"Filters of {about_of(arrays)['filters_of']}: {said}.", 72)
    top = _GAP + len(lines) * _LINE + _GAP
    page = _blank(max(picture.width + 2 * _GAP, 560), top + picture.height + _GAP)
    _write(page, (_GAP, _GAP), lines, most=100)
    page.paste(picture, (_GAP, top))
    return page


def _legend(page: Image.Image, y: int) -> None:
    """Draw a bar for each of the two scales."""
    ramp = np.linspace(-1, 1, 120)
    scales = (
        ("none", heatmaps.viridis((ramp + 1) / 2), "most"),
        ("against the class", heatmaps.two_sided(ramp, np.full(120, 255.0)), "for the class"),
    )
    x = _LABELS
    for low, colors, high in scales:
        x += _write(page, (x, y), [low]) + 8
        bar = np.repeat(colors.round().astype(np.uint8)[None], 16, 0)
        page.paste(Image.fromarray(bar), (x, y + 1))
        x += 128 + _write(page, (x + 128, y), [high]) + 48


def _blank(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), _PAPER)


def _write(page: Image.Image, place: tuple[int, int], lines: Sequence[str], most: int = 25) -> float:
    """Write lines, cut in their middle where they are longer than `most`; return the last one's width."""
    pen, font, (x, y), width = ImageDraw.Draw(page), ImageFont.load_default(14), place, 0
    for number, line in enumerate(lines):
        if len(line) > most:
            line = f"{line[: most // 2 - 1]}...{line[len(line) - most // 2 + 2 :]}"
        pen.text((x, y + number * _LINE), line, _INK, font)
        width = round(pen.textlength(line, font))
    return width
