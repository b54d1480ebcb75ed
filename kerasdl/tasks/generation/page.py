"""The parts of a page that a generative network has: figures, samples, reconstructions, latents."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.report import charts, pictures
from kerasdl.report.blocks import (
    Block,
    Chart,
    Column,
    Figure,
    Figures,
    Picture,
    Pictures,
    Section,
    Table,
    Text,
)

_SIDE = 640  # pixels that small pictures are enlarged to, about
_ACTIVE = 0.01  # variance of the mean of a latent, above which it tells something (IWAE, section 3.3)
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross")

#: Figure -> (title, format, what is said below: another figure goes into the braces).
_FIGURES: Mapping[str, tuple[str, str, str]] = {
    "fid": ("Frechet distance (FID)", ".4g", "real against real: {fid_floor:.3g}"),
    "kid": ("Kernel distance (KID)", ".3g", "+- {kid_stderr:.1g}"),
    "precision": ("Precision", ".3f", "samples that lie among real images"),
    "recall": ("Recall", ".3f", "real images that lie among samples"),
    "diversity": ("Diversity", ".3f", "spread of the samples; 1 is that of real images"),
    "asked_class_rate": ("Asked class", ".1%", "samples of the class that was asked for"),
    "memorised": ("Memorised", ".1%", "about 5 % by chance"),
    "nll": ("-log p(x), nats", ".2f", "+- {nll_stderr:.2f}, {likelihood_draws:,} draws"),
    "elbo": ("ELBO, nats", ".2f", "{likelihood_images:,} images"),
    "active_units": ("Active latents", "d", "of {latents}"),
    "num_samples": ("Samples", ",d", "beside {num_real:,} {real}"),
    "examples": ("Test images", ",d", ""),
}


def sections(
    figures: Mapping[str, Any], class_names: Sequence[str], arrays: Mapping[str, np.ndarray]
) -> list[Section]:
    """Return the sections of a generative network; those whose figures or arrays are not there are left out.

    Args:
        figures: those of `Generation.evaluate` and `evaluate_further`.
        class_names: in the order of the labels.
        arrays: what `gallery.make` returned, and `samples` with their `nearest` training images.
    """
    parts = {
        "Test figures": [*_headline(figures), *_balance(figures)],
        "Samples": _made(class_names, arrays),
        "Reconstructions": _reconstructions(arrays),
        "Between two images": _between(arrays),
        "Latents": [*_scatter(class_names, arrays), *_rates(arrays), *_traversal(arrays)],
        "Nearest training images": _nearest(figures, arrays),
    }
    return [Section(title, blocks) for title, blocks in parts.items() if blocks]


def _headline(figures: Mapping[str, Any]) -> list[Block]:
    items = []
    for name, (title, form, note) in _FIGURES.items():
        if figures.get(name) is None:
            continue
        try:
            said = note.format(**figures)
        except (KeyError, ValueError, TypeError):  # what would be said below was not measured
            said = ""
        items.append(Figure(title, Column("", form).text(figures[name]), said))
    return [Figures(items)] if items else []


def _balance(figures: Mapping[str, Any]) -> list[Block]:
    shares = figures.get("class_balance")
    if not shares:
        return []
    names, values = list(shares), list(shares.values())
    bars = charts.bars(names, values, "%{x}: %{y:.1%}")
    xaxis = {"title": {"text": "class that the judge sees"}, "type": "category"}
    drawn = charts.layout(300, xaxis, charts.axis("samples", tickformat=".0%"), legend=False)
    least, most = (pick(range(len(values)), key=values.__getitem__) for pick in (min, max))
    said = (
        f"The classes have from {values[least]:.1%} ({names[least]}) to {values[most]:.1%} ({names[most]})."
    )
    table = Table("Samples by class", [Column("class"), Column("samples", ".2%")], list(shares.items()))
    return [Chart("Classes of the samples", {"data": [bars], "layout": drawn}, said, table, half=True)]


def _picture(pixels: np.ndarray, alt: str, caption: str) -> Picture:
    """Return a picture (height, width, channels), uint8, in a size that can be seen."""
    side = max(_SIDE, max(pixels.shape[:2]))
    return Picture(
        *pictures.data_uri(pictures.enlarged(pixels, _SIDE), exact=2 * side, reduced=2 * side),
        alt=alt,
        caption=caption,
    )


def _made(class_names: Sequence[str], arrays: Mapping[str, np.ndarray]) -> list[Block]:
    if "made" not in arrays:
        return []
    labels = arrays.get("made_labels")
    said = f"{len(arrays['made'])} images of the noise that those of each epoch were made of"
    if labels is not None:
        names = [class_names[label] for label in np.unique(labels)]
        said += f"; from the top: {', '.join(names)}"
    return [Pictures([_picture(pictures.arranged(arrays["made"], labels), said, f"{said}.")], large=True)]


def _reconstructions(arrays: Mapping[str, np.ndarray]) -> list[Block]:
    if not {"originals", "reconstructions"} <= arrays.keys():
        return []
    both = np.concatenate([arrays["originals"], arrays["reconstructions"]])
    said = "Test images in the first row, and below each what the network makes of its description."
    return [Pictures([_picture(pictures.grid(both, len(both) // 2), said, said)], large=True)]


def _between(arrays: Mapping[str, np.ndarray]) -> list[Block]:
    if "between" not in arrays:
        return []
    ways = arrays["between"]
    ends = "two test images" if "means" in arrays else "two samples"
    said = f"Each row leads from one to the other of {ends}, on an arc through the latents."
    grid = pictures.grid(ways.reshape(-1, *ways.shape[2:]), ways.shape[1])
    return [Pictures([_picture(grid, said, said)], large=True)]


def _scatter(class_names: Sequence[str], arrays: Mapping[str, np.ndarray]) -> list[Block]:
    means = arrays.get("means")
    if means is None or len(means) < 3 or means.shape[1] < 2:
        return []
    from sklearn.decomposition import PCA

    found = PCA(2, random_state=0).fit(means)
    places, labels = found.transform(means), arrays["mean_labels"]
    traces = [
        charts.points(class_names[label], *np.round(places[labels == label], 3).T.tolist(), {
            "symbol": _SYMBOLS[number % len(_SYMBOLS)], "color": f"--chart-{number % 7 + 1}", "size": 5,
            "opacity": 0.7,
        }, f"{class_names[label]}<extra></extra>")
        for number, label in enumerate(np.unique(labels))
    ]  # fmt: skip
    axes = [
        charts.axis(f"direction {number} ({share:.0%} of the variance)")
        for number, share in enumerate(found.explained_variance_ratio_, 1)
    ]
    said = (
        f"The mean latents of {len(means):,} test images by class, in the two directions in which they "
        f"differ most (PCA), which hold {found.explained_variance_ratio_.sum():.0%} of their variance."
    )
    return [
        Chart("Latents of test images", charts.figure(traces, charts.layout(480, *axes)), said, half=True)
    ]


def _rates(arrays: Mapping[str, np.ndarray]) -> list[Block]:
    rates = arrays.get("unit_rates")
    if rates is None:
        return []
    variances = arrays["means"].var(axis=0)
    active = int((variances > _ACTIVE).sum())
    order = np.argsort(-rates, kind="stable")
    units, nats = map(str, order), np.round(rates[order], 4).tolist()
    bars = charts.bars(units, nats, "latent %{x}: %{y:.3f} nats")
    xaxis = {"title": {"text": "latent"}, "type": "category"}
    drawn = charts.layout(480, xaxis, charts.axis("nats an image"), legend=False)
    said = (
        f"{active} of {len(rates)} latents are active on the test images as they are: the variance of "
        f"their mean over images is above {_ACTIVE}. Together they tell {rates.sum():.1f} nats an image."
    )
    rows = [[int(unit), float(rates[unit]), float(variances[unit])] for unit in order]
    columns = [Column("latent", "d"), Column("nats an image", ".4f"), Column("variance of the mean", ".4f")]
    table = Table("What each latent tells", columns, rows)
    return [Chart("What each latent tells", {"data": [bars], "layout": drawn}, said, table, half=True)]


def _traversal(arrays: Mapping[str, np.ndarray]) -> list[Block]:
    if "traversal" not in arrays:
        return []
    strips = arrays["traversal"]
    variances = arrays["means"].var(axis=0)
    shown = [row for row, unit in enumerate(arrays["traversed"]) if variances[unit] > _ACTIVE]
    if not shown:
        return [Text("No latent tells anything: the images do not depend on them.")]
    grid = pictures.grid(strips[shown].reshape(-1, *strips.shape[2:]), strips.shape[1])
    units = ", ".join(str(arrays["traversed"][row]) for row in shown)
    said = (
        "One test image with one latent changed in each row, from -2.5 to 2.5, the others as they are. "
        f"Latents from the top, those that vary most first: {units}."
    )
    return [Pictures([_picture(grid, said, said)], large=True)]


def _nearest(figures: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> list[Block]:
    if not {"samples", "nearest"} <= arrays.keys():
        return []
    both = np.concatenate([arrays["samples"], arrays["nearest"]])
    said = "Samples in the first row, and below each the training image that is nearest to it in pixels."
    if figures.get("memorised") is not None:
        said += (
            f" {figures['memorised']:.1%} of the samples are as close as the closest 5 % of unseen images."
        )
    return [Pictures([_picture(pictures.grid(both, len(both) // 2), said, said)], large=True)]
